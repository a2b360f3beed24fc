import fc from 'fast-check'
import { createPool, type Lease, type PoolOptions } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, gate } from '../support/calls.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

interface Thing {
  readonly id: number
  readonly broken: (error?: unknown) => void
}

const kinds = [
  'acquire',
  'acquire',
  'acquire',
  'use',
  'use',
  'try',
  'release',
  'release',
  'release',
  'destroy',
  'abort',
  'made',
  'made',
  'made',
  'not made',
  'hook ends',
  'hook ends',
  'hook says no',
  'hook fails',
  'work ends',
  'work fails',
  'breaks',
  'advance',
  'evict',
  'suspend',
  'resume',
  'close',
] as const

type Step = readonly [kind: (typeof kinds)[number], choice: number]

const step: fc.Arbitrary<Step> = fc.tuple(fc.constantFrom(...kinds), fc.nat(1_000))
const shape = fc.record({
  minSize: fc.integer({ min: 0, max: 2 }),
  maxSize: fc.integer({ min: 2, max: 4 }),
  overflow: fc.integer({ min: 0, max: 2 }),
  maxWaiting: fc.constantFrom(0, 2, Number.POSITIVE_INFINITY),
  maxUses: fc.constantFrom(2, Number.POSITIVE_INFINITY),
  maxLifetime: fc.constantFrom(700, 1_800_000),
  idleTimeout: fc.constantFrom(300, 600_000),
  order: fc.constantFrom('lifo' as const, 'fifo' as const),
  createRetries: fc.constantFrom(0, 2),
  // Without a limit nobody is rid of a waiter who was forgotten.
  acquireTimeout: fc.constantFrom(400, Number.POSITIVE_INFINITY),
})
const hooks = fc.record({
  validate: fc.boolean(),
  reset: fc.boolean(),
  keepalive: fc.boolean(),
  cancel: fc.boolean(),
  destroy: fc.boolean(),
  /** Hooks that answer at once, or when the history says so. */
  slow: fc.boolean(),
  /** Whether hooks may be given up: then the other side may see more for a moment. */
  limited: fc.boolean(),
})

/** Takes one out of a list, as the history chooses. */
function pick<T>(list: T[], choice: number): T | undefined {
  return list.length === 0 ? undefined : list.splice(choice % list.length, 1)[0]
}

describe('a pool', () => {
  it('keeps each resource in one place, never too many, and loses none in any history', async () => {
    const histories = fc.array(step, { maxLength: 80 })
    await holds(
      fc.asyncProperty(shape, hooks, histories, fc.nat(), async (sizes, has, history, dice) => {
        const clock = virtualClock()
        const limit = sizes.maxSize + sizes.overflow
        const making: Gate[] = []
        const hooking: Gate<boolean>[] = []
        const working: Gate[] = []
        const callers: AbortController[] = []
        const leases: { lease: Lease<Thing>; id: number }[] = []
        /** What the other side sees. */
        const open = new Map<number, Thing>()
        const seen = { made: 0, destroyed: 0, pending: 0, peak: 0 }
        const held = new Set<number>()
        let closing: Promise<unknown> | undefined

        const hook = async (): Promise<boolean> => {
          if (!has.slow) return true
          const ends = gate<boolean>()
          hooking.push(ends)
          return ends.promise
        }
        const endless = Number.POSITIVE_INFINITY
        const options: PoolOptions<Thing> = {
          ...sizes,
          clock,
          random: seededRandom(dice),
          validateAfter: 50,
          createTimeout: has.limited ? 500 : endless,
          hookTimeout: has.limited ? 200 : endless,
          create: async ({ broken }) => {
            const made = gate()
            making.push(made)
            await made.promise
            const thing = { id: ++seen.made, broken }
            open.set(thing.id, thing)
            seen.peak = Math.max(seen.peak, open.size)
            return thing
          },
          destroy: async ({ id }) => {
            held.delete(id)
            seen.destroyed++
            try {
              if (has.destroy) await hook()
            } finally {
              same(open.delete(id), true)
            }
          },
          ...(has.validate ? { validate: hook } : {}),
          ...(has.reset ? { reset: hook } : {}),
          ...(has.cancel ? { cancel: hook } : {}),
          ...(has.keepalive ? { keepalive: hook, keepaliveInterval: 250 } : {}),
        }
        const pool = createPool(options)

        const borrow = (id: number): void => {
          same(held.has(id), false)
          held.add(id)
        }
        const took = (lease: Lease<Thing>): void => {
          const { id } = lease.resource
          borrow(id)
          leases.push({ lease, id })
        }
        const signal = (choice: number): { signal?: AbortSignal } => {
          if (choice % 2 === 0) return {}
          const caller = new AbortController()
          callers.push(caller)
          return { signal: caller.signal }
        }
        const wait = (calls: Promise<unknown>): void => {
          seen.pending++
          const end = (): void => void seen.pending--
          calls.then(end, end)
        }
        const giveBack = (choice: number, how: 'release' | 'destroy'): void => {
          const loan = pick(leases, choice)
          if (loan === undefined) return
          held.delete(loan.id)
          loan.lease[how]()
          expect(() => loan.lease.release()).toThrow(TypeError)
        }

        const play = async ([kind, choice]: Step): Promise<void> => {
          if (kind === 'acquire') wait(pool.acquire(signal(choice)).then(took))
          else if (kind === 'use') {
            const work = async ({ id }: Thing): Promise<void> => {
              borrow(id)
              const ends = gate()
              working.push(ends)
              await ends.promise.finally(() => held.delete(id))
            }
            wait(choice % 3 === 0 ? pool.use(work) : pool.use(work, signal(choice)))
          } else if (kind === 'try') {
            const lease = pool.tryAcquire()
            if (lease !== undefined) took(lease)
          } else if (kind === 'release' || kind === 'destroy') giveBack(choice, kind)
          else if (kind === 'abort') pick(callers, choice)?.abort(new Error('caller'))
          else if (kind === 'made') pick(making, choice)?.open()
          else if (kind === 'not made') pick(making, choice)?.fail(new Error('down'))
          else if (kind === 'hook ends') pick(hooking, choice)?.open(true)
          else if (kind === 'hook says no') pick(hooking, choice)?.open(false)
          else if (kind === 'hook fails') pick(hooking, choice)?.fail(new Error('hook'))
          else if (kind === 'work ends') pick(working, choice)?.open()
          else if (kind === 'work fails') pick(working, choice)?.fail(new Error('work'))
          else if (kind === 'breaks') pick([...open.values()], choice)?.broken(new Error('reset'))
          else if (kind === 'advance') await clock.advance(choice)
          else if (kind === 'evict') pool.evictAll()
          else if (kind === 'suspend') pool.suspend()
          else if (kind === 'resume') pool.resume()
          else if (choice % 4 === 0) closing ??= pool.close({ timeout: 1_000 })
        }

        const look = (suspended: boolean): void => {
          const { creating, idle, validating, inUse, destroying, total, waiting } = pool.stats()
          same(creating + idle + validating + inUse + destroying, total)
          same(total <= limit, true)
          if (!has.limited) same(seen.peak <= limit, true)
          if (closing !== undefined) return same(waiting + idle, 0)
          same(held.size <= inUse, true)
          if (!suspended && waiting > 0 && validating === 0) same(idle, 0)
        }

        let suspended = false
        for (const one of history) {
          await play(one)
          if (one[0] === 'suspend') suspended = true
          if (one[0] === 'resume') suspended = false
          await settled()
          look(suspended)
        }

        // Everything works again: whoever still waits is served, or is told why not, without a push.
        if (suspended) pool.resume()
        for (let round = 0; round < 200; round++) {
          for (const one of [making, working]) while (one.length > 0) one.pop()?.open()
          while (hooking.length > 0) hooking.pop()?.open(true)
          while (leases.length > 0) giveBack(0, 'release')
          await clock.advance(seen.pending > 0 ? 100 : 10)
          const { waiting, inUse } = pool.stats()
          if (seen.pending + waiting + inUse + making.length + hooking.length === 0) break
        }
        same(seen.pending, 0)
        same(pool.stats().waiting + pool.stats().inUse, 0)

        closing ??= pool.close({ timeout: 1_000 })
        for (let round = 0; round < 20; round++) {
          for (const one of making) one.fail(new Error('late'))
          while (hooking.length > 0) hooking.pop()?.open(true)
          await clock.advance(100)
        }
        await closing
        same(pool.stats().total, 0)
        same(open.size, 0)
        same(seen.destroyed, seen.made)
        clock.assertIdle()
      }),
    )
  }, 300_000)
})
