import {
  bulkhead,
  type CircuitBreakerOptions,
  circuitBreaker,
  fallback,
  type HoldfastEvent,
  type Pipeline,
  pipeline,
  type RetryOptions,
  retry,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { gate, hangs, quiet, watch } from '../support/calls.ts'
import { expectConserved, expectFreeSlots } from '../support/conservation.ts'
import { listenersOn, withoutNoise } from '../support/leaks.ts'

interface Hooks {
  readonly retry?: RetryOptions
  readonly breaker?: CircuitBreakerOptions
  readonly handles?: () => boolean
  readonly step?: () => unknown
  readonly priority?: () => number
}

const slots = (clock: VirtualClock, priority: () => number = () => 0) =>
  bulkhead({ maxConcurrent: 1, maxQueue: 5, maxWait: 100, priority, clock })

function stack(clock: VirtualClock, hooks: Hooks, gates = slots(clock)): Pipeline<unknown> {
  const { step = () => 'instead', handles = () => true } = hooks
  return pipeline(
    { name: 'p', clock },
    fallback({ steps: [step], handles, clock }),
    retry({ maxRetries: 1, backoff: () => 10, clock, ...hooks.retry }),
    circuitBreaker({ failureThreshold: 1, clock, ...hooks.breaker }),
    gates,
    timeout({ duration: 50, clock }),
  )
}

const down = (): Promise<never> => Promise.reject(new Error('down'))

/** Every piece of user code that a call may pass; `abort` aborts that very call and answers. */
const places: [where: string, hooks: (abort: <T>(answer: T) => T) => Hooks][] = [
  ['isFailure', (abort) => ({ breaker: { isFailure: () => abort(true) } })],
  ['shouldRetry', (abort) => ({ retry: { shouldRetry: () => abort(true) } })],
  ['backoff', (abort) => ({ retry: { backoff: () => abort(5) } })],
  ['beforeAttempt', (abort) => ({ retry: { beforeAttempt: () => abort(0) } })],
  ['afterAttempt', (abort) => ({ retry: { afterAttempt: () => abort(0) } })],
  ['onRetry', (abort) => ({ retry: { onRetry: () => abort(0) } })],
  ['onGiveUp', (abort) => ({ retry: { onGiveUp: () => abort(0) } })],
  ['handles', (abort) => ({ handles: () => abort(true) })],
  ['a fallback step', (abort) => ({ step: () => abort(hangs()) })],
  ['resetTimeout', (abort) => ({ breaker: { resetTimeout: () => abort(1_000) } })],
  [
    'a retry budget',
    (abort) => ({
      retry: {
        budget: {
          deposit: () => abort(undefined),
          tryWithdraw: () => abort(true),
          stats: () => ({ calls: 0, retries: 0, remaining: 1, refused: 0 }),
        },
      },
    }),
  ],
]

describe('a call is aborted by the user code that it passes', () => {
  it.each(places)(
    'in %s: it rejects with the reason and leaves nothing behind',
    async (_where, hooks) => {
      for (const operation of [down, hangs]) {
        await withoutNoise(async () => {
          const clock = virtualClock()
          const controller = new AbortController()
          const gates = slots(clock)
          const abort = <T>(answer: T): T => {
            controller.abort('enough')
            return answer
          }
          const policy = stack(clock, hooks(abort), gates)

          const call = watch(policy.execute(operation, { signal: controller.signal }))
          await clock.advance(10_000)

          expect(call).toEqual({ status: 'rejected', reason: 'enough' })
          expect(clock.timers).toEqual([])
          expect(listenersOn(controller.signal)).toBe(0)
          expectConserved(policy.stats(), 1)
          expect(policy.stats().aborted).toBe(1)
          if (operation === down) await expectFreeSlots(gates, 1)
        })
      }
    },
  )

  it('in the priority of its place in line', async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    const gates = slots(clock, () => {
      controller.abort('enough')
      return 1
    })
    const held = gate()
    const holder = gates.execute(() => held.promise)
    const call = watch(gates.execute(() => 'never', { signal: controller.signal }))
    await quiet()

    expect(call).toEqual({ status: 'rejected', reason: 'enough' })
    expect(gates.stats().queued).toBe(0)
    held.open()
    await holder
    await expectFreeSlots(gates, 1)
  })

  const types: HoldfastEvent['type'][] = ['retry', 'give-up', 'timeout', 'state-change', 'abandon']
  it.each(types)(
    'in a listener for %s: it settles once and leaves nothing behind',
    async (type) => {
      await withoutNoise(async () => {
        const clock = virtualClock()
        const controller = new AbortController()
        const policy = stack(clock, {})
        let told = 0
        policy.subscribe((event) => {
          if (event.type !== type) return
          told++
          controller.abort('enough')
        })

        const call = watch(policy.execute(hangs, { signal: controller.signal }))
        await clock.advance(10_000)

        expect(told).toBeGreaterThan(0)
        expect(call.status).not.toBe('pending')
        if (call.status === 'rejected') expect(call.reason).toBe('enough')
        expect(clock.timers).toEqual([])
        expect(listenersOn(controller.signal)).toBe(0)
        expectConserved(policy.stats(), 1)
      })
    },
  )
})

describe('answer, abort and limit in one turn', () => {
  const acts = ['answer', 'abort', 'limit'] as const
  const orders = acts.flatMap((one) =>
    acts.filter((act) => act !== one).map((two) => [one, two] as const),
  )

  it.each(orders)('ends by what came first: %s, then %s', async (...order) => {
    const clock = virtualClock()
    const controller = new AbortController()
    const answer = gate<string>()
    const limit = timeout({ duration: 50, clock })
    const policy = pipeline({ name: 'p', clock }, retry({ maxRetries: 0, clock }), limit)
    const happen = { answer: () => answer.open('answer'), abort: () => controller.abort('enough') }
    const arm = (act: (typeof acts)[number]): void => {
      if (act !== 'limit') clock.setTimer(happen[act], 50)
    }
    // Timers that are due together fire in the order in which they were set.
    if (order[0] !== 'limit') arm(order[0])
    const call = watch(policy.execute(() => answer.promise, { signal: controller.signal }))
    for (const act of acts) if (act !== order[0] || act === 'limit') arm(act)

    await clock.advance(50)

    const ends = {
      answer: { status: 'fulfilled', value: 'answer' },
      abort: { status: 'rejected', reason: 'enough' },
      limit: { status: 'rejected', reason: expect.objectContaining({ code: 'ERR_TIMEOUT' }) },
    }
    expect(call).toEqual(ends[order[0]])
    expect(clock.timers).toEqual([])
    expect(listenersOn(controller.signal)).toBe(0)
    expectConserved(policy.stats(), 1)
  })
})
