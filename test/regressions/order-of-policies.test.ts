import {
  type Bulkhead,
  bulkhead,
  type Context,
  circuitBreaker,
  fallback,
  type Pipeline,
  type Policy,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, hangs, quiet, type Seen, times, watch } from '../support/calls.ts'
import { expectConserved, expectFreeSlots } from '../support/conservation.ts'
import { listenersOn, withoutNoise } from '../support/leaks.ts'

const kinds = ['fallback', 'retry', 'breaker', 'bulkhead', 'timeout'] as const
type Kind = (typeof kinds)[number]

interface Stack {
  readonly clock: VirtualClock
  readonly policy: Pipeline<unknown>
  readonly members: readonly Policy<unknown>[]
  readonly slots: Bulkhead
}

function stack(order: readonly Kind[], step: () => unknown, limit = 100): Stack {
  const clock = virtualClock()
  const slots = bulkhead({ maxConcurrent: 3, maxQueue: 3, maxWait: 500, clock })
  const make: Record<Kind, Policy<unknown>> = {
    fallback: fallback({ steps: [step], clock }),
    retry: retry({ maxRetries: 2, baseDelay: 10, clock }),
    breaker: circuitBreaker({ failureThreshold: 4, resetTimeout: 50, trialTimeout: 200, clock }),
    bulkhead: slots,
    timeout: timeout({ duration: limit, clock }),
  }
  const members = order.map((kind) => make[kind])
  return { clock, slots, members, policy: pipeline({ name: 'order', clock }, ...members) }
}

/** What a dependency can do to its callers; hung work ends when its gate is opened. */
type Fault = (context: Context, call: number, hung: Gate[]) => unknown

const faults: [string, Fault][] = [
  ['fails always', async () => Promise.reject(new Error('down'))],
  [
    'fails now and then',
    (_context, call) => {
      if (call % 2 === 1) throw new Error('down')
      return call
    },
  ],
  ['has a bug', () => (undefined as unknown as { property: unknown }).property],
  [
    'hangs and takes no notice',
    (_context, _call, hung) => {
      const work = gate()
      hung.push(work)
      return work.promise
    },
  ],
  [
    'hangs until it is told to stop',
    ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  ],
]

const orders = permutations(kinds)

describe('CO1 an order of policies that loses calls', () => {
  it('is proven for all 120 orders', () => {
    expect(new Set(orders.map(String)).size).toBe(120)
  })

  it.each(faults)(
    'settles every call and keeps every slot when the dependency %s',
    async (_title, fault) => {
      await withoutNoise(async () => {
        for (const order of orders) await prove(order, fault)
      })
    },
  )
})

describe('CO3 a total time limit that is not kept', () => {
  it('settles every call in time when everything inside hangs, in all 120 orders', async () => {
    await withoutNoise(async () => {
      for (const order of orders) {
        const { clock, policy: inner } = stack(order, hangs, 10_000)
        inner.subscribe(hangs)
        const total = pipeline({ name: 'total', clock }, timeout({ duration: 500, clock }), inner)
        const controller = new AbortController()
        const { signal } = controller
        const calls = times(8, () => watch(total.execute(hangs, { signal })))

        await clock.advance(500)

        expect(summary(calls), String(order)).not.toContain('pending')
        expect(clock.timers, String(order)).toEqual([])
        expect(listenersOn(signal), String(order)).toBe(0)
        expectConserved(total.stats(), 8)
      }
    })
  })
})

async function prove(order: readonly Kind[], fault: Fault): Promise<void> {
  const where = String(order)
  const { clock, policy, members, slots } = stack(order, () => 'instead')
  const hung: Gate[] = []
  const controller = new AbortController()
  const { signal } = controller
  let sent = 0
  const calls: Seen<unknown>[] = []
  const call = (options = {}): void => {
    const run = (context: Context): unknown => fault(context, ++sent, hung)
    calls.push(watch(policy.execute(run, options)))
  }

  for (let n = 0; n < 8; n++) call(n % 3 === 0 ? { signal } : n % 3 === 1 ? { deadline: 150 } : {})
  await clock.advance(20)
  controller.abort('enough')
  await clock.advance(100)
  call()
  await clock.advance(5_000)

  expect(summary(calls), where).not.toContain('pending')
  expect(sent, where).toBeLessThanOrEqual(calls.length * (policy.worstCase().mostCalls ?? 0))
  expect(clock.timers, where).toEqual([])
  expect(listenersOn(signal), where).toBe(0)
  expectConserved(policy.stats(), calls.length)
  for (const member of members) expect(member.stats().inFlight, where).toBe(0)

  for (const work of hung) work.open()
  await quiet()
  expect(slots.stats(), where).toMatchObject({ running: 0, queued: 0, abandoned: 0 })
  await expectFreeSlots(slots, 3)
}

function summary(calls: readonly Seen<unknown>[]): string[] {
  return calls.map(({ status }) => status)
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, at) =>
    permutations([...items.slice(0, at), ...items.slice(at + 1)]).map((rest) => [item, ...rest]),
  )
}
