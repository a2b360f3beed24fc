import { circuitBreaker, pipeline, retry, retryBudget, timeout } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { down } from '../support/breakers.ts'
import { caught, rejection, times } from '../support/calls.ts'

describe('RT17 retries multiply an outage', () => {
  it('adds at most the ratio and the floor to 10,000 calls of a total outage', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 0.1, minPerSecond: 1, window: 10_000, clock })
    const policy = retry({ maxRetries: 3, baseDelay: 1, budget, clock })
    let wire = 0
    const outage = (): Promise<never> => {
      wire++
      return down()
    }

    const calls = times(10_000, () => caught(policy.execute(outage)))
    await clock.runAll()
    await Promise.all(calls)

    expect(wire).toBeGreaterThan(10_000)
    expect(wire).toBeLessThanOrEqual(11_000 + 10)
  })

  it('gives the original error when the budget is empty', async () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 0 })
    const failure = new Error('the original')
    const policy = retry({ baseDelay: 0, budget })

    expect(await rejection(policy.execute(() => Promise.reject(failure)))).toBe(failure)
    expect(policy.stats().gaveUp.budget).toBe(1)
    expect(budget.stats()).toMatchObject({ retries: 0, refused: 1 })
  })

  it('counts one first try per call, however many attempts it makes', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 1, minPerSecond: 10, clock })
    const policy = retry({ maxRetries: 3, baseDelay: 0, budget, clock })

    for (let call = 0; call < 10; call++) await caught(policy.execute(down))

    expect(budget.stats()).toMatchObject({ calls: 10, retries: 30 })
  })

  it('is one allowance for all retries of a dependency, also nested ones', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 0.1, minPerSecond: 0, clock })
    const outer = retry({ name: 'outer', maxRetries: 3, baseDelay: 0, budget, clock })
    const inner = retry({ name: 'inner', maxRetries: 3, baseDelay: 0, budget, clock })
    const nested = pipeline({ name: 'nested', clock }, outer, inner)
    let wire = 0

    for (let call = 0; call < 1_000; call++) {
      await caught(
        nested.execute(() => {
          wire++
          return down()
        }),
      )
    }

    // Each layer deposits its own first tries: at most twice the ratio, never sixteen times the load.
    expect(wire).toBeLessThanOrEqual(1_250)
  })

  it('heals under constant load once the dependency is back (no metastable state)', async () => {
    const clock = virtualClock()
    const resetTimeout = 1_000
    const server = overloadable(clock, 40)
    const budget = retryBudget({ ratio: 0.1, minPerSecond: 1, clock })
    const calls = pipeline(
      { name: 'calls', clock },
      retry({ maxRetries: 3, baseDelay: 20, budget, clock }),
      circuitBreaker({ failureRate: 0.5, minimumCalls: 20, resetTimeout, clock }),
      timeout({ duration: 100, clock }),
    )
    const ends: { readonly at: number; readonly ok: boolean }[] = []
    // Constant offered load: 3 calls per 10 ms, half of what the healthy server can take.
    for (let at = 0; at < 10_000; at += 10) {
      clock.setTimer(() => {
        for (let call = 0; call < 3; call++) {
          calls.execute(server.answer).then(
            () => ends.push({ at, ok: true }),
            () => ends.push({ at, ok: false }),
          )
        }
      }, at)
    }
    const share = (from: number, to: number): number => {
      const within = ends.filter(({ at }) => at >= from && at < to)
      return within.filter(({ ok }) => ok).length / within.length
    }
    const failing = (on: boolean) => (): void => {
      server.failing = on
    }
    clock.setTimer(failing(true), 2_000)
    clock.setTimer(failing(false), 5_000)

    await clock.advance(12_000)

    expect(share(0, 1_900)).toBe(1)
    expect(share(3_000, 5_000)).toBeLessThan(0.2)
    expect(share(5_000 + 2 * resetTimeout, 10_000)).toBeGreaterThanOrEqual(0.99)
    expect(server.sent).toBeLessThanOrEqual(3_000 * 1.1 + 10)
    expect(ends).toHaveLength(3_000)
  })
})

interface Server {
  /** Calls that have reached it. */
  sent: number
  failing: boolean
  readonly answer: () => Promise<string>
}

/** A server whose answers get slower the more calls it works on: overload feeds on itself. */
function overloadable(clock: VirtualClock, capacity: number): Server {
  let working = 0
  const server: Server = {
    sent: 0,
    failing: false,
    async answer() {
      server.sent++
      working++
      const time = server.failing ? 150 : 10 * Math.max(1, working / capacity) ** 2
      await new Promise<void>((resolve) => clock.setTimer(resolve, time))
      working--
      if (server.failing) throw new Error('overloaded')
      return 'answer'
    },
  }
  return server
}
