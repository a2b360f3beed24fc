import { describe, expect, it } from 'vitest'
import { gate, quiet, rejection, times, watch } from '../support/calls.ts'
import { rig } from '../support/pools.ts'

describe('CP1 acquire timed out, and the resource is handed over later and lost', () => {
  it('keeps what was made for somebody who has gone, for the next', async () => {
    const { pool, clock, server } = rig({ acquireTimeout: 100 })
    server.slow = true
    const late = rejection(pool.acquire())
    await clock.advance(100)

    expect(await late).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT' })
    server.connecting.pop()?.open()
    await quiet()

    expect(pool.stats()).toMatchObject({ idle: 1, inUse: 0, acquired: 0 })
    expect(await pool.use(({ id }) => id)).toBe(1)
  })

  it('keeps what was validated for somebody who has gone', async () => {
    const valid = gate<boolean>()
    const { pool, clock } = rig({ acquireTimeout: 100, validate: () => valid.promise })
    await pool.use(() => {})
    await clock.advance(500)

    const late = rejection(pool.acquire())
    await clock.advance(100)
    await late
    valid.open(true)
    await quiet()

    expect(pool.stats()).toMatchObject({ idle: 1, validating: 0, inUse: 0 })
  })

  it('never hands a resource that comes back to a caller that aborted in line', async () => {
    const { pool } = rig({ maxSize: 1 })
    const lease = await pool.acquire()
    const caller = new AbortController()
    const aborted = rejection(pool.acquire({ signal: caller.signal }))
    const next = watch(pool.acquire())
    caller.abort('gone')

    lease.release()
    await quiet()

    expect(await aborted).toBe('gone')
    expect(next.status).toBe('fulfilled')
    expect(pool.stats()).toMatchObject({ inUse: 1, total: 1 })
  })
})

describe('CP1 granted and aborted in the same moment', () => {
  it('gives the resource back, since nobody may be there to do so', async () => {
    const { pool } = rig({ maxSize: 1 })
    const lease = await pool.acquire()
    const caller = new AbortController()
    const call = rejection(pool.acquire({ signal: caller.signal }))

    lease.release()
    caller.abort('gone')

    expect(await call).toBe('gone')
    expect(pool.stats()).toMatchObject({ inUse: 0, idle: 1, waiting: 0 })
  })
})

describe('CP2 a resource that is made after the deadline is forgotten', () => {
  it('destroys what comes after createTimeout, and counts it until then', async () => {
    const { pool, clock, server } = rig({ maxSize: 1, createTimeout: 100, hookTimeout: 1_000 })
    server.slow = true
    const failed = rejection(pool.acquire())
    await clock.advance(100)

    expect(await failed).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(pool.stats().total).toBe(1)
    server.connecting.pop()?.open()
    await quiet()

    expect(server.open.size).toBe(0)
    expect(pool.stats().total).toBe(0)
  })

  it('frees the place of a creation that never ends, and destroys what it brings after all', async () => {
    const { pool, clock, server } = rig({ maxSize: 1, createTimeout: 100, hookTimeout: 1_000 })
    server.slow = true
    await Promise.all([rejection(pool.acquire()), clock.advance(100)])
    await clock.advance(1_000)
    expect(pool.stats().total).toBe(0)
    server.slow = false

    expect(await pool.use(({ id }) => id)).toBe(1)
    server.connecting.pop()?.open()
    await quiet()

    expect([...server.open]).toEqual([1])
  })

  it('aborts the signal of create at createTimeout', async () => {
    const reasons: unknown[] = []
    const { pool, clock } = rig({
      createTimeout: 100,
      create: ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason)
            reject(signal.reason)
          })
        }),
    })

    const failed = rejection(pool.acquire())
    await clock.advance(100)

    expect(reasons).toEqual([await failed])
    expect(pool.stats().total).toBe(0)
  })
})

describe('CP10 more than max', () => {
  it('never opens more than maxSize for 1,000 acquires in one tick, seen from the server', async () => {
    const { pool, clock, server } = rig({ maxSize: 3, createRetries: 1_000 })
    server.slow = true
    const callers = times(1_000, () => new AbortController())
    const calls = callers.map(({ signal }, call) =>
      pool
        .use(
          async (thing) => {
            if (call % 7 === 0) thing.broken(new Error('reset'))
            if (call % 11 === 0) throw new Error('work')
          },
          { signal },
        )
        .catch(() => {}),
    )
    for (let round = 0; round < 400; round++) {
      if (round % 5 === 0) callers[round]?.abort()
      if (round % 50 === 0) pool.evictAll()
      const connecting = server.connecting.shift()
      if (round % 3 === 0) connecting?.fail(new Error('down'))
      else connecting?.open()
      await clock.advance(10)
    }
    server.slow = false
    for (const one of server.connecting) one.open()
    await clock.advance(60_000)
    await Promise.all(calls)

    expect(server.peak).toBeLessThanOrEqual(3)
    expect(pool.stats()).toMatchObject({ waiting: 0, inUse: 0 })
    expect(server.open.size).toBe(pool.stats().total)
  })
})

describe('CP13 the pool drains to zero and stays there', () => {
  it('serves 50 that wait when the server is back', async () => {
    const { pool, clock, server } = rig({ createRetries: Number.POSITIVE_INFINITY })
    const things = await Promise.all(times(10, () => pool.acquire()))
    const waiting = times(50, () => watch(pool.use(({ id }) => id)))
    server.down = new Error('ECONNREFUSED')

    for (const lease of things) {
      lease.resource.broken(server.down)
      lease.release()
    }
    await clock.advance(10_000)
    expect(pool.stats()).toMatchObject({ waiting: 50, inUse: 0, idle: 0 })
    server.down = undefined
    await clock.advance(6_000)

    expect(waiting.map(({ status }) => status)).toEqual(times(50, () => 'fulfilled'))
  })
})

describe('CP14 capacity counts ghosts or counts twice', () => {
  it('falls by one whatever one resource reports, in any order', async () => {
    const reports = ['error', 'close', 'timeout']
    const orders = reports.flatMap((a) =>
      reports.filter((b) => b !== a).map((b) => [a, b, reports.find((c) => c !== a && c !== b)]),
    )
    expect(orders).toHaveLength(6)
    for (const order of orders) {
      const { pool, server } = rig()
      const leases = await Promise.all(times(3, () => pool.acquire()))
      const broken = leases[0]?.resource.broken
      for (const lease of leases) lease.release()

      for (const report of order) broken?.(new Error(report))
      await quiet()

      expect(pool.stats()).toMatchObject({ total: 2, idle: 2, destroyed: 1 })
      expect(server.destroyed).toEqual([1])
    }
  })
})

describe('CP16 a sticky or wrong error on the next acquire', () => {
  it('serves a fresh acquire after a burst of timeouts', async () => {
    const { pool, clock } = rig({ maxSize: 1, acquireTimeout: 100 })
    const lease = await pool.acquire()
    const burst = times(5, () => rejection(pool.acquire()))
    await clock.advance(100)
    await Promise.all(burst)
    lease.release()

    expect(await pool.use(({ id }) => id)).toBe(1)
  })

  it('forgets a failure of create once one has succeeded', async () => {
    const { pool, clock, server } = rig({ maxSize: 1, acquireTimeout: 100 })
    server.down = new Error('down')
    await rejection(pool.acquire())
    server.down = undefined
    const call = pool.acquire()
    await clock.advance(200)
    await call

    const late = rejection(pool.acquire())
    await clock.advance(100)

    expect(await late).not.toHaveProperty('cause')
  })
})
