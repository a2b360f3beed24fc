/**
 * The built package and the tests of all that speaks HTTP on every Node line, by binaries that npm
 * delivers: `npm run test:matrix`, or `npm run test:matrix -- 20 26`. Ends with 1 if anything failed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('node-matrix/', import.meta.url))
const root = fileURLToPath(new URL('../', import.meta.url))

const lines = ['20', '22', '24', '26']
const tests = [
  'src/adapters/fetch',
  'src/adapters/http',
  'src/adapters/node',
  'src/adapters/server',
  'src/adapters/undici',
  'test/integration/fetch-',
  'test/integration/health',
  'test/integration/http-clients',
  'test/integration/retries-do-not-multiply',
  'test/integration/server-',
  'test/integration/shutdown',
]
// Most of these tests wait for sockets: a second line runs in what a first one leaves.
const atATime = 2

const wanted = process.argv.slice(2)
const unknown = wanted.filter((line) => !lines.includes(line))
if (unknown.length > 0) {
  console.error(`unknown Node line ${unknown.join(', ')}; known: ${lines.join(', ')}`)
  process.exit(2)
}

if (!lines.every((line) => existsSync(nodeOf(line)))) {
  console.log('matrix: installing the Node lines, once')
  install()
}

const failed = []
const waiting = wanted.length > 0 ? [...wanted] : [...lines]
await Promise.all(Array.from({ length: atATime }, work))

if (failed.length > 0) {
  console.error(`\nmatrix: failed: ${failed.join('; ')}`)
  process.exitCode = 1
} else console.log('\nmatrix: all passed')

async function work() {
  for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) await prove(line)
}

/** @param {string} line */
async function prove(line) {
  const began = performance.now()
  const vitest = `${root}node_modules/vitest/vitest.mjs`
  const steps = [
    ['smoke', ['tools/smoke.mjs']],
    ['tests', [vitest, 'run', '--project', 'unit', '--project', 'integration', ...tests]],
  ]
  for (const [step, args] of steps) {
    const { code, output } = await run(nodeOf(line), args)
    console.log(`\n--- Node ${line}: ${step}\n${output}`)
    if (code !== 0) failed.push(`Node ${line}: ${step}`)
  }
  console.log(`--- Node ${line}: ${Math.round((performance.now() - began) / 1000)} s`)
}

/** @param {string} line */
function nodeOf(line) {
  return `${here}node_modules/node-${line}/bin/node`
}

function install() {
  const args = ['ci', '--no-fund', '--no-audit', '--loglevel=error']
  const { status, error } = spawnSync('npm', args, { cwd: here, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(1)
}

/**
 * With what it said, all at once: two lines that talk at the same time cannot be read.
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function run(command, args) {
  // The totals of the test run around this one are not this one's to write.
  const { HOLDFAST_TEST_TOTALS: _totals, NODE_OPTIONS: _options, ...rest } = process.env
  const env = { ...rest, VITEST_MAX_WORKERS: '1' }
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
