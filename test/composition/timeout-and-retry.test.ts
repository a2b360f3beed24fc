import { circuitBreaker, pipeline, retry, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { watch } from '../support/calls.ts'

describe('timeout around a retry', () => {
  it('ends the attempt that is under way, and the loop with it', async () => {
    const clock = virtualClock()
    const again = retry({ baseDelay: 10, jitter: 'none', clock })
    const calls = pipeline({ name: 'p', clock }, timeout({ duration: 100, clock }), again)
    const operation = scripted(['fail', 'hang'])

    const call = watch(calls.execute(operation))
    await clock.advance(100)

    expect(call).toMatchObject({ reason: { code: 'ERR_TIMEOUT', duration: 100 } })
    expect(operation.calls).toBe(2)
    expect(operation.signals[1]?.aborted).toBe(true)
    expect(again.stats()).toMatchObject({ retries: 1, inFlight: 0 })
    expect(clock.timers).toEqual([])
  })

  it('ends a pause', async () => {
    const clock = virtualClock()
    // Its own backoff is not bounded by a deadline check: here the pause is longer than thought.
    const again = retry({ backoff: () => 60, clock })
    const calls = pipeline({ name: 'p', clock }, timeout({ duration: 100, clock }), again)
    const operation = scripted(['fail'])

    const call = watch(calls.execute(operation))
    await clock.advance(100)

    expect(call).toEqual({ status: 'rejected', reason: new Error('scripted failure #2') })
    expect(clock.timers).toEqual([])
  })

  it('makes no further attempt, although a timeout is worth one', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'p', clock },
      timeout({ duration: 100, clock }),
      retry({ baseDelay: 10, clock }),
    )
    const operation = scripted(['hang'])
    const call = watch(calls.execute(operation))

    await clock.advance(10_000)

    expect(call.status).toBe('rejected')
    expect(operation.calls).toBe(1)
  })
})

describe('timeout inside a retry', () => {
  it('gives each attempt the full limit', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 3, baseDelay: 10, jitter: 'none', clock }),
      timeout({ duration: 100, clock }),
    )
    const operation = scripted<string>(
      ['hang', { after: 99, error: new Error('slow failure') }, { after: 99, value: 'third' }],
      { clock },
    )

    const call = watch(calls.execute(operation))
    await clock.advance(100 + 10 + 99 + 20 + 99)

    expect(call).toEqual({ status: 'fulfilled', value: 'third' })
    expect(operation.signals.map((signal) => signal?.aborted)).toEqual([true, false, false])
  })

  it('ignores what a deaf first attempt answers while the second one runs', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 1, baseDelay: 0, clock }),
      timeout({ duration: 100, clock }),
    )
    const operation = scripted<string>(
      [
        { after: 150, value: 'late' },
        { after: 90, value: 'second' },
      ],
      { clock },
    )

    const call = watch(calls.execute(operation))
    await clock.advance(189)
    expect(call.status).toBe('pending')
    await clock.advance(1)

    expect(call).toEqual({ status: 'fulfilled', value: 'second' })
    expect(calls.stats()).toMatchObject({ calls: 1, succeeded: 1 })
  })

  it('tells the whole story in a detailed answer', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 3, baseDelay: 10, jitter: 'none', clock }),
      timeout({ duration: 100, clock }),
    )

    const answer = calls.executeDetailed(scripted(['hang', 'fail', 'ok']))
    await clock.advance(1_000)

    expect(await answer).toEqual({
      value: 'ok',
      source: 'primary',
      degraded: false,
      attempts: 3,
      duration: 100 + 10 + 20,
      errors: [expect.objectContaining({ code: 'ERR_TIMEOUT' }), new Error('scripted failure #2')],
    })
  })
})

describe('timeout around a circuit breaker', () => {
  it('is a failure of the dependency when nothing stands between them', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const calls = pipeline({ name: 'p', clock }, timeout({ duration: 50, clock }), breaker)
    for (let call = 0; call < 2; call++) {
      const end = watch(calls.execute(scripted(['hang'])))
      await clock.advance(50)
      expect(end).toMatchObject({ reason: { code: 'ERR_TIMEOUT' } })
    }

    expect(breaker.stats()).toMatchObject({ state: 'open', timedOut: 2 })
  })

  it('is none when it cuts a retry short: the last attempt may just have begun', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const calls = pipeline(
      { name: 'p', clock },
      timeout({ duration: 50, clock }),
      retry({ baseDelay: 49, jitter: 'none', clock }),
      breaker,
    )
    const end = watch(calls.execute(scripted(['fail', 'hang'])))
    await clock.advance(50)

    expect(end).toMatchObject({ reason: { code: 'ERR_TIMEOUT' } })
    expect(breaker.stats()).toMatchObject({ state: 'closed', consecutiveFailures: 1, inFlight: 0 })
    expect(breaker.stats().ignored).toBe(1)
  })
})
