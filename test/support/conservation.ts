/** The conservation oracle: what was taken has been given back, no more and no less. */

import { BulkheadFullError, type Policy, type Stats } from 'holdfast'
import { expect } from 'vitest'
import { gate, quiet, times } from './calls.ts'

/** `max` fresh calls can start at the same moment, and one more cannot. Needs a bulkhead inside. */
export async function expectFreeSlots(policy: Policy<unknown>, max: number): Promise<void> {
  const held = gate<string>()
  let entered = 0
  const enter = (): Promise<string> => {
    entered++
    return held.promise
  }
  const calls = times(max, () => policy.execute(enter))
  const extra = policy.execute(enter, { deadline: Number.POSITIVE_INFINITY })
  const end = extra.catch((error: unknown) => error)
  await quiet()
  const started = entered
  held.open('done')
  expect(await Promise.all(calls)).toEqual(times(max, () => 'done'))
  const last = await end
  expect(started, 'fresh calls that started at once').toBe(max)
  if (entered === max) expect(last).toBeInstanceOf(BulkheadFullError)
}

/** Every call has ended in exactly one way, and nobody is inside. */
export function expectConserved(stats: Stats, calls: number): void {
  const { succeeded, failed, timedOut, rejected, aborted, inFlight } = stats
  expect({ ended: succeeded + failed + timedOut + rejected + aborted, inFlight }).toEqual({
    ended: calls,
    inFlight: 0,
  })
  expect(stats.calls).toBe(calls)
}
