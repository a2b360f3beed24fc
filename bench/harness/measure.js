/**
 * Measures the subjects of one work side by side: in one process, in rounds, in an order shuffled
 * anew each round, the baseline measured again after every few subjects.
 *
 * CPU time of all threads is what counts (a collector on another thread is somebody's cost too, and
 * CPU time does not mind neighbours on the machine). Wall time is kept beside it.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { compile } from './loops.js'
import { seeded, shuffled } from './random.js'
import { median } from './statistics.js'
import { label } from './types.js'

/** A sample is cut in slices with a turn of the event loop between them: timers must tick. */
const slices = 5
/** How many subjects share one measurement of the baseline. */
const baselineEvery = 3
/** A subject whose single turn takes longer, in ms, is measured in the first rounds only. */
const tooSlow = 250
const roundsWhenSlow = 3

/**
 * @param {import('./types.js').Work} work
 * @param {import('./types.js').Plan} plan
 * @returns {Promise<import('./types.js').Sampled[]>}
 */
export async function measure(work, plan) {
  const cases = await work.setup(plan)
  const runners = cases.map((subject) => runner(work, subject, plan))
  for (const each of runners) await guard(work, each, plan)
  await work.pollute?.()
  for (const each of runners) await calibrate(each, plan, work)
  if (work.pollute) {
    await work.pollute()
    for (const each of runners) await calibrate(each, plan, work)
  }
  await playRounds(runners, work, plan)
  for (const subject of cases) subject.close?.()
  await work.teardown?.()
  return runners.map(({ subject, cpu, wall, base }) => ({
    subject: subject.subject,
    ...(subject.variant === undefined ? {} : { variant: subject.variant }),
    cpu,
    wall,
    base,
  }))
}

/**
 * @param {import('./types.js').Work} work
 * @param {import('./types.js').Case} subject
 * @param {import('./types.js').Plan} plan
 */
export function runner(work, subject, plan) {
  return {
    subject,
    loop: compile(work.loop ?? 'sequential', subject),
    ops: work.ops?.(plan) ?? 1,
    turns: 1,
    slices,
    slow: false,
    cpu: /** @type {number[]} */ ([]),
    wall: /** @type {number[]} */ ([]),
    base: /** @type {number[]} */ ([]),
  }
}

/** @typedef {ReturnType<typeof runner>} Runner */

/**
 * A subject that gives a wrong answer is not measured.
 *
 * @param {import('./types.js').Work} work
 * @param {Runner} each
 * @param {import('./types.js').Plan} plan
 */
export async function guard(work, each, { quick }) {
  const expected = each.subject.expect ?? work.expect ?? ((outcome) => outcome === 1)
  for (let time = 0; time < (quick ? 1 : 3); time++) {
    const outcome = await each.loop(1)
    if (expected(outcome)) continue
    const given = outcome instanceof Error ? outcome.stack : JSON.stringify(outcome)
    throw new Error(`${work.title}: ${label(each.subject)} gives a wrong answer: ${given}`)
  }
}

/**
 * Warms a subject up and finds how many turns make a slice.
 *
 * @param {Runner} each
 * @param {import('./types.js').Plan} plan
 * @param {import('./types.js').Work} work
 */
async function calibrate(each, plan, work) {
  const target = ((plan.quick ? undefined : work.sample) ?? plan.sample) / slices
  const until = performance.now() + plan.warmup
  let turns = 1
  let elapsed = 0
  do {
    const before = performance.now()
    await each.loop(turns)
    elapsed = performance.now() - before
    if (elapsed > tooSlow) break
    turns = Math.max(1, Math.round((turns * target) / Math.max(elapsed, target / 4)))
    await turnOfTheLoop()
  } while (performance.now() < until)
  each.slow = elapsed > tooSlow
  each.turns = each.slow ? 1 : turns
  each.slices = turns === 1 && elapsed > target * slices ? 1 : slices
}

/**
 * @param {Runner[]} runners
 * @param {import('./types.js').Work} work
 * @param {import('./types.js').Plan} plan
 */
async function playRounds(runners, work, plan) {
  const random = seeded(plan.seed)
  const taken = async (/** @type {Runner} */ each) => {
    const { cpu, wall } = await sample(each)
    return { cpu: work.clock === 'wall' ? wall : cpu, wall }
  }
  const [baseline, ...others] = runners
  const rounds = Math.max(plan.rounds, plan.quick ? 0 : (work.rounds ?? 0))
  for (let round = 0; round < rounds; round++) {
    const bases = []
    const order = shuffled(others, random)
    for (const [place, each] of order.entries()) {
      if (place % baselineEvery === 0) bases.push(await taken(baseline))
      if (each.slow && round >= roundsWhenSlow) continue
      const { cpu, wall } = await taken(each)
      each.cpu.push(cpu)
      each.wall.push(wall)
    }
    bases.push(await taken(baseline))
    const base = median(bases.map(({ cpu }) => cpu))
    baseline.cpu.push(base)
    baseline.wall.push(median(bases.map(({ wall }) => wall)))
    for (const each of runners) if (each.base.length < each.cpu.length) each.base.push(base)
  }
}

/**
 * @param {Runner} each
 * @returns {Promise<{ cpu: number, wall: number }>} Nanoseconds per call.
 */
async function sample(each) {
  // What the subject before left behind is not this subject's to sweep.
  globalThis.gc?.({ type: 'minor' })
  await turnOfTheLoop()
  const cpuBefore = process.cpuUsage()
  const wallBefore = performance.now()
  for (let slice = 0; slice < each.slices; slice++) {
    await each.loop(each.turns)
    await turnOfTheLoop()
  }
  const wall = (performance.now() - wallBefore) * 1e6
  const { user, system } = process.cpuUsage(cpuBefore)
  const calls = each.turns * each.slices * each.ops
  return { cpu: ((user + system) * 1000) / calls, wall: wall / calls }
}
