/** Values and hooks of users that are odder than they look: every call settles, and every slot comes back. */
import { describe, expect, it, vi } from 'vitest'
import {
  adaptiveConcurrency,
  bulkhead,
  type Context,
  circuitBreaker,
  pipeline,
  rateLimiter,
  retry,
  timeout,
} from '../../src/index.ts'
import { virtualClock } from '../../src/testing/index.ts'
import { caught } from '../support/calls.ts'

describe('a proxy of a promise', () => {
  it('is no promise: the call rejects and its slot comes back', async () => {
    const slots = bulkhead({ maxConcurrent: 1 })

    const call = await caught(slots.execute(() => new Proxy(Promise.resolve(1), {})))

    expect(call.error).toBeInstanceOf(TypeError)
    expect(slots.stats()).toMatchObject({ running: 0, failed: 1 })
  })

  it('cannot end the process when its limit is reached first', async () => {
    const clock = virtualClock()
    const stack = pipeline(
      { name: 'stack', clock },
      retry({ maxRetries: 0, clock }),
      bulkhead({ maxConcurrent: 1, clock }),
      timeout({ duration: 10, clock }),
    )

    const call = await caught(stack.execute(() => new Proxy(new Promise(() => {}), {})))

    expect(call.error).toBeInstanceOf(TypeError)
  })
})

describe('a hook that has the caller abort', () => {
  it('gives the caller its own reason, also when the next attempt would be refused', async () => {
    const controller = new AbortController()
    const stack = pipeline(
      'stack',
      retry({ baseDelay: 0, onRetry: () => controller.abort('enough') }),
      circuitBreaker({ failureThreshold: 1 }),
    )

    const call = await caught(
      stack.execute(() => Promise.reject(new Error('down')), { signal: controller.signal }),
    )

    expect(call.error).toBe('enough')
    expect(stack.stats()).toMatchObject({ aborted: 1, rejected: 0, inFlight: 0 })
  })
})

describe('a retry without end and without pauses', () => {
  it('lets the event loop have a turn, so that an abort can arrive', async () => {
    const controller = new AbortController()
    setImmediate(() => controller.abort('enough'))

    const call = await caught(
      retry({ maxRetries: Number.POSITIVE_INFINITY, baseDelay: 0 }).execute(
        () => {
          throw new Error('down')
        },
        { signal: controller.signal },
      ),
    )

    expect(call.error).toBe('enough')
  })
})

describe('a source of chance that is broken', () => {
  const broken: [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw 'no luck'
      },
    ],
    ['promises', () => Promise.reject(new Error('no luck'))],
    ['gives text', () => '0'],
    ['gives NaN', () => Number.NaN],
    ['gives 2', () => 2],
    ['gives -1', () => -1],
  ]

  it.each(broken)(
    'cannot refuse a call that ramps up, nor keep its slot: it %s',
    async (_, dice) => {
      const machine = vi.spyOn(Math, 'random').mockReturnValue(0)
      const clock = virtualClock()
      const breaker = circuitBreaker({
        failureThreshold: 1,
        resetTimeout: 10,
        rampUp: 1_000,
        random: dice as () => number,
        clock,
      })
      const slots = bulkhead({ maxConcurrent: 1, clock })
      const stack = pipeline({ name: 'stack', clock }, slots, breaker)
      await caught(stack.execute(() => Promise.reject(new Error('down'))))
      await clock.advance(10)
      await stack.execute(() => 'trial')

      expect(breaker.state).toBe('half-open')
      expect(await stack.execute(() => 'ramping')).toBe('ramping')
      expect(slots.stats()).toMatchObject({ running: 0, inFlight: 0 })
      machine.mockRestore()
    },
  )

  it.each(broken)('hides no failure, and no Retry-After: it %s', async (_, dice) => {
    const clock = virtualClock()
    const pauses: number[] = []
    const policy = retry({
      maxRetries: 1,
      baseDelay: 10,
      random: dice as () => number,
      onRetry: ({ delay }) => pauses.push(delay),
      clock,
    })
    const busy = Object.assign(new Error('busy'), { headers: { 'retry-after': '2' } })
    const call = caught(policy.execute(() => Promise.reject(busy)))
    await clock.runAll()

    expect((await call).error).toBe(busy)
    expect(pauses[0]).toBeGreaterThanOrEqual(2_000)
    expect(pauses[0]).toBeLessThanOrEqual(2_200)
  })

  it.each(broken)('leaves no slot taken when a limit is measured: it %s', async (_, dice) => {
    const clock = virtualClock()
    const slots = adaptiveConcurrency({
      initialLimit: 2,
      window: 0,
      minSamples: 1,
      random: dice as () => number,
      clock,
    })
    for (let call = 0; call < 5; call++) expect(await slots.execute(() => 'done')).toBe('done')

    expect(slots.stats()).toMatchObject({ running: 0, inFlight: 0, succeeded: 5 })
  })
})

describe('a weight that throws no error', () => {
  it('refuses the call with an error that tells it', async () => {
    const limiter = rateLimiter({
      limit: 1,
      interval: 1_000,
      weight: () => {
        throw 'no weight'
      },
    })

    const call = await caught(limiter.execute(() => 'never called'))

    expect(call.error).toMatchObject({ name: 'TypeError', cause: 'no weight' })
    expect(limiter.stats()).toMatchObject({ rejected: 1, inFlight: 0 })
  })
})

describe('a context that is logged', () => {
  it('says what it is, without the engine behind it', async () => {
    const clock = virtualClock()
    const limit = timeout({ duration: 100, clock })

    const logged = await limit.execute((context: Context) => JSON.stringify({ context }))

    expect(JSON.parse(logged)).toEqual({
      context: { attempt: 1, deadline: 100, remaining: 100, args: [] },
    })
  })
})
