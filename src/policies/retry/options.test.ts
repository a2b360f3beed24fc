import { constant, exponential, retryBudget } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { guarded } from '../../core/guarded-clock.ts'
import { ownBackoff, plannedPauses, readRetryOptions } from './options.ts'
import { retry } from './retry.ts'

const read = (options: object): unknown => readRetryOptions(options)

describe('the options of a retry', () => {
  it('may be left out altogether', () => {
    expect(read({})).toEqual({})
    expect(retry().describe().options).toEqual({
      maxRetries: 3,
      baseDelay: 1_000,
      factor: 2,
      maxDelay: 30_000,
      jitter: 0.2,
      maxRetryAfter: 30_000,
    })
  })

  it('may all be given, at the edges of their ranges', () => {
    const hook = (): undefined => undefined
    const clock = virtualClock()
    const least = {
      name: 'payment',
      clock,
      latency: false,
      maxRetries: 0,
      baseDelay: 0,
      factor: 1,
      maxDelay: 0,
      jitter: 0,
      maxRetryAfter: 0,
      maxElapsed: 0,
      shouldRetry: hook,
      shouldRetryResult: () => false,
      budget: retryBudget(),
      beforeAttempt: hook,
      afterAttempt: hook,
      onRetry: hook,
      onGiveUp: hook,
      random: () => 0,
    }

    expect(read(least)).toEqual({ ...least, clock: guarded(clock), random: expect.any(Function) })
    expect(read({ maxRetries: Number.POSITIVE_INFINITY })).toBeDefined()
    expect(
      read({ maxElapsed: Number.POSITIVE_INFINITY, baseDelay: 50, maxDelay: 50 }),
    ).toBeDefined()
  })

  it.each<[object, typeof Error, string]>([
    [{ maxRetries: -1 }, RangeError, 'maxRetries must be'],
    [{ maxRetries: 1.5 }, RangeError, 'maxRetries must be'],
    [{ maxRetries: Number.NaN }, RangeError, 'maxRetries must be'],
    [{ maxRetries: '3' }, TypeError, 'maxRetries must be'],
    [{ backoff: 100 }, TypeError, 'backoff must be'],
    [{ backoff: [100, 200] }, TypeError, 'backoff must be'],
    [{ baseDelay: -1 }, RangeError, 'baseDelay must be'],
    [{ baseDelay: Number.POSITIVE_INFINITY }, RangeError, 'baseDelay must be'],
    [{ factor: 0.5 }, RangeError, 'factor must be'],
    [{ maxDelay: -1 }, RangeError, 'maxDelay must be'],
    [{ maxDelay: Number.POSITIVE_INFINITY }, RangeError, 'maxDelay must be'],
    [{ jitter: 1.5 }, RangeError, 'jitter must be'],
    [{ jitter: 'some' }, RangeError, 'jitter must be'],
    [{ maxRetryAfter: -1 }, RangeError, 'maxRetryAfter must be'],
    [{ maxElapsed: -1 }, RangeError, 'maxElapsed must be'],
    [{ shouldRetry: true }, TypeError, 'shouldRetry must be'],
    [{ shouldRetryResult: 'no' }, TypeError, 'shouldRetryResult must be'],
    [{ budget: {} }, TypeError, 'budget must be'],
    [{ budget: { deposit: () => undefined } }, TypeError, 'budget must be'],
    [{ beforeAttempt: 1 }, TypeError, 'beforeAttempt must be'],
    [{ afterAttempt: 1 }, TypeError, 'afterAttempt must be'],
    [{ onRetry: 1 }, TypeError, 'onRetry must be'],
    [{ onGiveUp: 1 }, TypeError, 'onGiveUp must be'],
    [{ random: 4 }, TypeError, 'random must be'],
    [{ retries: 3 }, TypeError, 'retries'],
  ])('are refused with the option and its range: %o', (options, kind, message) => {
    expect(() => read(options)).toThrow(kind)
    expect(() => read(options)).toThrow(`retry: `)
    expect(() => read(options)).toThrow(message)
  })

  it('cannot begin beyond the longest delay', () => {
    expect(() => read({ baseDelay: 101, maxDelay: 100 })).toThrow(
      'retry: baseDelay must be at most maxDelay, 100 ms, but was 101',
    )
    expect(() => read({ baseDelay: 30_001 })).toThrow('at most maxDelay, 30000 ms, but was 30001')
    expect(() => read({ baseDelay: 30_001 })).toThrow(RangeError)
    expect(read({ baseDelay: 30_000 })).toBeDefined()
  })

  it.each([{ baseDelay: 5 }, { factor: 2 }, { jitter: 'none' }])(
    'cannot shape a backoff that somebody else made: %o',
    (shape) => {
      const [name] = Object.keys(shape)

      expect(() => read({ backoff: constant(5), ...shape })).toThrow(TypeError)
      expect(() => read({ backoff: constant(5), ...shape })).toThrow(
        `retry: ${name} belongs to the backoff that retry makes itself`,
      )
    },
  )

  it('may cap a backoff that somebody else made', () => {
    expect(read({ backoff: constant(5), maxDelay: 3 })).toBeDefined()
  })
})

describe('ownBackoff', () => {
  it('is the exponential one of the options', () => {
    const shape = { baseDelay: 10, factor: 3, maxDelay: 200, jitter: 'none' } as const
    const state = { random: () => 0.5, previous: 0 }

    expect([1, 2, 3, 4].map((retry_) => ownBackoff(shape)(retry_, state))).toEqual([
      10, 30, 90, 200,
    ])
  })
})

describe('plannedPauses', () => {
  it('adds up the pauses when chance is at its worst', () => {
    const shape = { baseDelay: 100, factor: 2, maxDelay: 1_000 }

    expect(plannedPauses(exponential({ ...shape, jitter: 'none' }), 3, 1_000)).toBe(700)
    expect(plannedPauses(exponential({ ...shape, jitter: 0.5 }), 2, 1_000)).toBeCloseTo(450)
    expect(plannedPauses(constant({ delay: 500, jitter: 'none' }), 4, 200)).toBe(800)
  })

  it('is nothing without a retry', () => {
    expect(plannedPauses(constant(500), 0, 1_000)).toBe(0)
  })

  it('grows with the pause before where the backoff does', () => {
    const backoff = exponential({ baseDelay: 10, maxDelay: 10_000, jitter: 'decorrelated' })

    expect(plannedPauses(backoff, 2, 10_000)).toBeGreaterThan(
      plannedPauses(backoff, 1, 10_000) ?? 0,
    )
  })

  it('is as good as endless beyond a thousand retries', () => {
    expect(plannedPauses(constant({ delay: 1, jitter: 'none' }), 1_000, 10)).toBe(1_000)
    expect(plannedPauses(constant(1), 1_001, 10)).toBe(Number.POSITIVE_INFINITY)
  })

  it('does not ask a function of the user’s own, which would count it', () => {
    let asked = 0
    const own = (): number => ++asked

    expect(plannedPauses(own, 3, 1_000)).toBeUndefined()
    expect(asked).toBe(0)
  })
})
