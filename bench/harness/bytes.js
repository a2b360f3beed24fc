/**
 * Bytes per call: allocated by a call that has ended, or held by a call in flight.
 * Needs `--expose-gc`, and a young generation so large that nothing is collected meanwhile.
 */
import { guard, runner } from './measure.js'
import { median } from './statistics.js'

const passes = 5

/**
 * Bytes that one call allocates, young ones that die at once included.
 *
 * @param {import('./types.js').Work} work
 * @param {import('./types.js').Plan} plan
 * @returns {Promise<Array<number | undefined>>} In the order of the cases; undefined: too slow.
 */
export async function allocated(work, plan) {
  const cases = await work.setup(plan)
  const found = []
  for (const subject of cases) {
    const each = runner(work, subject, plan)
    await guard(work, each, plan)
    found.push(await allocatedBy(each, plan))
  }
  for (const subject of cases) subject.close?.()
  await work.teardown?.()
  return found
}

/**
 * @param {import('./measure.js').Runner} each
 * @param {import('./types.js').Plan} plan
 */
async function allocatedBy(each, plan) {
  const until = performance.now() + plan.warmup
  let turns = plan.quick ? 1 : 8
  let elapsed = 0
  while (performance.now() < until) {
    const before = performance.now()
    await each.loop(turns)
    elapsed = performance.now() - before
    if (elapsed < 10) turns = Math.min(turns * 2, Math.ceil(10_000 / each.ops))
  }
  if (elapsed > 500) return undefined
  const taken = []
  for (let pass = 0; pass < (plan.quick ? 1 : passes); pass++) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    await each.loop(turns)
    taken.push((process.memoryUsage().heapUsed - before) / (turns * each.ops))
  }
  return median(taken)
}

/**
 * Bytes that one call in flight holds, the callee's own promise included. One case per process:
 * what a library keeps for reuse would make its next case look cheaper than it is.
 *
 * @param {import('./types.js').Case} subject
 */
export async function held(subject) {
  const { start, settle, count } = /** @type {any} */ (subject.scope)
  await settleAll(start, settle, 100)
  const before = await inUse()
  const calls = new Array(count)
  for (let k = 0; k < count; k++) calls[k] = start()
  const bytes = ((await inUse()) - before) / count
  settle()
  for (const value of await Promise.all(calls)) {
    if (value !== 1) throw new Error(`${subject.subject} gives a wrong answer: ${value}`)
  }
  subject.close?.()
  return bytes
}

/**
 * @param {() => Promise<unknown>} start
 * @param {() => void} settle
 * @param {number} count
 */
async function settleAll(start, settle, count) {
  const calls = Array.from({ length: count }, () => start())
  settle()
  await Promise.all(calls)
}

async function inUse() {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((done) => setImmediate(done))
    globalThis.gc?.()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
