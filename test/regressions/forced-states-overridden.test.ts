import { circuitBreaker } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail } from '../support/breakers.ts'
import { caught, gate, rejection } from '../support/calls.ts'

describe('CB16 a state forced by hand is overridden', () => {
  it('stays isolated, whatever the time and whatever comes back', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 100, clock })
    const late = gate<string>()
    const call = breaker.execute(() => late.promise)
    breaker.isolate()
    let called = 0

    for (let round = 0; round < 10; round++) {
      await clock.advance(1_000)
      const error = await rejection(breaker.execute(() => called++))
      expect(error).toMatchObject({ state: 'isolated', retryAfter: Number.POSITIVE_INFINITY })
    }
    late.open('late')
    await call

    expect(breaker.state).toBe('isolated')
    expect(called).toBe(0)
  })

  it.each(['close', 'reset'] as const)('is lifted by %s(), to a clean start', async (lift) => {
    const breaker = circuitBreaker({ failureThreshold: 2 })
    await fail(breaker, 1)
    breaker.isolate()

    breaker[lift]()

    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  it.each(['metrics-only', 'disabled'] as const)('passes every call in mode %s', async (mode) => {
    const breaker = circuitBreaker({ failureThreshold: 2, mode })

    await fail(breaker, 1_000)

    expect(breaker.state).toBe('closed')
    expect(await breaker.execute(() => 'passes')).toBe('passes')
    const { failed, consecutiveFailures } = breaker.stats()
    expect(failed).toBe(1_000)
    if (mode === 'disabled') expect(consecutiveFailures).toBe(0)
  })

  it('lives by its normal rules again once a mode is lifted', async () => {
    const breaker = circuitBreaker({ failureThreshold: 2, mode: 'metrics-only' })
    await fail(breaker, 50)

    breaker.mode = 'enabled'
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  it('closes an open circuit by hand, and the cool-down of before changes nothing', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 100, clock })
    await fail(breaker, 2)
    breaker.close()
    expect(await breaker.execute(() => 'passes')).toBe('passes')

    await clock.advance(100)

    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('closed')
  })

  it('tells of no change when it is forced into the state in which it is', () => {
    const breaker = circuitBreaker()
    const told: string[] = []
    breaker.subscribe((event) => event.type === 'state-change' && told.push(event.to))

    breaker.close()
    breaker.isolate()
    breaker.isolate()
    breaker.reset()
    breaker.reset()

    expect(told).toEqual(['isolated', 'closed'])
  })

  it('refuses a mode that does not exist', () => {
    const breaker = circuitBreaker()

    expect(() => Object.assign(breaker, { mode: 'sometimes' })).toThrow(RangeError)
    expect(breaker.mode).toBe('enabled')
  })

  it('is isolated from inside one of its own calls, which still ends as it ends', async () => {
    const breaker = circuitBreaker()

    const answer = await breaker.execute(() => {
      breaker.isolate()
      return 'answer'
    })

    expect(answer).toBe('answer')
    expect(breaker.state).toBe('isolated')
    expect((await caught(breaker.execute(() => 'no'))).error).toMatchObject({ state: 'isolated' })
  })
})
