import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, times } from '../support/calls.ts'

describe('CB20 a dependency that hangs never trips the circuit', () => {
  it('is cut off after threshold timeouts, and never holds more than its bulkhead', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 5, resetTimeout: 60_000, clock })
    const slots = bulkhead({ maxConcurrent: 10, maxQueue: 20, clock })
    const calls = pipeline(
      'calls',
      retry({ maxRetries: 1, baseDelay: 100, clock }),
      breaker,
      slots,
      timeout({ duration: 1_000, clock }),
    )
    let running = 0
    let most = 0
    const hang = (): Promise<never> => {
      most = Math.max(most, ++running)
      return hangs()
    }

    const ends = times(1_000, () => caught(calls.execute(hang)))
    await clock.advance(1_000)
    expect(breaker.state).toBe('open')
    await clock.advance(40_000)

    expect(await Promise.all(ends)).toHaveLength(1_000)
    expect(most).toBe(10)
    expect(slots.stats().running).toBeLessThanOrEqual(10)
    const { error } = await caught(calls.execute(hang))
    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(running).toBe(10)
  })

  it('answers everybody by the fallback meanwhile', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'calls', clock },
      fallback(() => 'last known'),
      circuitBreaker({ failureThreshold: 5, clock }),
      timeout({ duration: 1_000, clock }),
    )
    const answers = times(20, () => calls.execute(hangs))
    await clock.advance(1_000)

    expect(new Set(await Promise.all(answers))).toEqual(new Set(['last known']))
    expect(await calls.execute(hangs)).toBe('last known')
  })

  it('trips on calls that are slow and come back', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({
      slowCallRate: 0.5,
      slowCallDuration: 200,
      minimumCalls: 4,
      clock,
    })
    const slow = (): Promise<void> => new Promise((done) => clock.setTimer(done, 300))

    const calls = times(4, () => breaker.execute(slow))
    await clock.advance(300)
    await Promise.all(calls)

    expect(breaker.state).toBe('open')
    expect(breaker.stats().failed).toBe(0)
  })

  it('says that nothing limits the time when there is no timeout', () => {
    const findings = pipeline('calls', circuitBreaker()).check()

    expect(findings.map(({ code }) => code)).toEqual(['no-timeout'])
  })
})
