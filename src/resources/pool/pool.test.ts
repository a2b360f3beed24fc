import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { gate, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import { listenersOn } from '../../../test/support/leaks.ts'
import type { HoldfastEvent } from '../../core/events.ts'
import { timeout } from '../../policies/timeout.ts'
import { virtualClock } from '../../testing/index.ts'
import type { PoolOptions } from './options.ts'
import { createPool } from './pool.ts'

interface Thing {
  readonly id: number
}

/** A pool of numbered things, and what was destroyed. */
function things(options: Partial<PoolOptions<Thing>> = {}) {
  const clock = virtualClock()
  const destroyed: number[] = []
  let made = 0
  const pool = createPool<Thing>({
    name: 'things',
    create: () => ({ id: ++made }),
    destroy: ({ id }) => void destroyed.push(id),
    clock,
    random: () => 0,
    ...options,
  })
  const events: HoldfastEvent[] = []
  pool.subscribe((event) => events.push(event))
  return { pool, clock, destroyed, events }
}

const id = (thing: Thing): number => thing.id

describe('createPool', () => {
  it.each([
    [{ maxSize: 0 }, /maxSize must be a whole number from 1 up, but was 0/],
    [{ minSize: 11 }, /minSize must be at most maxSize \(10\), but was 11/],
    [{ idleTimeout: 0 }, /idleTimeout must be a number of milliseconds above 0/],
    [{ order: 'newest' }, /order must be one of "lifo", "fifo"/],
    [{ maxsize: 3 }, /unknown option "maxsize" \(did you mean "maxSize"\?\)/],
    [{ create: 'connect' }, /create must be a function/],
    [{ breaker: {} }, /breaker must be a policy/],
    [{ keepaliveInterval: 100 }, /keepaliveInterval needs keepalive or validate/],
  ])('refuses %o', (wrong, message) => {
    expect(() => createPool({ create: () => 1, ...wrong } as never)).toThrow(message)
  })

  it('refuses a second object, as generic-pool takes it: its limits would be lost', () => {
    const takesTwo = createPool as (factory: object, limits: object) => unknown

    expect(() => takesTwo({ create: () => 1 }, { max: 2 })).toThrow('createPool: takes one object')
  })

  it('makes nothing before somebody asks', async () => {
    const { pool, clock } = things({ minSize: 3 })

    await clock.advance(1_000)

    expect(pool.stats().total).toBe(0)
    clock.assertIdle()
  })
})

describe('use', () => {
  it('lends one resource to many, one after the other', async () => {
    const { pool } = things()

    for (let call = 0; call < 3; call++) expect(await pool.use(id)).toBe(1)

    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, inUse: 0, acquired: 3, created: 1 })
  })

  it('never lends more than maxSize at a time, and serves in line', async () => {
    const { pool } = things({ maxSize: 2 })
    const order: number[] = []
    let running = 0
    let most = 0
    const work = (call: number) => async () => {
      most = Math.max(most, ++running)
      order.push(call)
      await quiet()
      running--
    }

    await Promise.all(times(10, (call) => pool.use(work(call))))

    expect(most).toBe(2)
    expect(order).toEqual(times(10, (call) => call))
  })

  it('runs whoever waited in its own async context', async () => {
    const { pool } = things({ maxSize: 1 })
    const caller = new AsyncLocalStorage<number>()
    await pool.use(id)

    const found = await Promise.all(
      times(20, (call) => caller.run(call, () => pool.use(async () => caller.getStore()))),
    )

    expect(found).toEqual(times(20, (call) => call))
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('work')
      },
    ],
    ['rejects', () => Promise.reject(new Error('work'))],
  ])('destroys the resource when the function %s, and passes the error on', async (_how, fail) => {
    const { pool, destroyed } = things()
    await pool.use(id)

    await expect(pool.use(fail)).rejects.toThrow('work')
    await expect(pool.use(fail, {})).rejects.toThrow('work')

    expect(destroyed).toEqual([1, 2])
    expect(await pool.use(id)).toBe(3)
  })

  it('keeps the resource when isBroken says that it works', async () => {
    const { pool } = things({ isBroken: (error) => (error as Error).message === 'reset' })

    await rejection(pool.use(() => Promise.reject(new Error('constraint'))))
    expect(await pool.use(id)).toBe(1)
    await rejection(pool.use(() => Promise.reject(new Error('reset'))))
    expect(await pool.use(id)).toBe(2)
  })

  it('destroys the resource when isBroken itself throws', async () => {
    const { pool, destroyed } = things({
      isBroken: () => {
        throw new Error('isBroken')
      },
    })

    expect(await rejection(pool.use(() => Promise.reject('work')))).toBe('work')
    expect(destroyed).toEqual([1])
  })

  it('follows a thenable', async () => {
    const { pool } = things()
    await pool.use(id)
    // biome-ignore lint/suspicious/noThenProperty: that is what a thenable is
    const thenable = { then: (resolve: (value: number) => void) => resolve(7) }

    expect(await pool.use(() => thenable as PromiseLike<number>)).toBe(7)
    expect(pool.stats().inUse).toBe(0)
  })

  it('rejects what is no function, and lends nothing for it', async () => {
    const { pool } = things()
    await pool.use(id)

    await expect(pool.use('work' as never)).rejects.toThrow(/use needs a function/)
    expect(pool.stats()).toMatchObject({ idle: 1, acquired: 1 })
  })

  it('rejects at once when its caller aborts, cancels the work, and waits for it', async () => {
    const cancelled: unknown[] = []
    const { pool } = things({ cancel: (thing, reason) => cancelled.push([thing.id, reason]) })
    const caller = new AbortController()
    const held = gate()

    const call = rejection(pool.use(() => held.promise, { signal: caller.signal }))
    await quiet()
    caller.abort('gone')

    expect(await call).toBe('gone')
    expect(cancelled).toEqual([[1, 'gone']])
    expect(pool.stats().inUse).toBe(1)
    held.open()
    await quiet()
    expect(pool.stats()).toMatchObject({ inUse: 0, idle: 1 })
    expect(listenersOn(caller.signal)).toBe(0)
  })

  it('leaves no listener on a signal that is not aborted', async () => {
    const { pool } = things()
    const { signal } = new AbortController()

    await pool.use(id, { signal })
    await rejection(pool.use(() => Promise.reject(new Error('work')), { signal }))

    expect(listenersOn(signal)).toBe(0)
  })
})

describe('acquire', () => {
  it('lends until release, and the resource cannot be reached afterwards', async () => {
    const { pool } = things()
    const lease = await pool.acquire()

    expect(lease.resource.id).toBe(1)
    lease.release()

    expect(() => lease.resource).toThrow(/used after its loan had ended/)
    expect(pool.stats()).toMatchObject({ idle: 1, inUse: 0 })
  })

  it('destroys what its borrower gives up', async () => {
    const { pool, destroyed } = things()

    ;(await pool.acquire()).destroy()

    expect(destroyed).toEqual([1])
  })

  it('disposes of a lease once, released or not', async () => {
    const { pool } = things()
    const lease = await pool.acquire()

    await lease[Symbol.asyncDispose]()
    await lease[Symbol.asyncDispose]()

    expect(pool.stats()).toMatchObject({ idle: 1, inUse: 0 })
  })

  it('rejects with exactly the reason of its signal, in line and before', async () => {
    const { pool, clock } = things({ maxSize: 1 })
    const lease = await pool.acquire()
    const caller = new AbortController()
    const reason = { why: 'gone' }

    const waiting = rejection(pool.acquire({ signal: caller.signal }))
    caller.abort(reason)

    expect(await waiting).toBe(reason)
    expect(await rejection(pool.acquire({ signal: caller.signal }))).toBe(reason)
    expect(pool.stats()).toMatchObject({ waiting: 0, inUse: 1 })
    clock.assertIdle()
    lease.release()
  })

  it('rejects a signal or deadline that is none, and forgets the caller', async () => {
    const { pool } = things()

    await expect(pool.acquire({ signal: {} as never })).rejects.toThrow(/must be an AbortSignal/)
    await expect(pool.acquire({ deadline: Number.NaN })).rejects.toThrow(/deadline must be/)
    expect(pool.stats()).toMatchObject({ waiting: 0, total: 0 })
  })

  it.each([
    [
      { singal: AbortSignal.abort() },
      'pool "things": options: unknown option "singal" (did you mean "signal"?)',
    ],
    [{ timeout: 5 }, 'pool "things": options: unknown option "timeout" (known: signal, deadline)'],
    [AbortSignal.abort(), 'pool "things": options must be { signal }, no bare signal'],
  ])('rejects options that would limit nothing: %o', async (options, message) => {
    const { pool } = things()

    for (const call of [pool.acquire(options as object), pool.use(() => 1, options as object)]) {
      expect(await rejection(call)).toEqual(new TypeError(message))
    }
    expect(pool.stats()).toMatchObject({ waiting: 0, total: 0, acquired: 0 })
  })

  it('takes no options, empty ones, and the context of a call', async () => {
    const { pool } = things()
    const id = ({ id }: Thing): number => id

    expect(await pool.use(id, {})).toBe(1)
    expect(await pool.use(id, { signal: undefined, deadline: undefined })).toBe(1)
    expect(await timeout(1_000).execute((context) => pool.use(id, context))).toBe(1)
  })

  it('tells after acquireTimeout how long it waited, and who has what', async () => {
    const { pool, clock, events } = things({ maxSize: 1, acquireTimeout: 250 })
    const lease = await pool.acquire()

    const late = rejection(pool.acquire())
    const later = rejection(pool.acquire())
    await clock.advance(250)

    expect(await late).toMatchObject({
      code: 'ERR_ACQUIRE_TIMEOUT',
      policy: 'things',
      waited: 250,
      total: 1,
      idle: 0,
      inUse: 1,
      waiting: 1,
      message:
        'pool "things": no resource within 250 ms (1 of 1 open, 0 idle, 1 in use, 1 waiting); not called',
    })
    await later
    expect(pool.stats()).toMatchObject({ timedOut: 2, waiting: 0 })
    expect(events.filter(({ type }) => type === 'reject')).toHaveLength(2)
    lease.release()
    expect(pool.stats().idle).toBe(1)
  })

  it('waits no longer than the deadline of the call', async () => {
    const { pool, clock } = things({ maxSize: 1 })
    await pool.acquire()
    const patient = watch(pool.acquire())

    const call = watch(pool.acquire({ deadline: 100 }))
    await clock.advance(100)

    expect(call.reason).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT', waited: 100 })
    expect(patient.status).toBe('pending')
    await clock.advance(29_900)
    expect(patient.status).toBe('rejected')
  })

  it('refuses when maxWaiting wait for a release, but not who waits for a creation', async () => {
    const { pool } = things({ maxSize: 2, maxWaiting: 1 })
    const leases = await Promise.all([pool.acquire(), pool.acquire()])
    const waiting = pool.acquire()

    const error = await rejection(pool.acquire())

    expect(error).toMatchObject({ code: 'ERR_POOL_FULL', inUse: 2, waiting: 1, maxWaiting: 1 })
    leases[0]?.release()
    ;(await waiting).release()
  })

  it('lends the one used last by default, and the one idle longest with fifo', async () => {
    for (const [order, expected] of [
      ['lifo', 2],
      ['fifo', 1],
    ] as const) {
      const { pool } = things({ order })
      const [one, two] = await Promise.all([pool.acquire(), pool.acquire()])
      one?.release()
      two?.release()

      expect(await pool.use(id)).toBe(expected)
    }
  })

  it('makes more than maxSize for a burst, and keeps none of it', async () => {
    const { pool, destroyed } = things({ maxSize: 1, overflow: 2 })
    const leases = await Promise.all(times(3, () => pool.acquire()))
    const fourth = watch(pool.acquire())
    await quiet()

    expect(fourth.status).toBe('pending')
    for (const lease of leases) lease.release()
    await quiet()
    fourth.value?.release()

    expect(destroyed).toHaveLength(2)
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
  })
})

describe('tryAcquire', () => {
  it('lends what is idle, and nothing else', async () => {
    const { pool } = things()
    expect(pool.tryAcquire()).toBeUndefined()
    await pool.use(id)

    const lease = pool.tryAcquire()

    expect(lease?.resource.id).toBe(1)
    expect(pool.tryAcquire()).toBeUndefined()
  })
})

describe('the care of resources', () => {
  it('validates what was not used a moment ago, and nothing else', async () => {
    const validated: number[] = []
    const { pool, clock } = things({
      validate: ({ id }) => validated.push(id) > 0,
      validateAfter: 500,
    })
    await pool.use(id)
    await clock.advance(499)
    await pool.use(id)
    expect(validated).toEqual([])

    await clock.advance(500)
    await pool.use(id)

    expect(validated).toEqual([1])
  })

  it('replaces what is not valid', async () => {
    const { pool, clock, events } = things({ validate: async () => false })
    await pool.use(id)
    await clock.advance(500)

    expect(await pool.use(id)).toBe(2)
    expect(events).toContainEqual(
      expect.objectContaining({ change: 'destroyed', reason: 'validate said no' }),
    )
  })

  it('destroys what is idle too long, down to minSize, without keeping the process alive', async () => {
    const { pool, clock, destroyed } = things({ minSize: 1, idleTimeout: 1_000 })
    const leases = await Promise.all(times(3, () => pool.acquire()))
    for (const lease of leases) lease.release()
    clock.assertIdle()

    await clock.advance(1_000)

    expect(destroyed).toHaveLength(2)
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
  })

  it('keeps idle resources alive, and replaces what does not answer', async () => {
    const asked: number[] = []
    const { pool, clock, destroyed } = things({
      minSize: 1,
      keepalive: ({ id }) => asked.push(id) < 3,
      keepaliveInterval: 1_000,
    })
    await pool.use(id)

    await clock.advance(3_000)

    expect(asked).toEqual([1, 1, 1])
    expect(destroyed).toEqual([1])
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, created: 2 })
  })

  it('destroys what was lent maxUses times', async () => {
    const { pool } = things({ maxUses: 2 })

    expect([await pool.use(id), await pool.use(id), await pool.use(id)]).toEqual([1, 1, 2])
  })

  it('tells of a loan that lasts too long, once, with the place that borrowed it', async () => {
    const { pool, clock, events } = things({ leakTimeout: 2_000 })
    async function forgetful() {
      return pool.acquire()
    }
    const lease = await forgetful()
    const told = () => events.filter((event) => event.type === 'pool' && event.change === 'leaked')

    await clock.advance(1_999)
    expect(told()).toEqual([])
    await clock.advance(5_000)

    expect(told()).toEqual([
      expect.objectContaining({ stack: expect.stringContaining('forgetful') }),
    ])
    expect(pool.stats().leaked).toBe(1)
    lease.release()
    expect(await pool.use(id)).toBe(1)
  })
})

describe('control by hand', () => {
  it('warms up to minSize, and says why it cannot', async () => {
    const { pool } = things({ minSize: 3 })
    await pool.warmUp()
    expect(pool.stats()).toMatchObject({ idle: 3, total: 3 })

    const down = things({ minSize: 3, create: () => Promise.reject(new Error('down')) })
    await expect(down.pool.warmUp()).rejects.toThrow('down')
  })

  it('lends nothing while suspended', async () => {
    const { pool, clock } = things()
    await pool.use(id)
    pool.suspend()

    const call = watch(pool.use(id))
    await clock.advance(100)
    expect(call.status).toBe('pending')
    expect(pool.tryAcquire()).toBeUndefined()
    pool.resume()
    await quiet()

    expect(call.value).toBe(1)
  })

  it('evicts the idle at once and the lent when they come back', async () => {
    const { pool, destroyed } = things()
    const [one, two] = await Promise.all([pool.acquire(), pool.acquire()])
    one?.release()

    pool.evictAll()
    expect(destroyed).toEqual([1])
    two?.release()

    expect(destroyed).toEqual([1, 2])
    expect(await pool.use(id)).toBe(3)
  })

  it('drains: serves who is in, takes nobody in, and says whether all came back', async () => {
    const { pool, clock } = things({ maxSize: 1 })
    const lease = await pool.acquire()
    const waiting = pool.use(id)

    const drained = pool.drain({ timeout: 1_000 })
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
    lease.release()

    expect(await waiting).toBe(1)
    expect(await drained).toBe(true)
    expect(await pool.drain()).toBe(true)
    clock.assertIdle()
  })

  it('gives up draining when the time is over', async () => {
    const { pool, clock } = things()
    await pool.acquire()

    const drained = watch(pool.drain({ timeout: 1_000 }))
    await clock.advance(1_000)

    expect(drained.value).toBe(false)
  })

  it('closes once, waits for borrowers, then takes theirs away', async () => {
    const { pool, clock, destroyed } = things({ maxSize: 2 })
    const [one, two] = await Promise.all([pool.acquire(), pool.acquire()])
    const waiting = rejection(pool.acquire())

    const reports = [pool.close({ timeout: 1_000 }), pool.close(), pool[Symbol.asyncDispose]()]
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    one?.release()
    await clock.advance(1_000)

    expect(await Promise.all(reports)).toEqual([
      { forced: 1, errors: [] },
      { forced: 1, errors: [] },
      undefined,
    ])
    expect(destroyed).toEqual([1, 2])
    two?.release()
    expect(pool.stats()).toMatchObject({ total: 0, rejected: 1 })
    clock.assertIdle()
  })

  it('refuses a timeout that is none', async () => {
    const { pool } = things()

    await expect(pool.close({ timeout: -1 })).rejects.toThrow(RangeError)
    await expect(pool.drain({ timeout: 'long' as never })).rejects.toThrow(TypeError)
  })
})
