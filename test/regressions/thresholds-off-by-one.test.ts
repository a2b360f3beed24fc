import {
  bulkhead,
  circuitBreaker,
  countWindow,
  retry,
  retryBudget,
  timeout,
  timeWindow,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail, openCircuit } from '../support/breakers.ts'
import { caught, rejection } from '../support/calls.ts'

describe('CB14 thresholds are off by one', () => {
  it.each([1, 2, 5, 100])('opens at exactly the failure in a row number %d', async (threshold) => {
    const breaker = circuitBreaker({ failureThreshold: threshold })

    await fail(breaker, threshold - 1)
    expect(breaker.state).toBe('closed')
    await breaker.execute(() => 'fine')
    await fail(breaker, threshold - 1)
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  it('opens at the fifth failure in a row by default', async () => {
    const breaker = circuitBreaker()
    await fail(breaker, 4)
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  const rates: [string, string, number, boolean][] = [
    ['2 of 4', 'ffss', 0.5, true],
    ['1 of 3', 'fss', 0.5, false],
    ['1 of 2', 'fs', 0.5, true],
    ['3 of 10', 'sssssssfff', 0.3, true],
    ['29 of 100', `${'s'.repeat(71)}${'f'.repeat(29)}`, 0.3, false],
    ['1 of 200, rates below 1 %', `${'s'.repeat(199)}f`, 0.005, true],
    ['1 of 201, rates below 1 %', `${'s'.repeat(200)}f`, 0.005, false],
    ['all of 4', 'ffff', 1, true],
    ['3 of 4 when all have to', 'fffs', 1, false],
  ]
  it.each(rates)(
    'judges %s (%s) by a rate of %d as open: %s',
    async (_title, calls, rate, opens) => {
      const minimumCalls = calls.length
      const breaker = circuitBreaker({
        failureRate: rate,
        minimumCalls,
        window: countWindow(1_000),
      })

      for (const call of calls) {
        expect(breaker.state).toBe('closed')
        if (call === 'f') await fail(breaker, 1)
        else await breaker.execute(() => 'fine')
      }

      expect(breaker.state).toBe(opens ? 'open' : 'closed')
    },
  )

  it('judges a rate at exactly minimumCalls', async () => {
    const breaker = circuitBreaker({ failureRate: 0.1, minimumCalls: 10 })
    await fail(breaker, 9)
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  it('forgets what has left the window', async () => {
    const clock = virtualClock()
    const window = timeWindow(1_000)
    const breaker = circuitBreaker({ failureRate: 0.5, window, minimumCalls: 2, clock })
    await fail(breaker, 1)
    await clock.advance(1_101)
    await breaker.execute(() => 'fine')
    await breaker.execute(() => 'fine')
    expect(breaker.stats().failureRate).toBe(0)
  })

  it('calls a call slow from exactly slowCallDuration on', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({
      slowCallRate: 1,
      slowCallDuration: 50,
      minimumCalls: 1,
      clock,
    })

    await breaker.execute(() => clock.advance(49))
    expect(breaker.stats().slowCallRate).toBe(0)
    expect(breaker.state).toBe('closed')
    breaker.reset()
    await breaker.execute(() => clock.advance(50))
    expect(breaker.state).toBe('open')
  })

  it('turns half-open at exactly resetTimeout', async () => {
    const { breaker, clock } = await openCircuit({ resetTimeout: 250 })
    await clock.advance(249)
    expect(breaker.state).toBe('open')
    await clock.advance(1)
    expect(breaker.state).toBe('half-open')
  })
})

describe('CB14 zero is replaced by the default', () => {
  it('honours a resetTimeout of 0', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 0, clock })
    await fail(breaker, 1)

    expect(await breaker.execute(() => 'back')).toBe('back')
  })

  it('honours no retries, no pause and no time for retries', async () => {
    for (const option of [{ maxRetries: 0 }, { maxElapsed: 0 }]) {
      const operation = scripted(['fail'])
      await caught(retry({ baseDelay: 1, ...option }).execute(operation))
      expect(operation.calls).toBe(1)
    }
    const clock = virtualClock()
    const operation = scripted(['fail', 'fail', 'ok'])
    expect(await retry({ baseDelay: 0, clock }).execute(operation)).toBe('ok')
    const capped = scripted(['fail', 'ok'])
    expect(await retry({ maxDelay: 0, clock }).execute(capped)).toBe('ok')
    expect(clock.now()).toBe(0)
  })

  it('honours a budget of nothing', async () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 0 })
    const operation = scripted(['fail', 'ok'])
    await caught(retry({ baseDelay: 0, budget }).execute(operation))
    expect(operation.calls).toBe(1)
  })

  it('honours abandonAfter 0: the slot is free as soon as nobody waits', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, abandonAfter: 0, clock })
    const operation = scripted(['hang', 'ok'])
    const call = caught(slots.execute(operation, { deadline: 10 }))
    await clock.advance(10)
    await call
    await clock.advance(0)

    expect(await slots.execute(operation)).toBe('ok')
  })

  it('refuses at construction a zero that makes no sense', () => {
    const senseless: (() => unknown)[] = [
      () => circuitBreaker({ failureThreshold: 0 }),
      () => circuitBreaker({ failureRate: 0 }),
      () => circuitBreaker({ halfOpenCalls: 0 }),
      () => circuitBreaker({ trialTimeout: 0 }),
      () => timeout(0),
      () => bulkhead({ maxConcurrent: 0 }),
      () => bulkhead({ maxConcurrent: 1, maxWait: 0 }),
      () => retry({ factor: 0 }),
      () => countWindow(0),
      () => timeWindow(0),
    ]

    for (const make of senseless) expect(make).toThrow(RangeError)
  })

  it('refuses at once with no queue', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 0 })
    const operation = scripted(['hang'])
    void caught(slots.execute(operation))

    expect(await rejection(slots.execute(operation))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
  })
})
