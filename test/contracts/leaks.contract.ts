/** Right after a call has settled, whatever way, nothing of it is left on signals, timers or the process. */

import { type Context, type ExecuteOptions, type Policy, systemClock } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, quiet, watch } from '../support/calls.ts'
import { heldResources, listenersOn, withoutNoise } from '../support/leaks.ts'
import type { Make } from './subjects.ts'

/** Ends one call in some way, moving time if it has to. */
type Ending = (policy: Policy, clock: VirtualClock, controller: AbortController) => Promise<unknown>

const down = new Error('down')

const endings: readonly (readonly [how: string, end: Ending])[] = [
  ['a success', (policy, _, { signal }) => policy.execute(async () => 'fine', { signal })],
  ['a sync success', (policy, _, { signal }) => policy.execute(() => 'fine', { signal })],
  ['a success with a deadline', (policy) => policy.execute(async () => 1, { deadline: 60_000 })],
  [
    'a success that read its signal',
    (policy, _, { signal }) => policy.execute((context) => context.signal.aborted, { signal }),
  ],
  ['a failure', (policy, clock, { signal }) => failed(policy, clock, rejecting, { signal })],
  ['a sync throw', (policy, clock, { signal }) => failed(policy, clock, throwing, { signal })],
  ['a bug', (policy, clock, { signal }) => failed(policy, clock, bug, { signal })],
  [
    'an abort',
    async (policy, _, controller) => {
      const call = watch(policy.execute(reading, { signal: controller.signal, deadline: 60_000 }))
      await quiet()
      controller.abort(down)
      await quiet()
      expect(call.status).toBe('rejected')
    },
  ],
  [
    'a timeout',
    async (policy, clock, { signal }) => {
      const call = watch(policy.execute(reading, { signal, deadline: 300 }))
      await clock.advance(300)
      expect(call.status).toBe('rejected')
    },
  ],
  [
    'a call that is no function',
    (policy, _, { signal }) => policy.execute('text' as never, { signal }).catch(() => {}),
  ],
]

export function leavesNothingBehind(make: Make): void {
  describe('leaves nothing behind', () => {
    it.each(endings)('after %s', async (_how, end) => {
      const clock = virtualClock()
      const policy = make(clock)
      const controller = new AbortController()

      await withoutNoise(async () => {
        await end(policy, clock, controller)
        // A timer that is kept from call to call is no leak as long as it keeps no process alive.
        expect(clock.pending).toBe(0)
        expect(clock.timers.length).toBeLessThan(5)
        expect(listenersOn(controller.signal)).toBe(0)
      })
      expect(policy.stats().inFlight).toBe(0)
    })

    it('on the machine’s own clock', async () => {
      const policy = make(systemClock)
      const { signal } = new AbortController()
      const before = heldResources()

      await policy.execute(async () => 'fine', { signal, deadline: systemClock.now() + 60_000 })
      expect(heldResources().length).toBeLessThanOrEqual(before.length)
      await policy.execute(bug, { signal, deadline: systemClock.now() + 60_000 }).catch(() => {})
      expect(heldResources().length).toBeLessThanOrEqual(before.length)
      const controller = new AbortController()
      const aborted = policy.execute(hangs, { signal: controller.signal }).catch(() => {})
      await quiet()
      controller.abort()
      await aborted

      expect(heldResources().length).toBeLessThanOrEqual(before.length)
      expect(listenersOn(signal)).toBe(0)
    })

    it('on a signal that a thousand calls share', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const { signal } = new AbortController()

      await withoutNoise(async () => {
        for (let round = 0; round < 20; round++) {
          const calls = Array.from({ length: 50 }, (_, index) =>
            policy.execute(index % 5 === 0 ? bug : reading2, { signal }).catch(() => {}),
          )
          expect(listenersOn(signal)).toBeLessThan(10)
          await Promise.all(calls)
          expect(listenersOn(signal)).toBe(0)
        }
      })
    })
  })
}

async function failed(
  policy: Policy,
  clock: VirtualClock,
  operation: () => unknown,
  options: ExecuteOptions,
): Promise<void> {
  const call = watch(policy.execute(operation, options))
  await clock.runAll()
  expect(call.status).toBe('rejected')
}

async function rejecting(): Promise<never> {
  throw down
}

function throwing(): never {
  throw down
}

function bug(): never {
  throw new TypeError('undefined is not a function')
}

/** Ignores its signal, but has one. */
function reading({ signal }: Context): Promise<never> {
  expect(signal.aborted).toBe(false)
  return hangs()
}

async function reading2({ signal }: Context): Promise<boolean> {
  return signal.aborted
}
