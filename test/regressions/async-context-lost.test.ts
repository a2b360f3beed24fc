import { AsyncLocalStorage } from 'node:async_hooks'
import {
  bulkhead,
  circuitBreaker,
  fallback,
  type Operation,
  type Policy,
  type PolicyLike,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, times } from '../support/calls.ts'

const store = new AsyncLocalStorage<string>()
const users = times(5, (n) => `user ${n}`)

/** Calls of several users at once; each notes under whose name it ran. */
async function serve(
  clock: VirtualClock,
  make: (seen: string[]) => {
    readonly policy: Policy<unknown>
    readonly operation: Operation<unknown>
  },
): Promise<void> {
  const seen: string[][] = []
  const calls = users.map((user) => {
    const mine: string[] = []
    seen.push(mine)
    const { policy, operation } = make(mine)
    return store.run(user, () =>
      caught(policy.execute(operation).then(() => Promise.reject('done'))),
    )
  })
  await store.run('whoever moves time', () => clock.advance(100_000))
  await Promise.all(calls)

  for (const [n, user] of users.entries()) {
    expect(seen[n]?.length).toBeGreaterThan(0)
    expect(new Set(seen[n])).toEqual(new Set([user]))
  }
}

const here = (): string => store.getStore() ?? 'nobody'
const down = (): Promise<never> => Promise.reject(new Error('down'))
const noting =
  <T>(seen: string[], fn: () => T) =>
  (): T => {
    seen.push(here())
    return fn()
  }

describe('BH10 the async context of the caller is lost', () => {
  it('while it waits in a line', async () => {
    const clock = virtualClock()
    const policy = bulkhead({ maxConcurrent: 1, maxQueue: 100, clock })
    await serve(clock, (seen) => ({
      policy,
      operation: async () => {
        seen.push(here())
        await new Promise<void>((done) => clock.setTimer(done, 10))
        seen.push(here())
      },
    }))
  })

  it('while it waits in a line that a resize sets in motion', async () => {
    const policy = bulkhead({ maxConcurrent: 1, maxQueue: 100 })
    void caught(policy.execute(hangs))
    const seen: string[] = []
    const calls = users.map((user) =>
      store.run(user, () => policy.execute(() => seen.push(here()))),
    )

    store.run('the operator', () => policy.resize(3))
    await Promise.all(calls)

    expect(seen).toEqual(users)
  })

  it('over the backoff of a retry', async () => {
    const clock = virtualClock()
    const policy = retry({ maxRetries: 3, baseDelay: 10, clock })
    await serve(clock, (seen) => ({ policy, operation: noting(seen, down) }))
  })

  it('over a retry after the timeout of a function that takes no notice', async () => {
    const clock = virtualClock()
    const policy = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 3, baseDelay: 10, clock }),
      circuitBreaker({ failureThreshold: 1_000, clock }),
      timeout({ duration: 50, clock }),
    )
    await serve(clock, (seen) => ({ policy, operation: noting(seen, hangs) }))
  })

  it('over an immediate retry after such a timeout', async () => {
    const clock = virtualClock()
    const policy = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 3, baseDelay: 0, clock }),
      timeout({ duration: 50, clock }),
    )
    await serve(clock, (seen) => ({ policy, operation: noting(seen, hangs) }))
  })

  it('in a fallback after a failure and in one after a timeout', async () => {
    for (const operation of [down, hangs]) {
      const clock = virtualClock()
      await serve(clock, (seen) => ({
        policy: pipeline(
          { name: 'p', clock },
          fallback(noting(seen, down), async () => {
            seen.push(here())
            await quiet()
            seen.push(here())
          }),
          timeout({ duration: 50, clock }),
        ),
        operation,
      }))
    }
  })

  it('in the policies of a user and inside them', async () => {
    const clock = virtualClock()
    await serve(clock, (seen) => {
      const own: PolicyLike = {
        async execute(operation, options) {
          seen.push(here())
          return await operation(options)
        },
      }
      return {
        policy: pipeline(
          { name: 'p', clock },
          retry({ maxRetries: 2, baseDelay: 10, clock }),
          own,
          timeout({ duration: 50, clock }),
        ) as Policy<unknown>,
        operation: noting(seen, hangs),
      }
    })
  })

  it('in the hooks of a retry', async () => {
    const clock = virtualClock()
    await serve(clock, (seen) => {
      const note = (): void => void seen.push(here())
      return {
        policy: retry({
          maxRetries: 2,
          baseDelay: 10,
          clock,
          beforeAttempt: note,
          afterAttempt: note,
          onRetry: note,
          onGiveUp: note,
          shouldRetry: () => {
            note()
            return true
          },
        }),
        operation: down,
      }
    })
  })

  it('for whoever awaits the answer', async () => {
    const clock = virtualClock()
    const policy = pipeline(
      { name: 'p', clock },
      bulkhead({ maxConcurrent: 1, maxQueue: 100, clock }),
      timeout({ duration: 50, clock }),
    )
    const seen: string[] = []
    const calls = users.map((user) =>
      store.run(user, async () => {
        await policy.execute(hangs).catch(() => {})
        seen.push(here())
      }),
    )
    await clock.advance(40_000)
    await Promise.all(calls)

    expect([...seen].sort()).toEqual(users)
  })
})
