import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, watch } from '../support/calls.ts'

describe('policies on a clock of the test', () => {
  it('are timed by it, also behind one that has no clock', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      'p',
      fallback(() => 'instead'),
      circuitBreaker(),
      retry({ maxRetries: 1, baseDelay: 10, jitter: 'none', clock }),
      bulkhead({ maxConcurrent: 10 }),
      timeout({ duration: 50, clock }),
    )
    const ats: number[] = []
    calls.subscribe(({ type, at }) => type === 'call' && ats.push(at))
    const call = watch(calls.execute(hangs))

    await clock.advance(109)
    expect(call.status).toBe('pending')
    await clock.advance(1)

    expect(call).toEqual({ status: 'fulfilled', value: 'instead' })
    expect(ats).toEqual([110])
    expect(clock.timers).toEqual([])
  })

  it('are each timed by their own when there are two', async () => {
    const fast = virtualClock()
    const slow = virtualClock({ start: 1e9 })
    const calls = pipeline(
      { name: 'p', clock: fast },
      timeout({ name: 'fast', duration: 100, clock: fast }),
      timeout({ name: 'slow', duration: 100, clock: slow }),
    )
    const first = watch(calls.execute(hangs))
    await slow.advance(99)
    await fast.advance(99)
    expect(first.status).toBe('pending')
    await slow.advance(1)
    expect(first).toMatchObject({ reason: { code: 'ERR_TIMEOUT', policy: 'slow' } })

    const second = watch(calls.execute(hangs))
    await fast.advance(100)
    expect(second).toMatchObject({ reason: { code: 'ERR_TIMEOUT', policy: 'fast' } })
    expect([...fast.timers, ...slow.timers]).toEqual([])
  })

  it('agree with a policy that runs on its own', async () => {
    const clock = virtualClock({ start: 12_345 })
    const seen = await timeout({ duration: 70, clock }).execute(({ deadline, remaining }) => ({
      deadline,
      remaining,
    }))

    expect(seen).toEqual({ deadline: 12_415, remaining: 70 })
  })
})
