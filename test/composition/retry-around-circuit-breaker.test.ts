import { circuitBreaker, pipeline, retry, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { rejection, watch } from '../support/calls.ts'

describe('retry around a circuit breaker', () => {
  it('recovers from a blip without the circuit opening', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 3, clock })
    const calls = pipeline({ name: 'p', clock }, retry({ baseDelay: 10, clock }), breaker)

    const answer = calls.execute(scripted(['fail', 'fail', 'ok']))
    await clock.advance(1_000)

    expect(await answer).toBe('ok')
    expect(breaker.stats()).toMatchObject({ state: 'closed', failed: 2, succeeded: 1, opened: 0 })
  })

  it('sends one trial per cool-down while the dependency is down', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 1_000, clock })
    const calls = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 3, baseDelay: 10, clock }),
      breaker,
    )
    const down = scripted(['fail'])
    for (let ms = 0; ms < 10_000; ms += 100) {
      void calls.execute(down).catch(() => {})
      await clock.advance(100)
    }

    // Two calls open it, then one trial for each of the nine cool-downs that have passed.
    expect(down.calls).toBeLessThanOrEqual(2 + 10)
    expect(down.calls).toBeGreaterThanOrEqual(2 + 8)
  })

  it('counts an attempt that timed out as a failure of its own', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 3, clock })
    const calls = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 2, baseDelay: 10, clock }),
      breaker,
      timeout({ duration: 50, clock }),
    )

    const call = watch(calls.execute(scripted(['hang'])))
    await clock.advance(1_000)

    expect(call).toMatchObject({ status: 'rejected', reason: { code: 'ERR_TIMEOUT' } })
    expect(breaker.stats()).toMatchObject({ state: 'open', timedOut: 3 })
  })

  it('shares the circuit with another pipeline: what one finds out spares the other', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const reads = pipeline(
      { name: 'reads', clock },
      retry({ baseDelay: 1, maxRetries: 1, clock }),
      breaker,
    )
    const writes = pipeline({ name: 'writes', clock }, breaker)
    const call = watch(reads.execute(scripted(['fail'])))
    await clock.advance(100)
    expect(call.status).toBe('rejected')
    const write = scripted(['ok'])

    expect(await rejection(writes.execute(write))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(write.calls).toBe(0)
    expect(breaker.stats()).toMatchObject({ failed: 2, rejected: 1 })
    expect(reads.stats().calls + writes.stats().calls).toBe(2)
  })
})
