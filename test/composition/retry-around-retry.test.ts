import { circuitBreaker, fallback, pipeline, retry } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { rejection, watch } from '../support/calls.ts'

describe('retry around a retry', () => {
  it('multiplies: each round of the outer one begins the inner one anew', async () => {
    const clock = virtualClock()
    const outer = retry({ name: 'outer', maxRetries: 2, baseDelay: 100, jitter: 'none', clock })
    const inner = retry({ name: 'inner', maxRetries: 1, baseDelay: 10, jitter: 'none', clock })
    const calls = pipeline({ name: 'p', clock }, outer, inner)
    const operation = scripted(['fail'])
    const attempts: number[] = []

    const call = watch(
      calls.execute((context) => {
        attempts.push(context.attempt)
        return operation(context)
      }),
    )
    await clock.advance(10_000)

    expect(call.reason).toEqual(new Error('scripted failure #6'))
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6])
    expect(outer.stats()).toMatchObject({ retries: 2, calls: 1, failed: 1 })
    expect(inner.stats()).toMatchObject({ retries: 3, calls: 3, failed: 3 })
    expect(calls.worstCase().mostCalls).toBe(6)
  })

  it('takes the same pauses in each round', async () => {
    const clock = virtualClock()
    const pauses: number[] = []
    const outer = retry({ maxRetries: 1, baseDelay: 1_000, jitter: 'none', clock })
    const inner = retry({
      maxRetries: 2,
      baseDelay: 10,
      jitter: 'none',
      onRetry: ({ delay }) => pauses.push(delay),
      clock,
    })
    const call = watch(pipeline({ name: 'p', clock }, outer, inner).execute(scripted(['fail'])))
    await clock.advance(10_000)

    expect(call.status).toBe('rejected')
    expect(pauses).toEqual([10, 20, 10, 20])
  })
})

describe('a fallback inside a retry', () => {
  it('tries its steps anew in each round, when they fail', async () => {
    const steps = [scripted(['fail']), scripted(['fail', 'ok'])]
    const calls = pipeline(
      'p',
      retry({ maxRetries: 1, baseDelay: 0, shouldRetry: () => true }),
      fallback(...steps.map((step) => () => step())),
    )

    expect(await calls.execute(scripted(['fail']))).toBe('ok')
    expect(steps.map((step) => step.calls)).toEqual([2, 2])
  })
})

describe('retry of refusals', () => {
  it('does not recurse: 50,000 immediate retries of an isolated circuit end with its error', async () => {
    const breaker = circuitBreaker()
    breaker.isolate()
    const calls = pipeline(
      'p',
      retry({ maxRetries: 50_000, baseDelay: 0, maxRetryAfter: 0, shouldRetry: () => true }),
      breaker,
    )

    expect(await rejection(calls.execute(() => 'never'))).toMatchObject({ state: 'isolated' })
    expect(breaker.stats().rejected).toBe(50_001)
  })
})
