import { describe, expect, it } from 'vitest'
import { countWindow, timeWindow } from '../../core/window.ts'
import type { CircuitBreakerOptions } from './options.ts'
import { TripRules } from './trip-rules.ts'

/** What the rules say after each outcome: f fails, s succeeds, F and S slowly. */
function judge(options: CircuitBreakerOptions, history: string, from = 0): (string | undefined)[] {
  const rules = new TripRules(options)
  return record(rules, history, from)
}

function record(rules: TripRules, history: string, from = 0): (string | undefined)[] {
  return [...history].map((outcome, index) =>
    rules.record(outcome.toLowerCase() === 'f', outcome === outcome.toUpperCase(), from + index),
  )
}

const last = (options: CircuitBreakerOptions, history: string): string | undefined =>
  judge(options, history).at(-1)

describe('failures in a row', () => {
  it('are counted from 5 on by default', () => {
    expect(judge({}, 'fffff')).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      '5 failures in a row',
    ])
  })

  it.each([
    [1, 'f', 'a failure'],
    [2, 'ff', '2 failures in a row'],
    [3, 'ffsff', undefined],
    [3, 'ffsfff', '3 failures in a row'],
    [3, 'FFF', '3 failures in a row'],
  ])('open at exactly %d: %s', (failureThreshold, history, reason) => {
    expect(last({ failureThreshold }, history)).toBe(reason)
  })

  it('are off when there is a rate, unless they are asked for', () => {
    const rated = { failureRate: 1, minimumCalls: 50 }

    expect(last(rated, 'f'.repeat(49))).toBeUndefined()
    expect(last({ slowCallRate: 1, slowCallDuration: 5 }, 'fffff')).toBeUndefined()
    expect(last({ ...rated, failureThreshold: 2 }, 'ff')).toBe('2 failures in a row')
  })
})

describe('rates', () => {
  const half = { failureRate: 0.5, minimumCalls: 4 }

  it('are judged from exactly minimumCalls on, after a success as well', () => {
    expect(judge(half, 'fff')).toEqual([undefined, undefined, undefined])
    expect(last(half, 'ffss')).toBe('50 % of 4 calls failed (limit 50 %)')
    expect(last(half, 'fsss')).toBeUndefined()
  })

  it.each([
    [0.3, 'fffsssssss', '30 % of 10 calls failed (limit 30 %)'],
    [0.3, 'ffssssssss', undefined],
    [0.07, `${'f'.repeat(7)}${'s'.repeat(93)}`, '7 % of 100 calls failed (limit 7 %)'],
    [1 / 3, 'fss', '33.3 % of 3 calls failed (limit 33.3 %)'],
    [1, 'ffff', '100 % of 4 calls failed (limit 100 %)'],
    [1, 'fffs', undefined],
    [0.001, 's'.repeat(1_000).replace('s', 'f'), '0.1 % of 1000 calls failed (limit 0.1 %)'],
  ])('of %d are reached exactly', (failureRate, history, reason) => {
    const minimumCalls = history.length

    expect(last({ failureRate, minimumCalls, window: countWindow(1_000) }, history)).toBe(reason)
  })

  it('of slow calls count successes and failures alike', () => {
    const options = { slowCallRate: 0.5, slowCallDuration: 10, minimumCalls: 4 }

    expect(last(options, 'SsFs')).toBe('50 % of 4 calls were slow (limit 50 %)')
    expect(last(options, 'Ssfs')).toBeUndefined()
  })

  it('combine: any of the rules is enough, failures first', () => {
    const options = { failureRate: 0.5, slowCallRate: 0.5, slowCallDuration: 10, minimumCalls: 2 }

    expect(last(options, 'Ff')).toBe('100 % of 2 calls failed (limit 50 %)')
    expect(last(options, 'sS')).toBe('50 % of 2 calls were slow (limit 50 %)')
    expect(last({ ...options, failureThreshold: 2 }, 'FF')).toBe('2 failures in a row')
  })

  it('look at the last 100 calls by default, from 10 on', () => {
    expect(judge({ failureRate: 0.1 }, 'f'.repeat(9)).at(-1)).toBeUndefined()
    expect(last({ failureRate: 0.1 }, 'f'.repeat(10))).toBe('100 % of 10 calls failed (limit 10 %)')
    const rules = new TripRules({ failureRate: 1 })
    record(rules, `f${'s'.repeat(99)}`)
    expect(rules.failureRate(100)).toBe(0.01)
    record(rules, 's')
    expect(rules.failureRate(101)).toBe(0)
  })

  it('are judged from the size of a smaller count window on', () => {
    const options = { failureRate: 1, window: countWindow(3) }

    expect(judge(options, 'fff')).toEqual([
      undefined,
      undefined,
      '100 % of 3 calls failed (limit 100 %)',
    ])
    expect(last({ failureRate: 1, window: countWindow(50) }, 'f'.repeat(9))).toBeUndefined()
    expect(last({ failureRate: 1, window: countWindow(50) }, 'f'.repeat(10))).toBeDefined()
  })

  it('are judged from 10 calls on in a time window, and forget what has left it', () => {
    const options = { failureRate: 0.5, window: timeWindow(1_000) }
    const rules = new TripRules(options)

    expect(record(rules, 'f'.repeat(9)).at(-1)).toBeUndefined()
    expect(record(rules, 'f', 2_000)).toEqual([undefined])
    expect(record(rules, 'f'.repeat(9), 2_001).at(-1)).toBe('100 % of 10 calls failed (limit 50 %)')
  })
})

describe('what is remembered', () => {
  it('is nothing at first', () => {
    const rules = new TripRules({ failureRate: 0.5, slowCallRate: 0.5, slowCallDuration: 1 })

    expect([rules.consecutiveFailures, rules.failureRate(0), rules.slowCallRate(0)]).toEqual([
      0, 0, 0,
    ])
  })

  it('is shown as shares', () => {
    const rules = new TripRules({ failureRate: 1, slowCallRate: 1, slowCallDuration: 1 })
    record(rules, 'FfsS')
    record(rules, 'ssss')

    expect([rules.consecutiveFailures, rules.failureRate(8), rules.slowCallRate(8)]).toEqual([
      0, 0.25, 0.25,
    ])
  })

  it('is no share at all without a rate', () => {
    const rules = new TripRules({})
    record(rules, 'fff')

    expect([rules.consecutiveFailures, rules.failureRate(3), rules.slowCallRate(3)]).toEqual([
      3, 0, 0,
    ])
  })

  it('is changed by a success only when there is something to change', () => {
    const [plain, rated] = [new TripRules({}), new TripRules({ failureRate: 1 })]

    expect([plain.wantsSuccesses, rated.wantsSuccesses]).toEqual([false, true])
    record(plain, 'f')
    expect(plain.wantsSuccesses).toBe(true)
    record(plain, 's')

    expect(plain.wantsSuccesses).toBe(false)
  })

  it('is forgotten by a reset', () => {
    const rules = new TripRules({ failureRate: 1, failureThreshold: 9 })
    record(rules, 'ffff')

    rules.reset()

    expect([rules.consecutiveFailures, rules.failureRate(9)]).toEqual([0, 0])
  })
})

describe('a snapshot', () => {
  it('continues in other rules of the same options', () => {
    const options = { failureRate: 0.75, minimumCalls: 4, failureThreshold: 9 }
    const [rules, next] = [new TripRules(options), new TripRules(options)]
    record(rules, 'sff')

    next.restore(JSON.parse(JSON.stringify(rules.snapshot(3))), 3)

    expect(next.consecutiveFailures).toBe(2)
    expect(record(next, 'f', 4)).toEqual(['75 % of 4 calls failed (limit 75 %)'])
  })

  it('has no window without a rate', () => {
    const rules = new TripRules({})
    record(rules, 'ff')

    expect(rules.snapshot(2)).toEqual({ consecutiveFailures: 2, window: null })
    rules.restore({ consecutiveFailures: 4, window: null }, 0)
    expect(record(rules, 'f')).toEqual(['5 failures in a row'])
  })

  it('of another kind changes nothing', () => {
    const rules = new TripRules({ failureRate: 1 })
    const other = new TripRules({ failureRate: 1, window: timeWindow(1_000) })
    record(rules, 'ff')
    record(other, 'fff')

    expect(() => rules.restore(other.snapshot(3), 3)).toThrow(TypeError)

    expect([rules.consecutiveFailures, rules.failureRate(3)]).toEqual([2, 1])
  })
})
