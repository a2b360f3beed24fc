import type { Context } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, quiet, type Seen, watch } from '../support/calls.ts'
import { expectConserved, expectFreeSlots } from '../support/conservation.ts'
import { listenersOn, withoutNoise } from '../support/leaks.ts'
import { type Kind, orders, stack } from '../support/stacks.ts'

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
