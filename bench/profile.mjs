/**
 * `npm run bench:profile`: where the time of one call goes. Samples a loop of successful calls through
 * the five policies, and shares the time of a call out to the functions that the samples fell into.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pickNode, requireBuild } from './harness/install.js'

/** @typedef {{ id: number, callFrame: { functionName: string, url: string } }} ProfileNode */

requireBuild()
const node = pickNode(undefined)
const folder = mkdtempSync(join(tmpdir(), 'holdfast-profile-'))
try {
  const loop = fileURLToPath(new URL('./subjects/profiled.js', import.meta.url))
  const flags = ['--cpu-prof', '--cpu-prof-interval', '200', '--cpu-prof-dir', folder]
  const nsPerCall = Number(execFileSync(node.path, [...flags, loop], { encoding: 'utf8' }))
  const [file = ''] = readdirSync(folder)
  console.log(`Node.js ${node.version}: ${Math.round(nsPerCall)} ns per call, sampled\n`)
  for (const [what, share] of shares(JSON.parse(readFileSync(join(folder, file), 'utf8')))) {
    const ns = (share * nsPerCall).toFixed(0).padStart(5)
    console.log(`${ns} ns ${`${(share * 100).toFixed(1)} %`.padStart(7)}  ${what}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/**
 * @param {{ nodes: ProfileNode[], samples: number[], timeDeltas: number[] }} profile
 * @returns {[what: string, share: number][]}
 */
function shares({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((one) => [one.id, one]))
  /** @type {Map<string, number>} */
  const times = new Map()
  samples.forEach((id, index) => {
    const what = nameOf(byId.get(id))
    times.set(what, (times.get(what) ?? 0) + (timeDeltas[index] ?? 0))
  })
  const total = [...times.values()].reduce((sum, time) => sum + time, 0)
  return [...times]
    .map(([what, time]) => /** @type {[string, number]} */ ([what, time / total]))
    .filter(([, share]) => share >= 0.01)
    .sort(([, one], [, other]) => other - one)
}

/** @param {ProfileNode | undefined} node */
function nameOf(node) {
  const { functionName, url } = node?.callFrame ?? { functionName: '?', url: '' }
  if (functionName === '(program)') return 'the runtime: promises, microtasks, calls into V8'
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (url.includes('/dist/')) return `holdfast: ${functionName} (${url.split('/').at(-1)})`
  return url.includes('profiled.js') ? 'the loop and the function itself' : 'start of the process'
}
