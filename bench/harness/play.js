/** Plays suites, each work in processes of its own, and turns what they report into rows. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { versionOf } from './install.js'
import { median, quantile, ratios } from './statistics.js'

const worker = fileURLToPath(new URL('worker.js', import.meta.url))

/** Minor collections between samples need the flag; nothing else is asked of the collector. */
const timeFlags = ['--expose-gc']
/** So large a young generation that nothing is collected while bytes are counted. */
const bytesFlags = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']
const heldFlags = ['--expose-gc', '--max-old-space-size=4096']

/** A worker that takes longer than this hangs. */
const patience = 600_000

/**
 * @typedef {{ path: string, version: string }} Node
 * @typedef {import('./types.js').Row & { cpu: number[], wall: number[] }} Played The samples serve the bars.
 */

/**
 * @param {string} suite
 * @param {Node} node
 * @param {import('./types.js').Plan} plan
 * @returns {AsyncGenerator<Played[]>} One table after the other.
 */
export async function* play(suite, node, plan) {
  const ask = (
    /** @type {string} */ id,
    /** @type {string} */ mode,
    flags = timeFlags,
    number = 0,
  ) => askWorker(node, flags, [suite, id, mode, JSON.stringify(plan), String(number)])
  for (const work of await ask('', 'list')) {
    const about = { suite, work: work.id, title: work.title }
    const sampled = work.kind === 'memory' ? await hold(work.id, ask) : await time(work, ask)
    yield sampled.map((one) => ({
      ...about,
      subject: one.subject,
      ...(one.variant === undefined ? {} : { variant: one.variant }),
      version: versionOf(one.subject, node.version),
      ...figures(one, sampled),
      ...(work.rate ? { perSecond: Math.round(1e9 / median(one.wall)) } : {}),
      cpu: one.cpu,
      wall: one.wall,
    }))
  }
}

/** @typedef {(id: string, mode: string, flags?: string[], number?: number) => Promise<any>} Ask */

/**
 * @param {import('./types.js').Work} work
 * @param {Ask} ask
 * @returns {Promise<import('./types.js').Sampled[]>}
 */
async function time(work, ask) {
  const sampled = await ask(work.id, 'time')
  if (!work.bytes) return sampled
  const bytes = await ask(work.id, 'bytes', bytesFlags)
  return sampled.map((/** @type {import('./types.js').Sampled} */ one, /** @type {number} */ at) =>
    bytes[at] === null ? one : { ...one, bytes: bytes[at] },
  )
}

/**
 * @param {string} id
 * @param {Ask} ask
 * @returns {Promise<import('./types.js').Sampled[]>}
 */
async function hold(id, ask) {
  const held = []
  for (let number = 0, cases = 1; number < cases; number++) {
    const { cases: all, ...one } = await ask(id, 'held', heldFlags, number)
    cases = all
    held.push({ ...one, cpu: [], wall: [], base: [] })
  }
  return held
}

/**
 * @param {import('./types.js').Sampled} one
 * @param {import('./types.js').Sampled[]} all
 */
function figures(one, all) {
  const bytes = one.bytes === undefined ? {} : { bytesPerOp: Math.round(one.bytes) }
  if (one.cpu.length === 0) return bytes
  const toBare = ratios(one.cpu, one.base)
  const holdfast = all.filter(({ subject }) => subject === 'holdfast').at(-1)
  return {
    nsPerOp: rounded(median(one.cpu)),
    wallNsPerOp: rounded(median(one.wall)),
    ratioToBare: rounded(median(toBare)),
    ratioP25: rounded(quantile(toBare, 0.25)),
    ratioP75: rounded(quantile(toBare, 0.75)),
    ...(holdfast === undefined
      ? {}
      : { ratioToHoldfast: rounded(median(ratios(one.cpu, holdfast.cpu))) }),
    ...bytes,
  }
}

/** Four significant digits: more would be noise. */
const rounded = (/** @type {number} */ value) => Number(value.toPrecision(4))

/**
 * @param {Node} node
 * @param {string[]} flags
 * @param {string[]} args
 * @returns {Promise<any>}
 */
function askWorker(node, flags, args) {
  return new Promise((resolve, reject) => {
    const child = fork(worker, args, {
      execPath: node.path,
      execArgv: flags,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const hung = setTimeout(() => child.kill(), patience)
    /** @type {unknown} */
    let answer
    child.on('message', (message) => {
      answer = message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      clearTimeout(hung)
      if (code === 0 && answer !== undefined) resolve(answer)
      else
        reject(new Error(`${args.slice(0, 3).join(' ')}: the worker ended with ${code ?? signal}`))
    })
  })
}
