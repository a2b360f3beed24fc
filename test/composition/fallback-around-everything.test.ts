import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { times, watch } from '../support/calls.ts'
import { expectConserved, expectFreeSlots } from '../support/conservation.ts'

function catalogue() {
  const clock = virtualClock()
  const again = retry({ maxRetries: 1, baseDelay: 10, jitter: 'none', clock })
  const breaker = circuitBreaker({ failureThreshold: 4, resetTimeout: 1_000, clock })
  const slots = bulkhead({ maxConcurrent: 2, maxQueue: 1, maxWait: 100, clock })
  const limit = timeout({ duration: 50, clock })
  const answer = fallback({ name: 'last known', run: () => 'last known' })
  const policy = pipeline({ name: 'catalogue', clock }, answer, again, breaker, slots, limit)
  return { clock, policy, breaker, slots, answer, again }
}

describe('fallback around everything', () => {
  it('stays out of the way of a healthy call', async () => {
    const { policy, answer } = catalogue()

    expect(await policy.execute(() => 'fresh')).toBe('fresh')
    expect(answer.stats().degraded).toBe(0)
    expect(policy.check()).toEqual([])
  })

  it('answers only when the retries are used up', async () => {
    const { policy, clock, again } = catalogue()
    const operation = scripted(['fail'])

    const call = watch(policy.execute(operation))
    await clock.advance(9)
    expect(call.status).toBe('pending')
    await clock.advance(1)

    expect(call).toEqual({ status: 'fulfilled', value: 'last known' })
    expect(operation.calls).toBe(2)
    expect(again.stats().gaveUp['max-retries']).toBe(1)
  })

  it('answers everybody from outage to recovery, and the dependency is left in peace', async () => {
    const { policy, clock, breaker, slots } = catalogue()
    const down = scripted(['hang'])
    const answers = times(30, () => watch(policy.execute(down)))
    await clock.advance(500)
    expect(answers.every(({ value }) => value === 'last known')).toBe(true)
    expect(breaker.state).not.toBe('half-open')
    const calls = down.calls
    expect(calls).toBeLessThanOrEqual(2)
    down.settleHung('fail')
    await clock.advance(1_000)

    const back = watch(policy.execute(() => 'fresh'))
    await clock.advance(100)

    expect(back).toEqual({ status: 'fulfilled', value: 'fresh' })
    expect(breaker.state).toBe('closed')
    expectConserved(policy.stats(), 31)
    expect(policy.stats().succeeded).toBe(31)
    await expectFreeSlots(slots, 2)
  })

  it('says of each answer whether it is degraded', async () => {
    const { policy, clock } = catalogue()
    const fresh = policy.executeDetailed(() => 'fresh')
    const stale = policy.executeDetailed(scripted(['fail']))
    await clock.advance(100)

    expect(await fresh).toMatchObject({ degraded: false, source: 'primary', attempts: 1 })
    expect(await stale).toMatchObject({ degraded: true, source: 'last known', attempts: 2 })
  })

  it('does not answer for a caller that has gone', async () => {
    const { policy, clock, answer } = catalogue()
    const controller = new AbortController()
    const call = watch(policy.execute(scripted(['fail']), { signal: controller.signal }))
    await clock.advance(5)
    controller.abort('enough')
    await clock.advance(100)

    expect(call).toEqual({ status: 'rejected', reason: 'enough' })
    expect(answer.stats()).toMatchObject({ degraded: 0, aborted: 1 })
  })

  it('answers in steps: replica, then cache, each with the failure before', async () => {
    const clock = virtualClock()
    const seen: string[] = []
    const policy = pipeline(
      { name: 'p', clock },
      fallback({
        name: 'cache',
        run: (error) => seen.push(`cache after ${(error as Error).message}`),
      }),
      fallback({
        name: 'replica',
        run: () => Promise.reject(new Error('replica down')),
      }),
      timeout({ duration: 50, clock }),
    )

    expect(await policy.execute(() => Promise.reject(new Error('primary down')))).toBe(1)
    expect(seen[0]).toMatch(/^cache after .*replica.*primary down/)
  })
})
