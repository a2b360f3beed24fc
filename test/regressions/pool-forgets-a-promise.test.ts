/** What a pool promises where two things meet: a loan and its end, a line and a pause, a policy and `create`. */
import { hedge, type PolicyLike } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { gate, quiet, rejection, times, watch } from '../support/calls.ts'
import { rig } from '../support/pools.ts'

describe('CP9 a resource that must not be lent again goes to who waits for it', () => {
  it.each([
    ['broke while it was lent', 'broke'],
    ['was evicted while it was lent', 'evicted'],
    ['grew too old while it was lent', 'old'],
  ])('does not when it %s', async (_what, how) => {
    const { pool, clock, server } = rig({ maxSize: 1, maxLifetime: 1_000 })
    const lease = await pool.acquire()
    const next = pool.use(({ id }) => id)
    if (how === 'broke') lease.resource.broken(new Error('ECONNRESET'))
    if (how === 'evicted') pool.evictAll()
    if (how === 'old') await clock.advance(1_000)

    lease.release()

    expect(await next).toBe(2)
    expect(server.destroyed).toEqual([1])
  })

  it('does not when isBroken does not say', async () => {
    const { pool } = rig({ isBroken: () => undefined as never })
    await rejection(pool.use(() => Promise.reject(new Error('work'))))

    expect(await pool.use(({ id }) => id)).toBe(2)
  })

  it('does when its reset gives false, which is no verdict', async () => {
    const { pool } = rig({ reset: () => false })
    await pool.use(() => {})

    expect(await pool.use(({ id }) => id)).toBe(1)
  })
})

describe('CP1 a use is granted and aborted in the same moment', () => {
  it('is not called, and its resource comes back', async () => {
    const { pool } = rig({ maxSize: 1 })
    const lease = await pool.acquire()
    const caller = new AbortController()
    const call = rejection(pool.use(() => expect.fail('was called'), { signal: caller.signal }))

    lease.release()
    caller.abort('gone')

    expect(await call).toBe('gone')
    expect(pool.stats()).toMatchObject({ inUse: 0, idle: 1 })
  })
})

describe('a line before a pool that is suspended', () => {
  it('is as long as maxWaiting, since nobody is made anything', async () => {
    const { pool } = rig({ maxSize: 5, maxWaiting: 1 })
    pool.suspend()
    const first = watch(pool.use(({ id }) => id))

    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_FULL' })
    pool.resume()
    await quiet()
    expect(first.value).toBe(1)
  })

  it('is not told of a creation that fails meanwhile', async () => {
    const { pool, clock, server } = rig({ minSize: 1 })
    server.down = new Error('ECONNREFUSED')
    pool.suspend()
    const first = watch(pool.use(({ id }) => id))
    await quiet()
    expect(pool.stats()).toMatchObject({ createFailed: 1, waiting: 1 })
    server.down = undefined

    pool.resume()
    await clock.advance(5_000)

    expect(first.value).toBe(1)
  })
})

describe('CP2 a policy around create makes more than one', () => {
  it('keeps one, and destroys the others whenever they come', async () => {
    const made = gate()
    const clock = rig().clock
    const { pool, server } = rig({
      clock,
      breaker: hedge({ delay: 10, maxHedges: 2, clock }),
      create: async ({ broken }) => {
        await made.promise
        return server.connect(broken)
      },
    })
    const call = pool.use(({ id }) => id)
    await clock.advance(20)
    made.open()

    expect(await call).toBe(1)
    await quiet()
    expect([...server.open]).toEqual([1])
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
  })

  it('destroys what was made when the policy fails after all', async () => {
    const breaker = {
      execute: async (operation: () => unknown) => {
        await operation()
        throw new Error('refused after all')
      },
    } as unknown as PolicyLike<unknown>
    const { pool, server } = rig({ breaker })

    expect(await rejection(pool.acquire())).toEqual(new Error('refused after all'))
    await quiet()
    expect(server.destroyed).toEqual([1])
    expect(pool.stats().total).toBe(0)
  })

  it('destroys what the policy gives in its place when that comes too late', async () => {
    const late = gate()
    const { pool, clock, server } = rig({
      createTimeout: 100,
      breaker: {
        execute: async () => {
          await late.promise
          return server.connect(() => {})
        },
      } as never,
    })
    const failed = rejection(pool.acquire())
    await clock.advance(100)
    expect(await failed).toMatchObject({ code: 'ERR_TIMEOUT' })
    late.open()
    await quiet()

    expect(server.destroyed).toEqual([1])
    expect(pool.stats().total).toBe(0)
  })
})

describe('CP14 the numbers forget', () => {
  it('no loan of a resource that is no more, and no refusal of a line that was sent away', async () => {
    const { pool } = rig({ maxSize: 1 })
    const lease = await pool.acquire()
    lease.destroy()
    await pool.use(() => {})
    expect(pool.stats()).toMatchObject({ acquired: 2, destroyed: 1 })

    const held = await pool.acquire()
    const waiting = times(3, () => rejection(pool.acquire()))
    await quiet()
    const closed = pool.close()
    held.release()
    await Promise.all([closed, ...waiting])

    expect(pool.stats()).toMatchObject({ acquired: 3, rejected: 3 })
  })

  it('no leak that was told: each counts once, whatever leaks later', async () => {
    const { pool, clock } = rig({ leakTimeout: 1_000 })
    const first = await pool.acquire()
    await clock.advance(500)
    const second = await pool.acquire()
    await clock.advance(5_000)

    expect(pool.stats().leaked).toBe(2)
    first.release()
    second.release()
  })
})
