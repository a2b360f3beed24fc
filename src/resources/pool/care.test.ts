/** The care of idle resources: nothing happens to all of them in the same instant. */
import { createPool } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import { rig, type Thing } from '../../../test/support/pools.ts'
import { TurningClock } from '../../../test/support/turning-clock.ts'

/** `count` idle things, made and given back in the same instant. */
async function idle(count: number, options: Parameters<typeof rig>[0]) {
  const all = rig({ maxSize: count, idleTimeout: Number.POSITIVE_INFINITY, ...options })
  const leases = await Promise.all(times(count, () => all.pool.acquire()))
  for (const lease of leases) lease.release()
  return all
}

describe('keepalive', () => {
  it('is spread: of 50 that came back together, no 10 are asked within the same 1 %', async () => {
    const asked: number[] = []
    const clock = virtualClock()
    await idle(50, {
      clock,
      keepalive: () => void asked.push(clock.now()),
      keepaliveInterval: 100_000,
    })

    await clock.advance(100_000)

    expect(asked).toHaveLength(50)
    expect(Math.min(...asked)).toBeGreaterThanOrEqual(90_000)
    const busiest = Math.max(
      ...asked.map((at) => asked.filter((t) => t >= at && t < at + 1_000).length),
    )
    expect(busiest).toBeLessThan(12)
  })

  it('never comes later than its interval, however often', async () => {
    const asked: number[] = []
    const clock = virtualClock()
    await idle(1, {
      clock,
      keepalive: () => void asked.push(clock.now()),
      keepaliveInterval: 1_000,
    })

    await clock.advance(20_000)

    const gaps = asked.map((at, n) => at - (asked[n - 1] ?? 0))
    expect(asked.length).toBeGreaterThanOrEqual(20)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1_000)
  })

  it('leaves half of them ready to be lent, also when all are due at once', async () => {
    const asked: Gate[] = []
    const clock = virtualClock()
    const { pool } = await idle(10, {
      clock,
      random: () => 0,
      keepaliveInterval: 1_000,
      hookTimeout: 60_000,
      keepalive: async () => {
        const answer = gate()
        asked.push(answer)
        await answer.promise
      },
    })

    await clock.advance(1_000)
    expect(pool.stats()).toMatchObject({ validating: 5, idle: 5 })
    asked[0]?.open()
    await clock.advance(0)
    expect(asked).toHaveLength(6)

    for (let round = 0; round < 10; round++) {
      for (const answer of asked) answer.open()
      await clock.advance(0)
    }
    expect(asked).toHaveLength(10)
    expect(pool.stats()).toMatchObject({ validating: 0, idle: 10, destroyed: 0 })
  })
})

describe('lifetimes', () => {
  it('of 50 made together end one after the other', async () => {
    const clock = virtualClock()
    const ended: number[] = []
    await idle(50, { clock, maxLifetime: 1_000, destroy: () => void ended.push(clock.now()) })

    await clock.advance(1_000)

    expect(ended).toHaveLength(50)
    expect(Math.max(...ended) - Math.min(...ended)).toBeGreaterThan(15)
    expect(new Set(ended).size).toBeGreaterThan(10)
  })

  it('that all ended during a standstill are followed by one wave, never below the minimum', async () => {
    let alive = 0
    let made = 0
    let least = Number.POSITIVE_INFINITY
    const clock = virtualClock()
    const pool = createPool({
      minSize: 5,
      maxSize: 10,
      maxLifetime: 1_000,
      clock,
      random: seededRandom(3),
      create: () => {
        alive++
        return ++made
      },
      destroy: () => {
        alive--
        least = Math.min(least, alive)
      },
    })
    await pool.warmUp()

    // One jump: every timer of the hour is due in the same instant.
    await clock.advance(3_600_000)
    await quiet()

    expect(least).toBeGreaterThanOrEqual(5)
    expect(pool.stats().total).toBe(5)
    await pool.close()
  })
})

describe('chance', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('no dice')
      },
    ],
    ['gives nothing of use', () => Number.NaN],
  ])('that %s leaves everybody served, and every bound in place', async (_what, random) => {
    const clock = virtualClock()
    const { pool } = await idle(2, { clock, random, maxLifetime: 1_000 })

    await clock.advance(1_000)

    expect(pool.stats()).toMatchObject({ created: 2, destroyed: 2, total: 0 })
  })
})

describe('a hook that hangs', () => {
  it('condemns the others that have not been seen alive since', async () => {
    const clock = virtualClock()
    const { pool } = await idle(5, {
      clock,
      hookTimeout: 1_000,
      validateAfter: 0,
      validate: (thing: Thing) => (thing.id <= 5 ? new Promise(() => {}) : true),
    })
    await clock.advance(1)

    const next = watch(pool.use(({ id }) => id))
    await clock.advance(1_000)

    expect(next).toEqual({ status: 'fulfilled', value: 6 })
    expect(pool.stats()).toMatchObject({ destroyed: 5, total: 1 })
  })

  it('spares those that have come back meanwhile', async () => {
    const clock = virtualClock()
    const { pool } = await idle(3, {
      clock,
      order: 'lifo',
      hookTimeout: 1_000,
      validateAfter: 100,
      validate: (thing: Thing) => (thing.id === 3 ? new Promise(() => {}) : true),
    })
    await clock.advance(200)
    const first = watch(pool.use(({ id }) => id))
    const second = await Promise.race([pool.acquire(), quiet().then(() => undefined)])
    await clock.advance(500)
    second?.release()

    await clock.advance(500)

    expect(first.status).toBe('fulfilled')
    expect(pool.stats()).toMatchObject({ destroyed: 2, total: 1 })
  })

  it('that only says no condemns nobody else', async () => {
    const clock = virtualClock()
    const { pool } = await idle(3, {
      clock,
      validateAfter: 0,
      validate: (thing: Thing) => thing.id !== 3,
    })
    await clock.advance(1)

    expect(await pool.use(({ id }) => id)).toBe(2)
    expect(pool.stats()).toMatchObject({ destroyed: 1, total: 2 })
  })

  it('and answers after its limit changes nothing any more', async () => {
    const late = { validate: gate<boolean>(), destroy: gate() }
    const { pool, clock } = await idle(1, {
      hookTimeout: 100,
      validateAfter: 0,
      validate: (thing: Thing) => thing.id > 1 || late.validate.promise,
      destroy: (thing: Thing) => (thing.id > 1 ? undefined : late.destroy.promise),
    })
    await clock.advance(1)
    const next = watch(pool.use(({ id }) => id))
    await clock.advance(200)
    const { total, destroyed } = pool.stats()
    expect({ next, total, destroyed }).toEqual({
      next: { status: 'fulfilled', value: 2 },
      total: 1,
      destroyed: 1,
    })

    late.validate.open(true)
    late.destroy.open()
    await quiet()

    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, destroyed: 1, validating: 0 })
    expect(await pool.use(({ id }) => id)).toBe(2)
  })

  it('and fails after its limit is nobody’s unhandled error', async () => {
    const late = gate<boolean>()
    const { pool, clock } = await idle(1, {
      hookTimeout: 100,
      validateAfter: 0,
      validate: (thing: Thing) => thing.id > 1 || late.promise.then(() => true),
    })
    await clock.advance(1)
    const next = pool.use(({ id }) => id)
    await clock.advance(200)
    late.fail(new Error('late'))
    await quiet()

    expect(await next).toBe(2)
    expect(pool.stats()).toMatchObject({ destroyed: 1, total: 1 })
  })
})

describe('a loop that was blocked past the limit', () => {
  async function blocked(how: 'validate' | 'create') {
    const clock = new TurningClock()
    const answer = gate()
    const aborted: unknown[] = []
    const slow = async <T>(value: T, { signal }: { signal: AbortSignal }): Promise<T> => {
      signal.addEventListener('abort', () => aborted.push(signal.reason))
      await answer.promise
      return value
    }
    let made = 0
    const pool = createPool<{ id: number }>({
      clock,
      maxSize: 1,
      validateAfter: 0,
      hookTimeout: 100,
      createTimeout: 100,
      create: (context) => {
        const thing = { id: ++made }
        return how === 'create' ? slow(thing, context) : thing
      },
      ...(how === 'validate' ? { validate: (_thing, context) => slow(true, context) } : {}),
    })
    if (how === 'validate') (await pool.acquire()).release()
    clock.endTurn()
    await clock.virtual.advance(1)
    const call = watch(pool.use(({ id }) => id))
    await quiet()
    clock.block(1_000)
    await clock.virtual.advance(100)
    return { clock, answer, aborted, call, pool }
  }

  it.each(['validate', 'create'] as const)(
    'still gets the answer of %s that is there',
    async (how) => {
      const { clock, answer, aborted, call, pool } = await blocked(how)

      // Timers come first; the answer is read later in the same turn.
      answer.open()
      await quiet()
      clock.endTurn()
      await quiet()

      expect(call).toEqual({ status: 'fulfilled', value: 1 })
      expect(aborted).toEqual([])
      expect(pool.stats()).toMatchObject({ created: 1, destroyed: 0, createFailed: 0 })
    },
  )

  it.each(['validate', 'create'] as const)(
    'gives up %s that has not answered in that turn',
    async (how) => {
      const { clock, aborted } = await blocked(how)

      clock.endTurn()

      expect(aborted).toEqual([expect.objectContaining({ code: 'ERR_TIMEOUT', duration: 100 })])
    },
  )
})

describe('cancel', () => {
  async function aborted(cancel: () => unknown) {
    const all = rig({ maxSize: 1, hookTimeout: 100, cancel, isBroken: () => false })
    const caller = new AbortController()
    const work = gate()
    const call = rejection(all.pool.use(() => work.promise, caller))
    await quiet()
    caller.abort('gone')
    expect(await call).toBe('gone')
    const next = watch(all.pool.use(({ id }) => id))
    return { ...all, work, next }
  }

  it('keeps the resource until it has ended, however early the work does', async () => {
    const cancelled = gate()
    const { work, next } = await aborted(() => cancelled.promise)

    work.open()
    await quiet()
    expect(next.status).toBe('pending')
    cancelled.open()
    await quiet()

    expect(next).toEqual({ status: 'fulfilled', value: 1 })
  })

  it('does not end the loan of work that goes on, for hookTimeout', async () => {
    const { work, next, clock } = await aborted(() => {})

    await clock.advance(99)
    expect(next.status).toBe('pending')
    work.fail(new Error('cancelled'))
    await clock.advance(1_000)

    expect(next).toEqual({ status: 'fulfilled', value: 1 })
    clock.assertIdle()
  })

  it('that was waited for does not touch the loan of the next', async () => {
    const { work, clock, pool } = await aborted(() => {})
    const next = gate<number>()
    const call = pool.use(() => next.promise)
    await clock.advance(50)
    work.open()
    await clock.advance(1_000)

    expect(pool.stats()).toMatchObject({ inUse: 1, destroyed: 0 })
    next.open(1)
    expect(await call).toBe(1)
  })

  it('takes the resource from work that takes no notice of it', async () => {
    const { work, next, clock, server, pool } = await aborted(() => {})

    await clock.advance(100)
    expect(next).toEqual({ status: 'fulfilled', value: 2 })
    expect(server.destroyed).toEqual([1])
    work.open()
    await quiet()

    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, destroyed: 1 })
    expect(await pool.use(({ id }) => id)).toBe(2)
  })

  it.each([
    ['throws', () => void (undefined as never as () => void)()],
    ['rejects', () => Promise.reject(new Error('no connection'))],
    ['hangs', () => new Promise(() => {})],
  ])('that %s leaves a resource that nobody can trust', async (_how, cancel) => {
    const { work, next, clock, server } = await aborted(cancel)

    work.open()
    await clock.advance(100)

    expect(next).toEqual({ status: 'fulfilled', value: 2 })
    expect(server.destroyed).toEqual([1])
  })
})
