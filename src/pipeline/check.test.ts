import {
  bulkhead,
  circuitBreaker,
  constant,
  fallback,
  type PolicyLike,
  pipeline,
  retry,
  timeout,
  type WorstCase,
} from 'holdfast'
import { describe, expect, it } from 'vitest'
import type { Finding } from './check.ts'

const guess = fallback({ steps: [() => 'guess'], name: 'guess' })
const again = retry({
  name: 'again',
  maxRetries: 2,
  backoff: constant({ delay: 100, jitter: 'none' }),
})
const circuit = circuitBreaker({ name: 'circuit' })
const slots = bulkhead({ name: 'slots', maxConcurrent: 5, maxQueue: 5, maxWait: 300 })
const limit = (duration: number, name = 'limit') => timeout({ name, duration })

const check = (...policies: readonly PolicyLike<unknown>[]): readonly Finding[] =>
  pipeline('stack', ...policies).check()
const codes = (...policies: readonly PolicyLike<unknown>[]): string[] =>
  check(...policies).map(({ code }) => code)
const worst = (...policies: readonly PolicyLike<unknown>[]): WorstCase =>
  pipeline('stack', ...policies).worstCase()

describe('check', () => {
  it('finds nothing wrong with the standard order', () => {
    expect(check(guess, again, circuit, slots, limit(1_000))).toEqual([])
    expect(check(guess, limit(10_000), again, circuit, slots, limit(1_000))).toEqual([])
  })

  it('finds a fallback inside a retry', () => {
    expect(check(again, guess, limit(5))).toEqual([
      {
        code: 'fallback-inside-retry',
        message:
          '"guess" inside "again": the fallback turns every failure into an answer, so nothing is ever retried; put the fallback outside',
        policies: ['again', 'guess'],
      },
    ])
  })

  it('finds a fallback inside a breaker', () => {
    expect(check(circuit, guess, limit(5))).toEqual([
      {
        code: 'fallback-inside-breaker',
        message:
          '"guess" inside "circuit": the breaker sees only answers, so it never opens; put the fallback outside',
        policies: ['circuit', 'guess'],
      },
    ])
  })

  it('finds a retry inside a breaker', () => {
    expect(check(circuit, again, limit(5))).toEqual([
      {
        code: 'retry-inside-breaker',
        message:
          '"again" inside "circuit": a whole retry loop counts as one outcome, so the circuit opens late; put the retry outside',
        policies: ['circuit', 'again'],
      },
    ])
  })

  it('finds a bulkhead outside a retry', () => {
    expect(check(slots, again, limit(5))).toEqual([
      {
        code: 'bulkhead-outside-retry',
        message:
          '"again" inside "slots": the slot is held while backoff sleeps; put the bulkhead inside',
        policies: ['slots', 'again'],
      },
    ])
  })

  it('finds a total that one attempt cannot fit', () => {
    const finding = {
      code: 'timeout-shorter-than-attempt',
      message:
        '"total" of 500 ms ends before one attempt of 500 ms ("each") can: nothing is ever retried after a timeout; lengthen the total or shorten the attempt',
      policies: ['total', 'again', 'each'],
    }

    expect(check(limit(500, 'total'), again, limit(500, 'each'))).toEqual([finding])
    expect(codes(limit(500), again, limit(600))).toEqual(['timeout-shorter-than-attempt'])
  })

  it('finds a total that the planned attempts cannot fit, to the millisecond', () => {
    // Three attempts of 1,000 ms and two pauses of 100 ms.
    expect(check(limit(3_199, 'total'), again, limit(1_000, 'each'))).toEqual([
      {
        code: 'timeout-shorter-than-retries',
        message:
          '"total" of 3199 ms cannot fit what "again" plans: 3200 ms for 3 attempts; plan fewer or shorter ones, or lengthen the total',
        policies: ['total', 'again', 'each'],
      },
    ])
    expect(check(limit(3_200, 'total'), again, limit(1_000, 'each'))).toEqual([])
    expect(codes(limit(3_200), again, slots, limit(1_000))).toEqual([
      'timeout-shorter-than-retries',
    ])
    expect(codes(limit(4_100), again, slots, limit(1_000))).toEqual([])
  })

  it('takes an endless plan for one that no total can fit, unless maxElapsed ends it', () => {
    const backoff = constant({ delay: 10, jitter: 'none' })
    const endless = retry({ maxRetries: Number.POSITIVE_INFINITY, backoff })
    const bounded = retry({ maxRetries: Number.POSITIVE_INFINITY, backoff, maxElapsed: 500 })

    expect(check(limit(9_000, 'total'), endless, limit(100, 'each'))).toMatchObject([
      { message: expect.stringContaining('plans: unboundedly long for Infinity attempts') },
    ])
    expect(codes(limit(600), bounded, limit(100))).toEqual([])
    expect(codes(limit(599), bounded, limit(100))).toEqual(['timeout-shorter-than-retries'])
  })

  it('finds a total that the pauses alone cannot fit', () => {
    expect(check(limit(200, 'total'), again)).toEqual([
      {
        code: 'timeout-shorter-than-retries',
        message:
          '"total" of 200 ms cannot fit the pauses of "again" alone, up to 200 ms: its last attempts are never made; plan fewer or shorter ones, or lengthen the total',
        policies: ['total', 'again'],
      },
    ])
    expect(check(limit(201), again)).toEqual([])
  })

  it('makes no guess about a backoff of the user’s own', () => {
    const own = retry({ maxRetries: 2, backoff: () => 60_000 })

    expect(codes(limit(400), own, limit(100))).toEqual([])
    expect(codes(limit(400), own)).toEqual([])
  })

  it('finds an inner limit that is not shorter than the outer one', () => {
    expect(check(limit(100, 'outer'), circuit, limit(100, 'inner'))).toEqual([
      {
        code: 'inner-timeout-longer',
        message:
          '"inner" waits 100 ms inside "outer" of 100 ms, so it never fires; make the inner one shorter',
        policies: ['outer', 'inner'],
      },
    ])
    expect(check(limit(100), limit(99))).toEqual([])
  })

  it('finds that nothing limits a call', () => {
    const finding = {
      code: 'no-timeout',
      message:
        'nothing limits how long a call may take: a dependency that hangs holds its callers, and no circuit notices; add timeout(ms) as the innermost policy',
      policies: [],
    }

    expect(check(circuit)).toEqual([finding])
    expect(check()).toEqual([finding])
    expect(check(again, limit(Number.POSITIVE_INFINITY))).toEqual([finding])
  })

  it('takes an endless limit for none', () => {
    const endless = limit(Number.POSITIVE_INFINITY)

    expect(codes(endless, again, limit(100))).toEqual([])
    expect(codes(limit(100), endless)).toEqual([])
    expect(codes(limit(300), again, endless)).toEqual([])
  })

  it('finds the same instance twice', () => {
    expect(check(circuit, limit(5), circuit)).toEqual([
      {
        code: 'same-instance-twice',
        message:
          '"circuit" stands in this pipeline twice: each call passes and counts twice; use it once, or make a second one',
        policies: ['circuit'],
      },
    ])
    expect(codes(circuitBreaker(), circuitBreaker(), limit(5))).toEqual([])
  })

  it('finds everything at once, from the outside in', () => {
    expect(codes(slots, circuit, again, guess)).toEqual([
      'bulkhead-outside-retry',
      'retry-inside-breaker',
      'fallback-inside-breaker',
      'fallback-inside-retry',
      'no-timeout',
    ])
  })

  it('looks into pipelines inside pipelines', () => {
    expect(codes(again, pipeline('inner', guess, limit(5)))).toEqual(['fallback-inside-retry'])
  })

  it('looks behind policies of the user’s own', () => {
    const custom: PolicyLike = { execute: (operation) => pipeline('custom').execute(operation) }

    expect(codes(circuit, custom, again, limit(5))).toEqual(['retry-inside-breaker'])
    expect(codes(pipeline('outer', custom, limit(5)))).toEqual([])
  })
})

describe('worstCase', () => {
  it('is one call and no bound for nothing at all', () => {
    expect(worst()).toEqual({ plannedTime: null, longestTime: null, mostCalls: 1 })
    expect(worst(circuit, guess)).toEqual({ plannedTime: null, longestTime: null, mostCalls: 1 })
  })

  it('is a limit', () => {
    expect(worst(limit(250))).toEqual({ plannedTime: 250, longestTime: 250, mostCalls: 1 })
    expect(worst(limit(250), limit(100))).toEqual({
      plannedTime: 100,
      longestTime: 100,
      mostCalls: 1,
    })
    expect(worst(limit(Number.POSITIVE_INFINITY))).toEqual({
      plannedTime: null,
      longestTime: null,
      mostCalls: 1,
    })
  })

  it('adds the wait for a slot, if there is one to wait for', () => {
    expect(worst(slots, limit(250)).longestTime).toBe(550)
    expect(worst(bulkhead({ maxConcurrent: 1 }), limit(250)).longestTime).toBe(250)
    expect(worst(limit(400), slots, limit(250)).longestTime).toBe(400)
    const patient = bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: Number.POSITIVE_INFINITY })
    expect(worst(patient, limit(250)).longestTime).toBe(null)
  })

  it('multiplies by the attempts and adds the pauses that a server may ask for', () => {
    const quick = { maxRetries: 2, maxRetryAfter: 0 }
    const backoff = constant({ delay: 100, jitter: 'none' })

    expect(worst(retry({ ...quick, backoff }), limit(250))).toEqual({
      plannedTime: 3 * 250 + 200,
      longestTime: 3 * 250 + 200,
      mostCalls: 3,
    })
    expect(worst(retry({ maxRetries: 2, backoff, maxRetryAfter: 5_000 }), limit(250))).toEqual({
      plannedTime: 3 * 250 + 200,
      longestTime: 3 * 250 + 10_000,
      mostCalls: 3,
    })
    expect(worst(retry({ ...quick, backoff }), slots, limit(250)).longestTime).toBe(3 * 550 + 200)
    expect(worst(again, again, limit(1)).mostCalls).toBe(9)
  })

  it('is bounded by maxElapsed and one more attempt', () => {
    const bounded = { maxRetries: Number.POSITIVE_INFINITY, maxElapsed: 1_000 }

    expect(worst(retry(bounded), limit(250))).toEqual({
      plannedTime: 1_250,
      longestTime: 1_250,
      mostCalls: null,
    })
    expect(worst(retry({ maxElapsed: 1_000 })).longestTime).toBe(null)
  })

  it('has no bound where a retry has none, and one where a total has one', () => {
    const endless = retry({ maxRetries: Number.POSITIVE_INFINITY })

    expect(worst(endless, limit(250))).toEqual({
      plannedTime: null,
      longestTime: null,
      mostCalls: null,
    })
    expect(worst(limit(5_000), endless, limit(250))).toEqual({
      plannedTime: 5_000,
      longestTime: 5_000,
      mostCalls: null,
    })
  })

  it('knows nothing of what a user’s own policy or backoff does', () => {
    const custom: PolicyLike = { execute: (operation) => pipeline('custom').execute(operation) }

    expect(worst(custom, limit(250))).toEqual({
      plannedTime: null,
      longestTime: null,
      mostCalls: null,
    })
    expect(worst(limit(900), custom, limit(250))).toEqual({
      plannedTime: 900,
      longestTime: 900,
      mostCalls: null,
    })
    expect(worst(retry({ maxRetries: 1, backoff: () => 5 }), limit(250))).toEqual({
      plannedTime: 500,
      longestTime: null,
      mostCalls: 2,
    })
  })

  it('looks into pipelines inside pipelines', () => {
    const inner = pipeline('inner', retry({ maxRetries: 1, maxRetryAfter: 0, baseDelay: 0 }))

    expect(worst(inner, limit(250))).toEqual({ plannedTime: 500, longestTime: 500, mostCalls: 2 })
  })
})
