/** The command line: which suites, how long, what becomes of the figures. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** In the order of the bars; a new file is found by itself and comes after them. */
const order = [
  'pipeline',
  'in-flight',
  'circuit-breaker',
  'retry',
  'timeout',
  'bulkhead',
  'fallback',
  'concurrency',
  'batcher',
  'memory',
  'http',
  'headline-postgres',
  'headline-http',
  'headline-concurrency',
  'headline-batching',
]

/** @type {Pick<import('./types.js').Plan, 'quick' | 'rounds' | 'sample' | 'warmup' | 'inFlight'>} */
const full = { quick: false, rounds: 21, sample: 25, warmup: 250, inFlight: 10_000 }
const quick = { quick: true, rounds: 2, sample: 2, warmup: 5, inFlight: 1_000 }

export const usage = `npm run bench -- [suite ...] [options]

  suites        ${suites().join(', ')}; all of them by default

  --quick       a short run that proves the harness; its figures mean little
  --json        the report as JSON instead of tables
  --write       also bring the table of bench/README.md up to date
  --node PATH   another Node.js than the pinned one; \`current\` for the one that runs this
  --seed N      the order of subjects within the rounds, 1 by default
  --help

A run of all suites writes bench/results.json; one of some suites, or a quick one, only with --write.`

/** @returns {string[]} */
function suites() {
  const found = readdirSync(fileURLToPath(new URL('..', import.meta.url)))
    .filter((name) => name.endsWith('.bench.js'))
    .map((name) => name.slice(0, -'.bench.js'.length))
    .sort()
  return [
    ...order.filter((name) => found.includes(name)),
    ...found.filter((name) => !order.includes(name)),
  ]
}

/** @param {string[]} args */
export function command(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      node: { type: 'string' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  const known = suites()
  const unknown = positionals.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(`no suite is called "${unknown}"; there are ${known.join(', ')}`)
  }
  const seed = Number(values.seed)
  if (!Number.isInteger(seed)) throw new TypeError(`--seed must be an integer, not ${values.seed}`)
  const all = positionals.length === 0
  return {
    suites: all ? known : known.filter((name) => positionals.includes(name)),
    all,
    plan: { ...(values.quick ? quick : full), seed },
    json: values.json,
    write: values.write,
    keep: values.write || (all && !values.quick),
    help: values.help,
    node: values.node,
  }
}
