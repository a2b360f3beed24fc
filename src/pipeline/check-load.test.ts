import {
  adaptiveConcurrency,
  bulkhead,
  constant,
  hedge,
  type PolicyLike,
  pipeline,
  rateLimiter,
  retry,
  timeout,
  type WorstCase,
} from 'holdfast'
import { describe, expect, it } from 'vitest'

const twice = hedge({ name: 'twice', delay: 100 })
const pace = rateLimiter({ name: 'pace', limit: 5, maxQueue: 5, maxWait: 400 })
const slots = bulkhead({ name: 'slots', maxConcurrent: 5, maxQueue: 5, maxWait: 300 })
const again = retry({
  name: 'again',
  maxRetries: 2,
  backoff: constant({ delay: 100, jitter: 'none' }),
})
const limit = timeout({ name: 'limit', duration: 1_000 })

const found = (...policies: readonly PolicyLike<unknown>[]): unknown[] =>
  pipeline('stack', ...policies)
    .check()
    .map(({ code, policies: names }) => [code, ...names])
const worst = (...policies: readonly PolicyLike<unknown>[]): WorstCase =>
  pipeline('stack', ...policies).worstCase()

describe('check', () => {
  it('finds nothing wrong where each call is governed', () => {
    expect(found(again, pace, twice, slots, limit)).toEqual([])
    expect(found(again, adaptiveConcurrency(), limit)).toEqual([])
  })

  it('finds calls that multiply: a hedge outside a retry', () => {
    expect(found(twice, again, limit)).toEqual([['hedge-outside-retry', 'twice', 'again']])
  })

  it.each([slots, adaptiveConcurrency({ name: 'slots' })])(
    'finds a slot that serves several calls at a time',
    (outside) => {
      expect(found(outside, twice, limit)).toEqual([['bulkhead-outside-hedge', 'slots', 'twice']])
    },
  )

  it('finds a rate that does not count the retries', () => {
    expect(found(pace, again, limit)).toEqual([['rate-limit-outside-retry', 'pace', 'again']])
  })
})

describe('the worst case', () => {
  it('counts the further calls of a hedge', () => {
    expect(worst(hedge({ delay: 5, maxHedges: 3 }), limit).mostCalls).toBe(4)
    expect(worst(again, twice, limit).mostCalls).toBe(6)
  })

  it('is one more delay for each further call, or one more call if that is shorter', () => {
    expect(worst(twice, limit).plannedTime).toBe(1_100)
    expect(worst(hedge({ delay: 100, maxHedges: 3 }), limit).plannedTime).toBe(1_300)
    expect(worst(hedge({ delay: 5_000 }), limit).plannedTime).toBe(2_000)
    expect(worst(hedge({ percentile: 0.9, delay: 5 }), limit).plannedTime).toBe(2_000)
  })

  it('contains the wait for a turn, if one may wait', () => {
    expect(worst(pace, limit).plannedTime).toBe(1_400)
    expect(worst(rateLimiter({ limit: 5 }), limit).plannedTime).toBe(1_000)
    expect(worst(adaptiveConcurrency({ maxQueue: 1, maxWait: 50 }), limit).plannedTime).toBe(1_050)
  })
})
