import { circuitBreaker, pipeline, retry } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'

describe('CB19 one failure is recorded for a whole retry loop', () => {
  it('counts each attempt, and ends the loop when the circuit opens', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 5, clock })
    const calls = pipeline('calls', retry({ maxRetries: 3, baseDelay: 10, clock }), breaker)
    const down = scripted(['fail'])

    const first = rejection(calls.execute(down))
    await clock.advance(1_000)
    expect(await first).toEqual(new Error('scripted failure #4'))
    expect(down.calls).toBe(4)
    expect(breaker.state).toBe('closed')

    const second = rejection(calls.execute(down))
    await clock.advance(1_000)
    expect(await second).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(down.calls).toBe(5)
    expect(breaker.stats()).toMatchObject({ opened: 1, failed: 5, rejected: 1 })
    expect(clock.timers).toEqual([])
  })

  it('does not retry the refusal of an open circuit, and does not count it', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 1_000, clock })
    const again = retry({ maxRetries: 5, baseDelay: 10, clock })
    const calls = pipeline('calls', again, breaker)
    breaker.isolate()
    const operation = scripted(['ok'])

    const error = await rejection(calls.execute(operation))

    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', state: 'isolated' })
    expect(operation.calls).toBe(0)
    expect(again.stats()).toMatchObject({ retries: 0, gaveUp: { 'not-retryable': 1 } })
    expect(breaker.stats()).toMatchObject({ failed: 0, rejected: 1, consecutiveFailures: 0 })
  })

  it('waits for the cool-down when asked to retry the refusal all the same', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 1_000, clock })
    const calls = pipeline(
      'calls',
      retry({ maxRetries: 2, baseDelay: 10, shouldRetry: () => true, clock }),
      breaker,
    )
    const operation = scripted(['fail', 'ok'])

    const answer = calls.execute(operation)
    await clock.advance(2_000)

    expect(await answer).toBe('ok')
    expect(operation.calls).toBe(2)
    expect(breaker.state).toBe('closed')
  })

  it('counts a whole loop as one when the retry is inside, and says so', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const again = retry({ maxRetries: 3, baseDelay: 0, clock })
    const calls = pipeline('calls', breaker, again)
    const down = scripted(['fail'])

    await rejection(calls.execute(down))
    expect(breaker.stats().consecutiveFailures).toBe(1)
    await rejection(calls.execute(down))
    expect(breaker.state).toBe('open')
    expect(down.calls).toBe(8)
    expect(calls.check().map(({ code }) => code)).toContain('retry-inside-breaker')
  })
})
