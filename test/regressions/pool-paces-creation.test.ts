/** CP3 and CP13: what fails is tried at a pace, by one at a time, and only while somebody wants it. */
import { createPool } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { quiet, rejection, times, watch } from '../support/calls.ts'
import { rig } from '../support/pools.ts'

const patient = {
  createRetries: Number.POSITIVE_INFINITY,
  acquireTimeout: Number.POSITIVE_INFINITY,
  createBackoff: () => 1_000,
}

describe('after a failed creation', () => {
  it('nothing is made before the pause is over, whoever comes', async () => {
    const { pool, clock, server } = rig({ ...patient, maxSize: 5 })
    server.down = new Error('ECONNREFUSED')
    watch(pool.acquire())
    await quiet()
    expect(server.calls).toBe(1)

    for (let n = 0; n < 9; n++) {
      watch(pool.acquire())
      await clock.advance(100)
    }

    expect(server.calls).toBe(1)
    await clock.advance(100)
    expect(server.calls).toBe(2)
  })

  it('one is made at a time, however many wait', async () => {
    const { pool, clock, server } = rig({ ...patient, maxSize: 5 })
    server.down = new Error('ECONNREFUSED')
    const waiting = times(5, () => watch(pool.acquire()))
    await quiet()
    expect(server.calls).toBe(5)
    server.down = undefined
    server.slow = true

    await clock.advance(1_000)
    expect(server.calls).toBe(6)
    watch(pool.acquire())
    await clock.advance(5_000)
    expect(server.calls).toBe(6)

    // It works again: everybody else is made one at once.
    server.connecting[0]?.open()
    await quiet()
    expect(server.calls).toBe(10)
    expect(waiting.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('a success that had begun before it does not end the pacing', async () => {
    const { pool, clock, server } = rig({ ...patient, maxSize: 5, createBackoff: () => 1_000 })
    server.slow = true
    const waiting = times(5, () => watch(pool.acquire()))
    await quiet()
    for (const connecting of server.connecting.slice(1)) connecting.fail(new Error('53300'))
    await quiet()
    server.connecting[0]?.open()
    await quiet()

    expect(waiting.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(server.calls).toBe(5)
    await clock.advance(999)
    expect(server.calls).toBe(5)
    await clock.advance(1)
    expect(server.calls).toBe(6)
  })

  it('nobody is kept waiting for a resource that nobody wants any more', async () => {
    const { pool, clock, server } = rig({ ...patient })
    server.down = new Error('ECONNREFUSED')
    const caller = new AbortController()
    const call = rejection(pool.acquire(caller))
    await quiet()
    expect(clock.pending).toBe(1)

    caller.abort('gone')

    expect(await call).toBe('gone')
    clock.assertIdle()
  })
})

describe('a waiter that leaves', () => {
  it('ends a drain that only waited for it', async () => {
    const { pool, server } = rig({ ...patient })
    server.down = new Error('ECONNREFUSED')
    const caller = new AbortController()
    const call = rejection(pool.acquire(caller))
    await quiet()
    const drained = watch(pool.drain({ timeout: 60_000 }))
    await quiet()
    expect(drained.status).toBe('pending')

    caller.abort('gone')
    await quiet()

    expect(await call).toBe('gone')
    expect(drained).toEqual({ status: 'fulfilled', value: true })
  })
})

describe('what breaks before anybody has used it', () => {
  const minutes = { createTimeout: 600_000, acquireTimeout: 600_000 }

  it('is replaced at once, and at a pace when that breaks too', async () => {
    const { pool, clock, server } = rig({ ...minutes, minSize: 1, createBackoff: () => 1_000 })
    await pool.warmUp()
    const hangUp = async (): Promise<void> => {
      server.latest?.broken(new Error('ECONNRESET'))
      await quiet()
    }

    await hangUp()
    expect(server.calls).toBe(2)
    await hangUp()
    expect(server.calls).toBe(2)
    await clock.advance(999)
    expect(server.calls).toBe(2)
    await clock.advance(1)
    expect(server.calls).toBe(3)

    await clock.advance(5_001)
    await hangUp()
    expect(server.calls).toBe(4)
    await pool.use((thing) => thing.broken())
    await quiet()
    expect(server.calls).toBe(5)
  })

  it('holds nobody up any more once it lives', async () => {
    const { pool, clock, server } = rig({ ...minutes, minSize: 1, createBackoff: () => 1_000 })
    await pool.warmUp()
    for (let n = 0; n < 2; n++) {
      server.latest?.broken(new Error('ECONNRESET'))
      await quiet()
    }
    await clock.advance(1_000)
    server.slow = true

    for (let n = 0; n < 5; n++) watch(pool.acquire())
    await quiet()

    expect(server.connecting).toHaveLength(4)
    for (const made of server.connecting) made.open()
  })

  it('does not keep the event loop for itself when it breaks while it is made', async () => {
    let calls = 0
    const pool = createPool({
      minSize: 1,
      acquireTimeout: 30,
      createBackoff: () => 0,
      create: ({ broken }) => {
        if (++calls > 10_000) throw new Error('an endless loop')
        broken(new Error('dead on arrival'))
        return {}
      },
    })

    const error = await rejection(pool.use(() => 'never'))

    expect(error).toMatchObject({
      code: 'ERR_ACQUIRE_TIMEOUT',
      cause: new Error('dead on arrival'),
    })
    expect(calls).toBeLessThan(100)
    await pool.close()
  })

  it('does not keep it when creating fails at once, without a pause', async () => {
    let calls = 0
    const create = async (): Promise<never> => {
      if (++calls > 10_000) return new Promise(() => {})
      throw new Error('down')
    }
    const pool = createPool({ minSize: 1, createBackoff: () => 0, create })

    await rejection(pool.use(() => 'never'))
    await new Promise((resolve) => setTimeout(resolve, 20))

    expect(calls).toBeLessThan(100)
    await pool.close()
  })
})
