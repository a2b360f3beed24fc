import { type Context, circuitBreaker, pipeline, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, times, watch } from '../support/calls.ts'

describe('CB10 the caller’s cancel counts as a failure of the dependency', () => {
  it('stays closed after a thousand aborts, however the function ends by them', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({
      failureThreshold: 2,
      failureRate: 0.1,
      minimumCalls: 1,
      clock,
    })
    const obeys = ({ signal }: Context): Promise<never> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const translates = ({ signal }: Context): Promise<never> =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new Error('ECONNRESET'))),
      )
    const controller = new AbortController()
    const { signal } = controller

    const calls = times(999, (n) =>
      caught(breaker.execute([hangs, obeys, translates][n % 3] as typeof obeys, { signal })),
    )
    await quiet()
    controller.abort()
    await Promise.all(calls)
    await quiet()

    expect(breaker.state).toBe('closed')
    expect(breaker.stats()).toMatchObject({
      aborted: 999,
      failed: 0,
      failureRate: 0,
      consecutiveFailures: 0,
      inFlight: 0,
    })
  })

  it('leaves a row of failures standing: an abort is no success either', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const down = (): Promise<never> => Promise.reject(new Error('down'))
    await caught(breaker.execute(down))
    const controller = new AbortController()
    const aborted = caught(breaker.execute(hangs, { signal: controller.signal }))
    controller.abort()
    await aborted

    await caught(breaker.execute(down))

    expect(breaker.state).toBe('open')
  })

  it('counts our own timeout', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const both = pipeline('both', breaker, timeout({ duration: 50, clock }))
    const calls = times(2, () => caught(both.execute(hangs)))

    await clock.advance(50)
    await Promise.all(calls)

    expect(breaker.state).toBe('open')
  })

  it('does not count the deadline that the caller brought along', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const call = caught(breaker.execute(hangs, { deadline: 20 }))

    await clock.advance(20)

    expect((await call).error).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(breaker.state).toBe('closed')
  })
})

describe('CB11 one abort controller for the whole policy', () => {
  it('times one call out and leaves the others and the later ones alone', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    const short = pipeline('short', breaker, timeout({ duration: 50, clock }))
    const long = pipeline('long', breaker, timeout({ duration: 5_000, clock }))
    const signals: AbortSignal[] = []
    const slow = ({ signal }: Context): Promise<string> => {
      signals.push(signal)
      return new Promise((resolve) => clock.setTimer(() => resolve('answer'), 100))
    }

    const first = watch(short.execute(slow))
    const second = watch(long.execute(slow))
    await clock.advance(50)
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'ERR_TIMEOUT' } })
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    const third = watch(long.execute(slow))
    await clock.advance(200)

    expect(second).toEqual({ status: 'fulfilled', value: 'answer' })
    expect(third).toEqual({ status: 'fulfilled', value: 'answer' })
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false])
    expect(new Set(signals).size).toBe(3)
  })
})
