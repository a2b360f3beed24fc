import {
  bulkhead,
  type Clock,
  circuitBreaker,
  keyed,
  retry,
  retryBudget,
  timeout,
  timeWindow,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail, openCircuit } from '../support/breakers.ts'
import { caught, gate, hangs, quiet, watch } from '../support/calls.ts'

const hour = 3_600_000

describe('CB13 the wall clock steps', () => {
  it.each([hour, -hour])('changes no cool-down (by %d ms)', async (step) => {
    const { breaker, clock } = await openCircuit()

    clock.setWallTime(clock.wallTime() + step)
    await clock.advance(999)
    expect(breaker.state).toBe('open')
    await clock.advance(1)
    expect(breaker.state).toBe('half-open')
  })

  it.each([hour, -hour])(
    'changes no timeout, no backoff and no wait in line (by %d ms)',
    async (step) => {
      const clock = virtualClock()
      const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: 100, clock })
      void caught(slots.execute(hangs))
      let attempts = 0
      const calls = [
        watch(timeout({ duration: 100, clock }).execute(hangs)),
        watch(slots.execute(hangs)),
        watch(
          retry({ maxRetries: 1, baseDelay: 100, jitter: 'none', clock }).execute(() => {
            attempts++
            return Promise.reject(new Error('down'))
          }),
        ),
      ]

      clock.setWallTime(clock.wallTime() + step)
      await clock.advance(99)
      expect(calls.map(({ status }) => status)).toEqual(['pending', 'pending', 'pending'])
      expect(attempts).toBe(1)
      await clock.advance(1)
      expect(calls.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
      expect(attempts).toBe(2)
    },
  )

  it('lets a window neither forget nor keep for ever when monotonic time steps back', async () => {
    const clock = steppingClock()
    const breaker = circuitBreaker({
      failureRate: 0.5,
      window: timeWindow(1_000),
      minimumCalls: 4,
      resetTimeout: 1_000,
      slowCallRate: 1,
      slowCallDuration: 500,
      clock,
    })
    clock.time = 5_000
    await fail(breaker, 3)
    clock.time = 1_000
    await breaker.execute(() => 'fine')
    const { failureRate, slowCallRate } = breaker.stats()
    expect(failureRate).toBeGreaterThanOrEqual(0)
    expect(failureRate).toBeLessThanOrEqual(1)
    expect(slowCallRate).toBe(0)

    await fail(breaker, 8)
    expect(breaker.state).toBe('open')
    clock.time += 1_000
    expect(breaker.state).toBe('half-open')
  })

  it('reports no negative times when monotonic time steps back', async () => {
    const clock = steppingClock()
    clock.time = 5_000
    const breaker = circuitBreaker({ latency: true, failureThreshold: 1, clock })
    const answer = gate<string>()
    const durations: number[] = []
    breaker.subscribe((event) => event.type === 'call' && durations.push(event.duration))
    const call = breaker.executeDetailed(() => answer.promise)
    clock.time = 1_000
    answer.open('answer')

    expect((await call).duration).toBeGreaterThanOrEqual(0)
    expect(durations).toEqual([0])
    expect(breaker.stats().latency).toMatchObject({ count: 1, max: 0 })
    await fail(breaker, 1)
    clock.time = 0
    expect(breaker.stats().retryAfter).toBeGreaterThanOrEqual(0)
  })

  it('keeps a budget and a set of keys working when time stands still or steps back', async () => {
    const clock = steppingClock()
    clock.time = 50_000
    const budget = retryBudget({ ratio: 0.5, minPerSecond: 0, clock })
    const policies = keyed(() => circuitBreaker({ clock }), { maxKeys: 2, idleTime: 1_000, clock })
    for (const time of [50_000, 10_000, 10_000, 90_000]) {
      clock.time = time
      budget.deposit()
      budget.deposit()
      expect(budget.tryWithdraw()).toBe(true)
      expect(await policies.execute(`key at ${time}`, () => 'fine')).toBe('fine')
      expect(policies.size).toBeLessThanOrEqual(2)
    }
    const { calls, retries, remaining } = budget.stats()
    for (const count of [calls, retries, remaining]) expect(count).toBeGreaterThanOrEqual(0)
    await quiet()
  })
})

/** A monotonic clock that is not. Its timers never fire: only lazily derived time counts. */
function steppingClock(): Clock & { time: number } {
  return {
    time: 0,
    now() {
      return this.time
    },
    wallTime() {
      return this.time
    },
    setTimer: () => ({ cancel() {}, ref() {}, unref() {} }),
  }
}
