import { describe, expect, it } from 'vitest'
import { guarded } from '../../core/guarded-clock.ts'
import { countWindow, timeWindow } from '../../core/window.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import {
  type CircuitBreakerOptions,
  letsThrough,
  readBreakerOptions,
  resetTimeoutOf,
} from './options.ts'

const read = (options: object): CircuitBreakerOptions => readBreakerOptions(options)

describe('the options of a circuit breaker', () => {
  it('may be left out altogether', () => {
    expect(readBreakerOptions({})).toEqual({})
    expect(circuitBreaker().describe()).toMatchObject({ name: 'circuitBreaker', options: {} })
  })

  it('may all be given, at the edges of their ranges', () => {
    const clock = virtualClock()
    const least = {
      name: 'payment',
      clock,
      latency: true,
      failureThreshold: 1,
      failureRate: Number.MIN_VALUE,
      slowCallRate: 1,
      slowCallDuration: 0,
      window: countWindow(1),
      minimumCalls: 1,
      resetTimeout: 0,
      maxRetryAfter: 0,
      halfOpenCalls: 1,
      trialTimeout: Number.MIN_VALUE,
      rampUp: 0,
      isFailure: () => true,
      isFailureResult: () => true,
      mode: 'disabled',
      random: () => 0,
    }

    expect(read(least)).toEqual({ ...least, clock: guarded(clock), random: expect.any(Function) })
    expect(read({ failureRate: 1, window: timeWindow(10), minimumCalls: 1e9 })).toBeDefined()
  })

  it.each<[object, string]>([
    [{ failureThreshold: 0 }, 'failureThreshold'],
    [{ failureThreshold: 1.5 }, 'failureThreshold'],
    [{ failureThreshold: -1 }, 'failureThreshold'],
    [{ failureThreshold: Number.NaN }, 'failureThreshold'],
    [{ failureRate: 0 }, 'failureRate'],
    [{ failureRate: 1.01 }, 'failureRate'],
    [{ failureRate: 50 }, 'failureRate'],
    [{ slowCallRate: 0, slowCallDuration: 5 }, 'slowCallRate'],
    [{ slowCallRate: 0.5, slowCallDuration: -1 }, 'slowCallDuration'],
    [{ slowCallRate: 0.5, slowCallDuration: Number.POSITIVE_INFINITY }, 'slowCallDuration'],
    [{ failureRate: 0.5, minimumCalls: 0 }, 'minimumCalls'],
    [{ failureRate: 0.5, minimumCalls: Number.POSITIVE_INFINITY }, 'minimumCalls'],
    [{ resetTimeout: -1 }, 'resetTimeout'],
    [{ resetTimeout: Number.POSITIVE_INFINITY }, 'resetTimeout'],
    [{ maxRetryAfter: -1 }, 'maxRetryAfter'],
    [{ maxRetryAfter: Number.POSITIVE_INFINITY }, 'maxRetryAfter'],
    [{ halfOpenCalls: 0 }, 'halfOpenCalls'],
    [{ halfOpenCalls: Number.POSITIVE_INFINITY }, 'halfOpenCalls'],
    [{ trialTimeout: 0 }, 'trialTimeout'],
    [{ trialTimeout: Number.POSITIVE_INFINITY }, 'trialTimeout'],
    [{ rampUp: -1 }, 'rampUp'],
    [{ rampUp: Number.POSITIVE_INFINITY }, 'rampUp'],
    [{ mode: 'off' }, 'mode'],
  ])('are refused out of range: %o', (options, option) => {
    expect(() => read(options)).toThrow(`circuitBreaker: ${option} must be`)
    expect(() => read(options)).toThrow(RangeError)
  })

  it.each<[object, string]>([
    [{ failureThreshold: '5' }, 'failureThreshold'],
    [{ failureRate: null }, 'failureRate'],
    [{ failureRate: 0.5, window: 100 }, 'window'],
    [{ failureRate: 0.5, window: null }, 'window'],
    [{ resetTimeout: '30s' }, 'resetTimeout'],
    [{ isFailure: true }, 'isFailure'],
    [{ isFailureResult: 'never' }, 'isFailureResult'],
    [{ random: 0.5 }, 'random'],
    [{ name: 5 }, 'name'],
    [{ clock: Date }, 'clock'],
    [{ latency: 'yes' }, 'latency'],
  ])('are refused of the wrong type: %o', (options, option) => {
    expect(() => read(options)).toThrow(`circuitBreaker: ${option} must be`)
    expect(() => read(options)).toThrow(TypeError)
  })

  it('are refused by names that mean nothing, with the name that was meant', () => {
    expect(() => read({ failureTreshold: 3 })).toThrow(/failureTreshold.*failureThreshold/)
    expect(() => read({ timeout: 3 })).toThrow(TypeError)
  })

  it.each([
    [{ slowCallRate: 0.5 }, TypeError, 'slowCallRate and slowCallDuration need each other'],
    [{ slowCallDuration: 5 }, TypeError, 'slowCallRate and slowCallDuration need each other'],
    [{ window: countWindow(5) }, TypeError, 'window and minimumCalls need failureRate'],
    [{ minimumCalls: 5 }, TypeError, 'window and minimumCalls need failureRate'],
    [
      { failureThreshold: 3, window: timeWindow(5_000) },
      TypeError,
      'window and minimumCalls need failureRate',
    ],
    [
      { failureRate: 0.5, window: countWindow(5), minimumCalls: 6 },
      RangeError,
      'minimumCalls must be at most the size of the window, 5, but was 6 (it could never judge)',
    ],
    [{ failureRate: 0.5, window: { type: 'count', size: 0 } }, RangeError, 'size must be'],
    [
      { failureRate: 0.5, window: { type: 'often' } },
      TypeError,
      'window must be countWindow(size) or timeWindow(duration)',
    ],
  ])('are refused when they contradict each other: %j', (options, kind, message) => {
    expect(() => read(options)).toThrow(kind as typeof Error)
    expect(() => read(options)).toThrow(message)
  })

  it('may ask for as many calls as the window holds', () => {
    const options = { failureRate: 0.5, window: countWindow(5), minimumCalls: 5 }

    expect(read(options)).toEqual(options)
    expect(read({ slowCallRate: 0.5, slowCallDuration: 1, window: countWindow(2) })).toBeDefined()
  })
})

describe('resetTimeoutOf', () => {
  it('is half a minute by default, or what was given, 0 included', () => {
    expect(resetTimeoutOf({}, 1)).toBe(30_000)
    expect(resetTimeoutOf({ resetTimeout: 0 }, 3)).toBe(0)
  })

  it('asks a function how long for the n-th time', () => {
    const resetTimeout = (openings: number): number => 100 * 2 ** openings

    expect([1, 2, 3].map((openings) => resetTimeoutOf({ resetTimeout }, openings))).toEqual([
      200, 400, 800,
    ])
    expect(resetTimeoutOf({ resetTimeout: () => 0 }, 1)).toBe(0)
  })

  it('is never endless', () => {
    const endless = { resetTimeout: () => Number.POSITIVE_INFINITY }

    expect(resetTimeoutOf(endless, 1)).toBe(Number.MAX_SAFE_INTEGER)
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no idea')
      },
    ],
    ['gives NaN', () => Number.NaN],
    ['gives less than nothing', () => -1],
    ['gives nothing', () => undefined],
    ['gives a text', () => '100'],
    ['gives a promise', () => Promise.reject(new Error('no idea'))],
  ])('is half a minute when the function %s', (_what, resetTimeout) => {
    expect(resetTimeoutOf({ resetTimeout: resetTimeout as () => number }, 1)).toBe(30_000)
  })
})

describe('letsThrough', () => {
  it.each([
    [0, 0.0999, true],
    [0, 0.1, false],
    [400, 0.3999, true],
    [400, 0.4, false],
    [1_000, 0.9999, true],
  ])('passes a share that grows with time: after %d of 1000 ms, by chance %d', (...given) => {
    const [elapsed, chance, passes] = given

    expect(letsThrough({ rampUp: 1_000, random: () => chance }, elapsed)).toBe(passes)
  })
})
