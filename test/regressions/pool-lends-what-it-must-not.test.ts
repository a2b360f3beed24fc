import { describe, expect, it } from 'vitest'
import { quiet, rejection, times } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'
import { rig } from '../support/pools.ts'

describe('CP6 double release', () => {
  it('refuses the second one, and never has a resource among the idle twice', async () => {
    const { pool } = rig()
    const lease = await pool.acquire()
    lease.release()

    expect(() => lease.release()).toThrow(TypeError)
    expect(() => lease.destroy()).toThrow(TypeError)

    expect(pool.stats().idle).toBe(1)
    const [one, two] = await Promise.all([pool.acquire(), pool.acquire()])
    expect(one?.resource.id).not.toBe(two?.resource.id)
  })

  it("cannot release somebody else's loan of the same resource", async () => {
    const { pool } = rig({ maxSize: 1 })
    const stale = await pool.acquire()
    stale.release()
    const mine = await pool.acquire()

    expect(() => stale.release()).toThrow(/released after its loan had ended/)
    expect(() => stale.resource).toThrow(TypeError)

    expect(pool.stats().inUse).toBe(1)
    expect(mine.resource.id).toBe(1)
  })
})

describe('CP7 a foreign object is released', () => {
  it.each([[{}], [null], [undefined]])('refuses %o, and counts nothing', async (foreign) => {
    const { pool } = rig()
    const lease = await pool.acquire()
    const { release } = lease

    expect(() => release.call(foreign)).toThrow(TypeError)

    expect(pool.stats()).toMatchObject({ inUse: 1, idle: 0 })
    lease.release()
  })
})

describe('CP8 an idle resource breaks', () => {
  it('removes it at once, and nothing crashes', async () => {
    await withoutNoise(async () => {
      const { pool, server } = rig()
      const broken = await pool.use((thing) => thing.broken)

      broken(new Error('ECONNRESET'))

      expect(server.destroyed).toEqual([1])
      expect(await pool.use(({ id }) => id)).toBe(2)
      broken(new Error('again'))
      expect(pool.stats()).toMatchObject({ idle: 1, total: 1 })
    })
  })

  it('does not take it back when it broke while it was lent', async () => {
    const { pool } = rig()

    await pool.use((thing) => thing.broken(new Error('ECONNRESET')))

    expect(await pool.use(({ id }) => id)).toBe(2)
  })

  it('does not lend it when it broke while it was made', async () => {
    const { pool, server } = rig({
      create: async ({ broken }) => {
        if (server.calls === 0) broken(new Error('early'))
        return server.connect(broken)
      },
    })

    expect(await pool.use(({ id }) => id)).toBe(2)
    expect(server.destroyed).toEqual([1])
  })
})

describe('CP9 a broken resource goes back to the pool', () => {
  it('lends a new one after failed work, a given up lease, an eviction, its age and its uses', async () => {
    const { pool, clock } = rig({ maxLifetime: 10_000, maxUses: 5, minSize: 0 })
    const next = (): Promise<number> => pool.use(({ id }) => id)
    await rejection(pool.use(() => Promise.reject(new Error('work'))))
    expect(await next()).toBe(2)
    ;(await pool.acquire()).destroy()
    expect(await next()).toBe(3)
    const lent = await pool.acquire()
    pool.evictAll()
    lent.release()
    expect(await next()).toBe(4)
    const old = await pool.acquire()
    await clock.advance(10_000)
    old.release()
    expect(await next()).toBe(5)
    for (let use = 1; use < 5; use++) expect(await next()).toBe(5)
    expect(await next()).toBe(6)
  })
})

describe('CP17 eviction', () => {
  it('spreads the ends of 50 resources that were made together', async () => {
    const { pool, clock, server } = rig({ maxSize: 60, maxLifetime: 1_000, idleTimeout: 60_000 })
    const leases = await Promise.all(times(50, () => pool.acquire()))
    for (const lease of leases) lease.release()
    const ends: number[] = []
    for (let ms = 0; ms < 1_000; ms++) {
      const before = server.destroyed.length
      await clock.advance(1)
      for (let n = before; n < server.destroyed.length; n++) ends.push(clock.now())
    }

    expect(ends).toHaveLength(50)
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThanOrEqual(20)
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(975)
  })

  it('replaces all after an hour at once, in one wave, never below the minimum', async () => {
    const { pool, clock, server } = rig({
      minSize: 20,
      maxSize: 22,
      maxLifetime: 1_800_000,
      idleTimeout: 600_000,
    })
    await pool.warmUp()
    let least = 20
    pool.subscribe(() => {
      const { total, destroying } = pool.stats()
      least = Math.min(least, total - destroying)
    })

    // Each has been replaced once, by the end of the second lifetime not yet again.
    await clock.advance(3_000_000)
    await quiet()

    expect(least).toBeGreaterThanOrEqual(20)
    expect(server.made).toBe(40)
    expect(server.peak).toBeLessThanOrEqual(22)
    expect(pool.stats()).toMatchObject({ idle: 20, total: 20 })
    clock.assertIdle()
  })

  it('takes one at a time where there is no room for a successor', async () => {
    const { pool, clock, server } = rig({ minSize: 3, maxSize: 3, maxLifetime: 1_000 })
    await pool.warmUp()
    server.slow = true
    let least = 3

    for (let ms = 0; ms < 1_500; ms++) {
      await clock.advance(1)
      least = Math.min(least, pool.stats().idle)
      server.connecting.shift()?.open()
    }

    expect(least).toBe(2)
    expect(pool.stats().total).toBe(3)
    expect(server.made).toBe(6)
    expect(server.peak).toBe(3)
  })

  it('never evicts what is lent', async () => {
    const { pool, clock } = rig({ maxLifetime: 1_000, idleTimeout: 100 })
    const lease = await pool.acquire()

    pool.evictAll()
    await clock.advance(10_000)

    expect(lease.resource.id).toBe(1)
    expect(pool.stats()).toMatchObject({ inUse: 1, destroyed: 0 })
    lease.release()
    expect(pool.stats().total).toBe(0)
  })
})
