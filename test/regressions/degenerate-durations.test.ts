import {
  bulkhead,
  circuitBreaker,
  constant,
  exponential,
  keyed,
  retry,
  retryBudget,
  timeout,
  timeWindow,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail } from '../support/breakers.ts'
import { caught, hangs, watch } from '../support/calls.ts'

/** Every option that is a time, and what makes something of it. */
const makers: [string, (value: never) => unknown][] = [
  ['timeout(ms)', (value) => timeout(value)],
  ['timeout duration', (duration) => timeout({ duration })],
  ['circuitBreaker resetTimeout', (resetTimeout) => circuitBreaker({ resetTimeout })],
  ['circuitBreaker trialTimeout', (trialTimeout) => circuitBreaker({ trialTimeout })],
  ['circuitBreaker rampUp', (rampUp) => circuitBreaker({ rampUp })],
  ['circuitBreaker maxRetryAfter', (maxRetryAfter) => circuitBreaker({ maxRetryAfter })],
  [
    'circuitBreaker slowCallDuration',
    (slowCallDuration) => circuitBreaker({ slowCallRate: 1, slowCallDuration }),
  ],
  ['retry baseDelay', (baseDelay) => retry({ baseDelay })],
  ['retry maxDelay', (maxDelay) => retry({ maxDelay })],
  ['retry maxElapsed', (maxElapsed) => retry({ maxElapsed })],
  ['retry maxRetryAfter', (maxRetryAfter) => retry({ maxRetryAfter })],
  ['bulkhead maxWait', (maxWait) => bulkhead({ maxConcurrent: 1, maxWait })],
  ['bulkhead abandonAfter', (abandonAfter) => bulkhead({ maxConcurrent: 1, abandonAfter })],
  ['keyed idleTime', (idleTime) => keyed(() => retry(), { idleTime })],
  ['retryBudget window', (window) => retryBudget({ window })],
  ['exponential baseDelay', (baseDelay) => exponential({ baseDelay })],
  ['constant delay', (delay) => constant({ delay })],
  ['timeWindow', (duration) => timeWindow(duration)],
]

describe('TO7 degenerate durations', () => {
  it.each(makers)('%s refuses what is no time, naming the value', (_title, make) => {
    for (const value of [-1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      expect(() => make(value as never)).toThrow(RangeError)
      expect(() => make(value as never)).toThrow(String(value))
    }
    for (const value of ['5', null, {}, true, 5n]) {
      expect(() => make(value as never)).toThrow(TypeError)
    }
  })

  it.each(makers)(
    '%s takes undefined for its default, or says that it is needed',
    (_title, make) => {
      const needed = /need|required|must be/
      try {
        make(undefined as never)
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
        expect((error as Error).message).toMatch(needed)
      }
    },
  )

  it.each(makers)(
    '%s takes the largest times for what they are, or refuses them',
    (_title, make) => {
      for (const value of [
        2 ** 31,
        2 ** 32 + 5_000,
        Number.MAX_SAFE_INTEGER,
        Number.POSITIVE_INFINITY,
      ]) {
        try {
          make(value as never)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          expect((error as Error).message).toMatch(/must be/)
        }
      }
    },
  )

  it('lets an infinite timeout never fire and hold no timer', async () => {
    const clock = virtualClock()
    const call = watch(timeout({ duration: Number.POSITIVE_INFINITY, clock }).execute(hangs))

    await clock.advance(2 ** 50)

    expect(call.status).toBe('pending')
    expect(clock.timers).toEqual([])
  })

  it.each([2 ** 31, 2 ** 32 + 5_000])(
    'lets a timeout of %d ms fire then and not before',
    async (duration) => {
      const clock = virtualClock()
      const call = watch(timeout({ duration, clock }).execute(hangs))

      await clock.advance(duration - 1)
      expect(call.status).toBe('pending')
      await clock.advance(1)
      expect(call).toMatchObject({ reason: { code: 'ERR_TIMEOUT', duration } })
    },
  )

  it('treats a deadline alike: infinite is none, the past is now', async () => {
    const clock = virtualClock({ start: 100 })
    const policy = retry({ clock })
    const never = watch(policy.execute(hangs, { deadline: Number.POSITIVE_INFINITY }))
    await clock.advance(1e9)
    expect(never.status).toBe('pending')
    for (const deadline of [0, -1, Number.NEGATIVE_INFINITY]) {
      const { error } = await caught(policy.execute(hangs, { deadline }))
      expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
    }
  })

  it('keeps a circuit open for ages without a timer', async () => {
    const clock = virtualClock()
    const resetTimeout = Number.MAX_SAFE_INTEGER
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout, clock })
    await fail(breaker, 1)
    await clock.advance(2 ** 52)

    expect(breaker.state).toBe('open')
    expect(clock.timers).toEqual([])
  })
})
