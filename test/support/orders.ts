/** The five policies in any order against a dependency with a fault: every call settles, nothing is kept. */
import type { Clock, Context } from 'holdfast'
import { expect } from 'vitest'
import { type Gate, gate, quiet, type Seen, watch } from './calls.ts'
import { expectConserved, expectFreeSlots } from './conservation.ts'
import { listenersOn } from './leaks.ts'
import { type Kind, stack } from './stacks.ts'

/** What a dependency can do to its callers; hung work ends when its gate is opened. */
export type Fault = (context: Context, call: number, hung: Gate[]) => unknown

export const faults: [string, Fault][] = [
  ['fails always', async () => Promise.reject(new Error('down'))],
  [
    'fails now and then',
    (_context, call) => {
      if (call % 2 === 1) throw new Error('down')
      return call
    },
  ],
  ['has a bug', () => (undefined as unknown as { property: unknown }).property],
  [
    'hangs and takes no notice',
    (_context, _call, hung) => {
      const work = gate()
      hung.push(work)
      return work.promise
    },
  ],
  [
    'hangs until it is told to stop',
    ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  ],
]

export async function prove(
  order: readonly Kind[],
  fault: Fault,
  dress: (clock: Clock) => Clock = (clock) => clock,
): Promise<void> {
  const where = String(order)
  const { clock, policy, members, slots } = stack(order, () => 'instead', { dress })
  const hung: Gate[] = []
  const controller = new AbortController()
  const { signal } = controller
  let sent = 0
  const calls: Seen<unknown>[] = []
  const call = (options = {}): void => {
    const run = (context: Context): unknown => fault(context, ++sent, hung)
    calls.push(watch(policy.execute(run, options)))
  }

  for (let n = 0; n < 8; n++) call(n % 3 === 0 ? { signal } : n % 3 === 1 ? { deadline: 150 } : {})
  await clock.advance(20)
  controller.abort('enough')
  await clock.advance(100)
  call()
  // In steps: on a clock with turns a limit begins to count when its turn has ended.
  for (let step = 0; step < 10; step++) await clock.advance(500)

  expect(summary(calls), where).not.toContain('pending')
  expect(sent, where).toBeLessThanOrEqual(calls.length * (policy.worstCase().mostCalls ?? 0))
  expect(clock.pending, where).toBe(0)
  expect(listenersOn(signal), where).toBe(0)
  expectConserved(policy.stats(), calls.length)
  for (const member of members) expect(member.stats().inFlight, where).toBe(0)

  for (const work of hung) work.open()
  await quiet()
  expect(slots.stats(), where).toMatchObject({ running: 0, queued: 0, abandoned: 0 })
  await expectFreeSlots(slots, 3)
}

function summary(calls: readonly Seen<unknown>[]): string[] {
  return calls.map(({ status }) => status)
}
