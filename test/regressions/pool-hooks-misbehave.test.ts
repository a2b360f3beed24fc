import { type CircuitBreaker, circuitBreaker } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { hangs, quiet, rejection, times, watch } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'
import { rig } from '../support/pools.ts'

describe('CP3 create fails', () => {
  it('tells everybody whom nobody else can serve, with the failure itself', async () => {
    const { pool, server } = rig({ maxSize: 2 })
    server.down = new Error('ECONNREFUSED')

    const errors = await Promise.all(times(5, () => rejection(pool.use(() => 'never'))))

    for (const error of errors) expect(error).toBe(server.down)
    expect(pool.stats()).toMatchObject({ total: 0, waiting: 0, rejected: 5 })
  })

  it('goes on waiting for what is lent, and names the failure when that takes too long', async () => {
    const { pool, clock, server } = rig({ maxSize: 2, acquireTimeout: 1_000 })
    await pool.acquire()
    server.down = new Error('ECONNREFUSED')

    const late = rejection(pool.acquire())
    await clock.advance(1_000)

    expect(await late).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT', cause: server.down })
  })

  it('paces its attempts with the process idle in between, and recovers without help', async () => {
    const { pool, clock, server } = rig({ createRetries: 1_000, acquireTimeout: 100_000 })
    server.down = new Error('ECONNREFUSED')
    const waiting = times(20, () => watch(pool.use(({ id }) => id)))

    await clock.advance(60_000)
    // 10 in the first round, then one at a time: 100 ms, 200 ms, ... up to every 5 s.
    expect(server.calls).toBeGreaterThan(15)
    expect(server.calls).toBeLessThan(35)
    server.down = undefined
    await clock.advance(6_000)

    expect(waiting.every(({ status }) => status === 'fulfilled')).toBe(true)
  })

  it('does not touch a server whose breaker is open, and tells who asks', async () => {
    const clock = rig().clock
    const breaker: CircuitBreaker = circuitBreaker({ failureThreshold: 2, clock })
    const { pool, server } = rig({ breaker, clock })
    server.down = new Error('ECONNREFUSED')
    await rejection(pool.acquire())
    await Promise.all([rejection(pool.acquire()), clock.advance(1_000)])
    expect(breaker.state).toBe('open')
    const { calls } = server

    for (let second = 0; second < 20; second++) {
      expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
      await clock.advance(1_000)
    }

    expect(server.calls).toBe(calls)
    server.down = undefined
    await clock.advance(30_000)
    expect(await pool.use(({ id }) => id)).toBe(1)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('sync')
      },
    ],
    ['rejects with undefined', () => Promise.reject(undefined)],
  ])('survives a create that %s', async (_how, create) => {
    const { pool } = rig({ create: create as never })

    await rejection(pool.acquire())

    expect(pool.stats()).toMatchObject({ total: 0, createFailed: 1 })
  })
})

describe('CP4 work after drain or close', () => {
  it('refuses newcomers and those in line, creates nothing, destroys the idle, with a dead database', async () => {
    const { pool, clock, server } = rig({ minSize: 2, createRetries: 1_000 })
    await pool.warmUp()
    server.down = new Error('dead')
    const leases = await Promise.all(times(2, () => pool.acquire()))
    const served = pool.acquire()
    const waiting = times(3, () => rejection(pool.acquire()))
    leases[0]?.release()
    const { calls } = server
    await served

    const closed = pool.close({ timeout: 1_000 })

    for (const one of await Promise.all(waiting)) {
      expect(one).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    }
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(pool.tryAcquire()).toBeUndefined()
    await clock.advance(60_000)
    expect((await closed).forced).toBe(2)
    expect(server.calls).toBe(calls)
    expect(server.open.size).toBe(0)
    clock.assertIdle()
  })
})

describe('CP4 the pool is closed by what it calls while it closes', () => {
  it('is one close with one report, whoever calls it', async () => {
    const reports: Promise<unknown>[] = []
    const again = (): void => {
      if (reports.length > 100) throw new Error('an endless loop')
      reports.push(pool.close({ timeout: 50 }))
    }
    const { pool, clock } = rig({ maxSize: 2, destroy: again })
    pool.subscribe(({ type }) => {
      if (type === 'reject') again()
    })
    const leases = await Promise.all(times(2, () => pool.acquire()))
    const waiting = rejection(pool.acquire())

    const closed = pool.close({ timeout: 50 })
    leases[0]?.release()
    await clock.advance(50)

    const report = await closed
    expect(report).toEqual({ forced: 1, errors: [] })
    expect(reports).toHaveLength(3)
    for (const one of await Promise.all(reports)) expect(one).toBe(report)
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  })
})

describe('CP4 the pool is closed by its own create', () => {
  it('begins no other creation, lends nothing, and destroys what arrives', async () => {
    const { pool, server } = rig({
      minSize: 3,
      maxSize: 3,
      create: ({ broken }) => {
        void pool.close()
        return server.connect(broken)
      },
    })
    const warm = rejection(pool.warmUp())

    expect(await warm).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(await pool.close()).toEqual({ forced: 0, errors: [] })
    expect(server.calls).toBe(1)
    expect(server.open.size).toBe(0)
  })
})

describe('CP5 destroy fails or hangs', () => {
  it('closes by the deadline, reports three problems, and destroys the others', async () => {
    await withoutNoise(async () => {
      const ended: number[] = []
      const { pool, clock } = rig({
        destroy: ({ id }) => {
          if (id === 1) return Promise.reject(new Error('rejects'))
          if (id === 2) throw new Error('throws')
          if (id === 3) return hangs()
          return void ended.push(id)
        },
      })
      const leases = await Promise.all(times(5, () => pool.acquire()))
      for (const lease of leases) lease.release()

      const closed = pool.close({ timeout: 1_000 })
      await clock.advance(1_000)

      const { errors, forced } = await closed
      expect(errors).toHaveLength(3)
      expect(forced).toBe(0)
      expect(ended.sort()).toEqual([4, 5])
    })
  })

  it('gives the place of a destroy that hangs back after hookTimeout', async () => {
    const { pool, clock } = rig({ maxSize: 1, maxUses: 1, destroy: hangs, hookTimeout: 1_000 })
    await pool.use(() => {})
    const next = watch(pool.use(({ id }) => id))

    await clock.advance(999)
    expect(next.status).toBe('pending')
    await clock.advance(1)

    expect(next.value).toBe(2)
  })
})

describe('CP11 validation is slow, says no, throws or hangs', () => {
  it.each([
    ['says no', () => false],
    ['says no later', () => Promise.resolve(false)],
    [
      'throws',
      () => {
        throw new Error('validate')
      },
    ],
    ['rejects', () => Promise.reject(new Error('validate'))],
  ])('replaces 100 idle that it %s for one acquire, without recursion', async (_how, validate) => {
    const { pool, clock, server } = rig({ maxSize: 100, validate })
    const leases = await Promise.all(times(100, () => pool.acquire()))
    for (const lease of leases) lease.release()
    await clock.advance(500)

    expect(await pool.use(({ id }) => id)).toBe(101)
    expect(server.destroyed).toHaveLength(100)
  })

  it('rejects in time when it hangs, and destroys the resource', async () => {
    const { pool, clock, server } = rig({
      acquireTimeout: 1_000,
      hookTimeout: 2_000,
      validate: hangs,
      maxSize: 1,
    })
    await pool.use(() => {})
    await clock.advance(500)

    const late = rejection(pool.acquire())
    await clock.advance(1_000)
    expect(await late).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT', waited: 1_000 })
    await clock.advance(1_000)

    expect(server.destroyed).toEqual([1])
    expect(pool.stats().total).toBe(0)
  })
})

describe('CP12 dirty state between borrowers', () => {
  it('resets before the next borrower, and does not hold up the one who leaves', async () => {
    const { pool } = rig({
      maxSize: 1,
      reset: async (thing) => {
        await quiet()
        delete thing.mark
      },
    })
    await pool.use((thing) => {
      thing.mark = 'mine'
    })
    expect(pool.stats().validating).toBe(1)

    expect(await pool.use((thing) => thing.mark)).toBeUndefined()
    expect(pool.stats().created).toBe(1)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('reset')
      },
    ],
    ['rejects', () => Promise.reject(new Error('reset'))],
    ['hangs', hangs],
  ])('destroys the resource when reset %s', async (_how, reset) => {
    const { pool, clock, server } = rig({ maxSize: 1, reset })
    await pool.use(() => {})

    const next = watch(pool.use(({ id }) => id))
    await clock.advance(5_000)

    expect(next.value).toBe(2)
    expect(server.destroyed[0]).toBe(1)
  })
})

describe('CP15 the timeout does not cover every phase', () => {
  it.each([
    ['in line', { maxSize: 1 }, true],
    ['at create', { create: hangs }, false],
    ['at reset', { reset: hangs, maxSize: 1, hookTimeout: 60_000 }, false],
  ])('rejects at the limit when it stalls %s', async (_phase, options, held) => {
    const { pool, clock } = rig({ acquireTimeout: 300, ...options })
    if (held) await pool.acquire()
    if ('reset' in options) await pool.use(() => {})

    const call = watch(pool.acquire())
    await clock.advance(299)
    expect(call.status).toBe('pending')
    await clock.advance(1)

    expect(call.reason).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT', waited: 300 })
  })
})
