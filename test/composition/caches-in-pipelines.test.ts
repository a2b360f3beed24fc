/** Caches and shared calls among the other policies: in a chain of fallbacks, around retries, in each other. */
import {
  bulkhead,
  type Context,
  circuitBreaker,
  coalesce,
  fallback,
  type HoldfastEvent,
  pipeline,
  retry,
  staleCache,
  timeout,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, rejection, times, watch } from '../support/calls.ts'

const down = Object.assign(new Error('connection reset'), { code: 'ECONNRESET' })
const byId = (id: string): string => id

describe('primary, secondary, stale cache, default', () => {
  function chain() {
    const clock = virtualClock()
    const primary = scripted([{ value: 'primary' }])
    const secondary = { up: true }
    const cache = staleCache<string>({
      name: 'last known',
      key: byId,
      staleFor: 10_000,
      staleOnError: false,
      clock,
    })
    const policy = pipeline(
      { name: 'product', clock },
      fallback(
        {
          name: 'secondary',
          run: () => {
            if (!secondary.up) throw down
            return 'secondary'
          },
        },
        cache.lastKnownGood,
        { name: 'default', run: () => 'default' },
      ),
      cache,
      retry({ maxRetries: 1, baseDelay: 10, clock }),
    )
    const state = { up: true }
    const ask = async (id = 'tea') => {
      const call = policy.executeDetailed(
        async () => {
          if (!state.up) throw down
          return primary()
        },
        { args: [id] },
      )
      await clock.advance(20)
      return call
    }
    return { ask, state, secondary, clock, cache }
  }

  it('are asked in this order, and each answer says where it came from', async () => {
    const { ask, state, secondary, clock, cache } = chain()
    expect(await ask()).toMatchObject({ value: 'primary', source: 'primary', degraded: false })
    state.up = false
    expect(await ask()).toMatchObject({ value: 'secondary', source: 'secondary', attempts: 2 })
    secondary.up = false
    await clock.advance(1_000)

    const kept = await ask()
    expect(kept).toMatchObject({ value: 'primary', source: 'last known', degraded: true })
    expect(kept.age).toBeGreaterThan(1_000)
    expect(kept.errors).toEqual([down, down, down])
    const other = await ask('salt')
    expect(other).toMatchObject({ value: 'default', source: 'default', degraded: true })
    expect(other).not.toHaveProperty('age')
    await clock.advance(10_000)
    expect(await ask()).toMatchObject({ value: 'default', source: 'default' })
    expect(cache.stats()).toMatchObject({ stale: 1, entries: 0 })
  })

  it('is told by events too', async () => {
    const { ask, state, secondary, cache } = chain()
    await ask()
    state.up = false
    secondary.up = false
    const events: HoldfastEvent[] = []
    cache.subscribe((event) => events.push(event))
    await ask()

    expect(events.find(({ type }) => type === 'cache')).toMatchObject({
      answer: 'stale',
      reason: 'failed',
      key: 'tea',
    })
  })
})

describe('a stale cache around the others', () => {
  function stack() {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 2, clock })
    const breaker = circuitBreaker({ failureThreshold: 4, resetTimeout: 5_000, clock })
    const cache = staleCache({
      key: byId,
      staleFor: 60_000,
      freshFor: 1_000,
      jitter: 0,
      refreshPause: 0,
      clock,
    })
    const policy = pipeline(
      { name: 'product', clock },
      cache,
      retry({ maxRetries: 1, baseDelay: 100, clock }),
      breaker,
      slots,
      timeout({ duration: 500, clock }),
    )
    return { clock, policy, cache, breaker, slots }
  }

  it('spares them what is fresh, and serves what is stale after all of their tries', async () => {
    const { clock, policy, cache, breaker, slots } = stack()
    const operation = scripted(['fail', { value: 'tea' }, 'fail', 'fail', 'hang', 'hang'])
    const product = policy.wrap((_id: string) => operation())
    const answer = async () => {
      const seen = watch(product('tea'))
      await clock.advance(1_200)
      return seen.value
    }

    expect(await answer()).toBe('tea')
    expect(slots.stats().calls).toBe(2)
    expect(await answer()).toBe('tea')
    expect(await answer()).toBe('tea')
    expect(breaker.state).toBe('open')
    expect(await answer()).toBe('tea')

    expect(slots.stats().calls).toBe(6)
    expect(cache.stats()).toMatchObject({ loads: 4, stale: 3, failures: 3, succeeded: 4 })
    operation.settleHung()
  })

  it('is found to be fine by check(), and describes itself', () => {
    const { policy } = stack()

    expect(policy.check()).toEqual([])
    expect(policy.worstCase()).toMatchObject({ mostCalls: 2, plannedTime: 1_120 })
    expect(policy.describe().policies?.map((one) => one.policy)).toEqual([
      'staleCache',
      'retry',
      'circuitBreaker',
      'bulkhead',
      'timeout',
    ])
  })

  it('refreshes in the background through the inner policies, whose events the pipeline passes on', async () => {
    const clock = virtualClock()
    const events: string[] = []
    const policy = pipeline(
      { name: 'product', clock, onEvent: ({ type }) => events.push(type) },
      staleCache({ key: byId, staleFor: 60_000, softTimeout: 0, clock }),
      retry({ maxRetries: 1, baseDelay: 100, clock }),
    )
    const seen: unknown[] = []
    const operation = scripted([{ value: 'old' }, 'fail', { value: 'new' }])
    const ask = () =>
      policy.execute(
        (context: Context) => {
          seen.push([context.attempt, context.args, context.deadline, context.signal.aborted])
          return operation()
        },
        { args: ['tea'], deadline: clock.now() + 50 },
      )

    expect(await ask()).toBe('old')
    expect(await ask()).toBe('old')
    await clock.advance(120)
    expect(await ask()).toBe('new')

    const endless = Number.POSITIVE_INFINITY
    expect(seen.slice(0, 3)).toEqual([
      [1, ['tea'], 50, false],
      [1, ['tea'], endless, false],
      [2, ['tea'], endless, false],
    ])
    expect(events).toEqual(expect.arrayContaining(['call', 'cache', 'retry', 'refresh']))
  })

  it('does not keep what a fallback inside has guessed', async () => {
    const policy = pipeline(
      'product',
      staleCache({ key: byId, staleFor: 60_000, freshFor: 60_000 }),
      fallback({ name: 'default', run: () => 'guess' }),
    )
    const ask = (answer: () => unknown) => policy.execute(answer, { args: ['tea'] })

    expect(await ask(() => Promise.reject(down))).toBe('guess')
    expect(await ask(() => 'good')).toBe('good')
    expect(policy.check().map(({ code }) => code)).toContain('fallback-inside-cache')
  })

  it('knows the age of what a cache inside has kept, and keeps nothing stale', async () => {
    const clock = virtualClock()
    const cacheOf = (name: string, freshFor: number) =>
      staleCache({ name, key: byId, staleFor: 10_000, freshFor, jitter: 0, clock })
    const [near, far] = [cacheOf('near', 1_000), cacheOf('far', 3_000)]
    const policy = pipeline({ name: 'levels', clock }, near, far)
    const ask = (answer: () => unknown) => policy.executeDetailed(answer, { args: ['tea'] })
    await ask(() => 'good')
    await clock.advance(2_500)

    expect(await ask(() => 'unreached')).toMatchObject({ value: 'good', source: 'far', age: 2_500 })
    await clock.advance(100)
    expect(await ask(() => 'unreached')).toMatchObject({ source: 'far', age: 2_600 })
    await clock.advance(900)
    const stale = await ask(() => Promise.reject(down))
    expect(stale).toMatchObject({ source: 'far', degraded: true, age: 3_500 })
    await clock.advance(1_000)

    expect(await ask(() => 'new')).toMatchObject({ value: 'new', source: 'primary' })
  })

  it('does not make fresh what was stale for the cache inside', async () => {
    const cacheOf = (name: string, freshFor: number) =>
      staleCache({ name, key: byId, staleFor: 60_000, freshFor, refreshPause: 0 })
    const [near, far] = [cacheOf('near', 60_000), cacheOf('far', 0)]
    far.set('tea', 'old')
    const policy = pipeline('levels', near, far)
    const ask = (answer: () => unknown) => policy.execute(answer, { args: ['tea'] })

    expect(await ask(() => Promise.reject(down))).toBe('old')
    expect(await ask(() => 'new')).toBe('new')
  })

  it('says nothing of a kept answer that a retry outside has refused', async () => {
    const cache = staleCache({ key: () => 'all', staleFor: 60_000, refreshPause: 0 })
    await cache.execute(() => 'old')
    const policy = pipeline(
      'product',
      retry({ maxRetries: 1, baseDelay: 0, shouldRetryResult: (result) => result === 'old' }),
      cache,
    )
    const operation = scripted(['fail', { value: 'new' }])

    const detailed = await policy.executeDetailed(operation)

    expect(detailed).toMatchObject({ value: 'new', source: 'primary', degraded: false })
    expect(detailed).not.toHaveProperty('age')
  })

  it('answers each caller of a pipeline that leaves, and only him', async () => {
    const clock = virtualClock()
    const policy = pipeline(
      { name: 'product', clock },
      timeout({ name: 'total', duration: 100, clock }),
      staleCache({ key: byId, staleFor: 60_000, clock }),
    )
    const signals: AbortSignal[] = []
    const operation = ({ signal }: Context): Promise<never> => {
      signals.push(signal)
      return hangs()
    }
    const first = caught(policy.execute(operation, { args: ['tea'] }))
    await clock.advance(60)
    const second = caught(policy.execute(operation, { args: ['tea'] }))
    await clock.advance(40)
    expect((await first).error).toMatchObject({ policy: 'total' })
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    await clock.advance(60)
    expect((await second).error).toMatchObject({ policy: 'total' })

    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    clock.assertIdle()
  })
})

describe('what check() finds', () => {
  const cache = () => staleCache({ key: byId, staleFor: 1_000 })
  it.each([
    ['cache-inside-retry', [retry(), cache()]],
    ['shared-inside-breaker', [circuitBreaker(), cache()]],
    ['shared-inside-breaker', [circuitBreaker(), coalesce({ key: byId })]],
    ['bulkhead-outside-shared', [bulkhead({ maxConcurrent: 1 }), coalesce({ key: byId })]],
    ['fallback-inside-cache', [cache(), fallback(() => 1)]],
  ])('%s', (code, policies) => {
    const found = pipeline('wrong', ...policies, timeout(100)).check()

    expect(found.map((finding) => finding.code)).toEqual([code])
    expect(found[0]?.policies).toHaveLength(2)
  })

  it('nothing in a retry around a coalesce', () => {
    expect(pipeline('fine', retry(), coalesce({ key: byId }), timeout(100)).check()).toEqual([])
  })

  it('that a circuit would open by one failed call that ten waited for', async () => {
    const breaker = circuitBreaker({ failureThreshold: 10 })
    const policy = pipeline('wrong', breaker, coalesce({ key: () => 'all' }))
    const fails = gate()
    const calls = times(10, () => rejection(policy.execute(() => fails.promise)))
    fails.fail(down)
    await Promise.all(calls)
    await quiet()

    expect(breaker.state).toBe('open')
  })
})
