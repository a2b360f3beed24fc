import {
  bulkhead,
  circuitBreaker,
  fallback,
  type PolicyLike,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, watch } from '../support/calls.ts'
import { listenersOn } from '../support/leaks.ts'

/** Calls twice and takes the second answer; knows nothing of us but the page of the contract. */
const twice: PolicyLike = {
  name: 'twice',
  async execute(operation, options) {
    await operation(options)
    return await operation(options)
  },
}

describe('a policy of the user', () => {
  it('may call as often as it likes: what is inside it sees each call, what is outside sees one', async () => {
    const clock = virtualClock()
    const outer = circuitBreaker({ name: 'outer', clock })
    const inner = circuitBreaker({ name: 'inner', clock })
    const calls = pipeline({ name: 'p', clock }, outer, twice, inner)
    const attempts: number[] = []

    await calls.execute(({ attempt }) => attempts.push(attempt))

    expect(outer.stats().calls).toBe(1)
    expect(inner.stats().calls).toBe(2)
    expect(attempts).toHaveLength(2)
  })

  it('may answer by itself', async () => {
    const cache: PolicyLike<string> = { execute: async () => 'cached' }
    const inner = circuitBreaker()
    const operation = scripted(['ok'])

    expect(await pipeline('p', retry(), cache, inner).execute(operation)).toBe('cached')
    expect(operation.calls).toBe(0)
    expect(inner.stats().calls).toBe(0)
  })

  it('may refuse, throw or break: the policies outside treat it as they treat the function', async () => {
    const clock = virtualClock()
    const limiter: PolicyLike = {
      execute() {
        throw Object.assign(new Error('slow down'), { status: 429 })
      },
    }
    const again = retry({ maxRetries: 2, baseDelay: 10, clock })
    const call = watch(pipeline({ name: 'p', clock }, again, limiter).execute(() => 'never'))
    await clock.advance(1_000)

    expect(call).toMatchObject({ status: 'rejected', reason: { status: 429 } })
    expect(again.stats().retries).toBe(2)
  })

  it('may hang: the limit around it still holds', async () => {
    const clock = virtualClock()
    const stuck: PolicyLike = { execute: hangs }
    const calls = pipeline({ name: 'p', clock }, timeout({ duration: 50, clock }), stuck)
    const { signal } = new AbortController()
    const call = watch(calls.execute(() => 'never', { signal }))
    await clock.advance(50)

    expect(call).toMatchObject({ reason: { code: 'ERR_TIMEOUT' } })
    expect(listenersOn(signal)).toBe(0)
    expect(clock.timers).toEqual([])
  })

  it('may swallow the abort: the caller is answered all the same, and what is inside is told', async () => {
    const deaf: PolicyLike = { execute: async (operation) => await operation() }
    const operation = scripted(['hang'])
    const controller = new AbortController()
    const calls = pipeline('p', deaf, bulkhead({ maxConcurrent: 1 }))
    const call = watch(calls.execute(operation, { signal: controller.signal }))
    await quiet()

    controller.abort('enough')
    await quiet()

    expect(call).toEqual({ status: 'rejected', reason: 'enough' })
    expect(operation.signals[0]?.aborted).toBe(true)
  })

  it('is shown in describe(), and does not hide what is inside it', async () => {
    const clock = virtualClock()
    const again = retry({ name: 'inside', maxRetries: 1, baseDelay: 0, clock })
    const calls = pipeline({ name: 'p', clock }, twice, again, timeout({ duration: 50, clock }))
    const told: string[] = []
    calls.subscribe((event) => told.push(`${event.policy} ${event.type}`))

    const answer = await calls.executeDetailed(scripted(['fail', 'ok']))

    expect(answer).toMatchObject({ value: 'ok', attempts: 3 })
    expect(calls.describe().policies?.map(({ policy }) => policy)).toEqual([
      'custom',
      'retry',
      'timeout',
    ])
    expect(told).toEqual(['inside retry', 'p call'])
    expect(calls.check()).toEqual([])
    // How often a policy of one's own calls is nobody's knowledge but its own.
    expect(calls.worstCase()).toMatchObject({ longestTime: null, mostCalls: null })
  })

  it('takes part in nested pipelines, of which it may be the whole', async () => {
    const inner = pipeline('inner', twice)
    const outer = pipeline(
      'outer',
      fallback(() => 'instead'),
      inner,
    )
    const operation = scripted(['ok', 'fail'])

    expect(await outer.execute(operation)).toBe('instead')
    expect(operation.calls).toBe(2)
    expect(inner.stats()).toMatchObject({ calls: 1, failed: 1 })
    expect(outer.stats()).toMatchObject({ calls: 1, succeeded: 1 })
  })

  it('hands the arguments of a wrapped function on', async () => {
    const seen: unknown[] = []
    const calls = pipeline(
      'p',
      twice,
      fallback((_error, { args }) => seen.push(...args)),
    )
    const wrapped = calls.wrap((id: string) => Promise.reject(new Error(`no ${id}`)))

    await caught(wrapped('kelp').then(() => Promise.reject('done')))

    expect(seen).toEqual(['kelp', 'kelp'])
  })
})
