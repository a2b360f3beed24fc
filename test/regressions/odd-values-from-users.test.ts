/** Values and hooks of users that are odder than they look: every call settles, and every slot comes back. */
import { describe, expect, it } from 'vitest'
import {
  bulkhead,
  type Context,
  circuitBreaker,
  pipeline,
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

describe('a source of chance that throws', () => {
  it('refuses the call, and the slots outside come back', async () => {
    const clock = virtualClock()
    const random = (): number => {
      throw new RangeError('no luck')
    }
    const breaker = circuitBreaker({
      failureThreshold: 1,
      resetTimeout: 10,
      rampUp: 1_000,
      random,
      clock,
    })
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const stack = pipeline({ name: 'stack', clock }, slots, breaker)
    await caught(stack.execute(() => Promise.reject(new Error('down'))))
    await clock.advance(10)
    await stack.execute(() => 'trial')

    const call = await caught(stack.execute(() => 'ramping'))

    expect(call.error).toMatchObject({ message: 'no luck' })
    expect(slots.stats()).toMatchObject({ running: 0, inFlight: 0 })
  })

  it('is wrapped when it throws no error', async () => {
    const clock = virtualClock()
    const random = (): number => {
      throw 'no luck'
    }
    const breaker = circuitBreaker({
      failureThreshold: 1,
      resetTimeout: 10,
      rampUp: 1,
      random,
      clock,
    })
    await caught(breaker.execute(() => Promise.reject(new Error('down'))))
    await clock.advance(10)
    await breaker.execute(() => 'trial')

    const call = await caught(breaker.execute(() => 'ramping'))

    expect(call.error).toMatchObject({ name: 'TypeError', cause: 'no luck' })
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
