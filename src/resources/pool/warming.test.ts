import { describe, expect, it } from 'vitest'
import { quiet, rejection, watch } from '../../../test/support/calls.ts'
import { rig } from '../../../test/support/pools.ts'
import { TimeoutError } from '../../core/errors.ts'

const minutes = 60_000

describe('warmUp', () => {
  it('waits for what is slow to make, however impatient borrowers are', async () => {
    const { pool, clock, server } = rig({ minSize: 3, acquireTimeout: 100 })
    server.slow = true

    const warm = watch(pool.warmUp())
    await clock.advance(5_000)
    expect(warm.status).toBe('pending')
    for (const made of server.connecting) made.open()
    await quiet()

    expect(warm.status).toBe('fulfilled')
    expect(pool.stats()).toMatchObject({ idle: 3, total: 3, timedOut: 0 })
  })

  it('lends nothing: no loan is counted, used up or reset', async () => {
    const reset: number[] = []
    const { pool, server } = rig({
      minSize: 2,
      maxUses: 1,
      reset: ({ id }) => void reset.push(id),
    })

    await pool.warmUp()

    expect(pool.stats()).toMatchObject({ idle: 2, acquired: 0 })
    expect({ destroyed: server.destroyed, reset }).toEqual({ destroyed: [], reset: [] })
  })

  it('leaves to borrowers what is there already', async () => {
    const { pool, server } = rig({ minSize: 2, maxSize: 2 })
    server.slow = true
    const warm = watch(pool.warmUp())

    server.connecting[0]?.open()
    await quiet()

    expect(await pool.use(({ id }) => id)).toBe(1)
    expect(warm.status).toBe('pending')
    server.connecting[1]?.open()
    await quiet()
    expect(warm.status).toBe('fulfilled')
  })

  it('makes what is missing once, however often it is called, and while the pool is suspended', async () => {
    const { pool, server } = rig({ minSize: 3 })
    pool.suspend()

    await Promise.all([pool.warmUp(), pool.warmUp()])
    await pool.warmUp()

    expect(pool.stats()).toMatchObject({ idle: 3, total: 3, creating: 0 })
    expect(server.calls).toBe(3)
  })

  it('has nothing to wait for without a minimum', async () => {
    const { pool, clock, server } = rig()

    await pool.warmUp()

    expect(server.calls).toBe(0)
    clock.assertIdle()
  })

  it('sits through createRetries failures, and then says what create failed with', async () => {
    const { pool, clock, server } = rig({
      minSize: 2,
      createRetries: 2,
      createBackoff: () => 1_000,
    })
    server.down = new Error('ECONNREFUSED')

    const warm = watch(pool.warmUp())
    await clock.advance(1_500)
    expect(warm.status).toBe('pending')
    await clock.advance(1_000)

    expect(warm.reason).toBe(server.down)
    server.down = undefined
    const again = watch(pool.warmUp())
    await clock.advance(1_000)
    expect(again.status).toBe('fulfilled')
    expect(pool.stats().idle).toBe(2)
  })

  it('gives up at its own limit, with the last failure as cause', async () => {
    const { pool, clock, server } = rig({ minSize: 3, createRetries: Infinity })
    server.down = new Error('ECONNREFUSED')

    const warm = watch(pool.warmUp({ timeout: 2_000 }))
    await clock.advance(2_000)

    expect(warm.reason).toBeInstanceOf(TimeoutError)
    expect(warm.reason).toMatchObject({
      message: expect.stringContaining('"things": warmUp made 0 of 3 resources within 2000 ms'),
      cause: server.down,
    })
  })

  it('gives up after 30 seconds when nobody says otherwise', async () => {
    const { pool, clock } = rig({
      minSize: 1,
      create: () => new Promise<never>(() => {}),
      createTimeout: minutes,
    })

    const warm = watch(pool.warmUp())
    await clock.advance(29_999)
    expect(warm.status).toBe('pending')
    await clock.advance(1)

    expect(warm.reason).toMatchObject({ code: 'ERR_TIMEOUT', duration: 30_000 })
  })

  it.each(['drain', 'close'] as const)('ends with the pool on %s', async (end) => {
    const { pool, server } = rig({ minSize: 1 })
    server.slow = true

    const warm = watch(pool.warmUp())
    void pool[end]({ timeout: 0 })
    await quiet()

    expect(warm.reason).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(await rejection(pool.warmUp())).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    for (const made of server.connecting) made.open()
  })

  it.each([
    [{ timeout: -1 }, /pool.warmUp: timeout must be a number of milliseconds from 0 up/],
    [{ timeot: 5 }, /unknown option "timeot" \(did you mean "timeout"\?\)/],
    [5, /options must be a plain object/],
  ])('refuses %o', async (wrong, message) => {
    const { pool } = rig()
    expect(await rejection(pool.warmUp(wrong as never))).toMatchObject({
      message: expect.stringMatching(message),
    })
  })
})
