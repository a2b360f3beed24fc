import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { virtualClock } from '../../testing/index.ts'
import { createPool } from './pool.ts'

function poolOfOne() {
  let made = 0
  return createPool({ name: 'one', create: () => ({ id: ++made }), maxSize: 1 })
}

describe('a use that stood in line', () => {
  it("runs in its own caller's async context, whoever gave the resource back", async () => {
    const caller = new AsyncLocalStorage<number>()
    const pool = poolOfOne()
    const found = await Promise.all(
      [0, 1, 2, 3].map((id) => caller.run(id, () => pool.use(async () => caller.getStore()))),
    )

    expect(found).toEqual([0, 1, 2, 3])
    await pool.close()
  })

  it.each([
    ['throws at once', () => thrown('at once'), { message: 'at once' }],
    ['rejects', () => Promise.reject(new Error('later')), { message: 'later' }],
  ])('gives its resource up when its work %s, and the next one works', async (_, work, error) => {
    const pool = poolOfOne()
    const first = pool.use(async ({ id }) => id)
    const second = pool.use(work)
    const third = pool.use(async ({ id }) => id)

    await expect(second).rejects.toMatchObject(error)
    expect(await Promise.all([first, third])).toEqual([1, 2])
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, inUse: 0, waiting: 0 })
    await pool.close()
  })

  const untouchable: [string, () => unknown][] = [
    ['a revoked proxy', () => revoked()],
    ['what only looks like a promise', () => Object.create(Promise.prototype)],
  ]
  it.each(
    untouchable.flatMap(([what, work]) => [
      [what, 'finds its resource idle', work, false, undefined] as const,
      [what, 'waits', work, true, undefined] as const,
      [what, 'has a signal', work, false, { signal: new AbortController().signal }] as const,
    ]),
  )('rejects when its work answers %s and %s, and loses no resource', async (...given) => {
    const [, , work, waits, options] = given
    const pool = createPool({ create: () => ({}), maxSize: 1, isBroken: () => false })
    await pool.use(() => 1)
    const before = waits ? pool.use(async () => 1) : undefined

    await expect(pool.use(work, options)).rejects.toThrow(TypeError)

    await before
    expect(await pool.use(() => 'next')).toBe('next')
    expect(pool.stats()).toMatchObject({ created: 1, inUse: 0, waiting: 0 })
    await pool.close()
  })

  it('is refused in time when a listener serves others while the line is swept', async () => {
    const clock = virtualClock()
    const pool = createPool({
      create: () => ({}),
      maxSize: 1,
      acquireTimeout: 100,
      isBroken: () => false,
      clock,
    })
    const lease = await pool.acquire()
    pool.subscribe((event) => {
      if (event.type === 'reject' && lease !== undefined) lease.release()
    })
    const outcomes = [0, 1, 2, 3].map(() =>
      pool.use(() => new Promise<string>(() => {})).catch((error: Error) => error.name),
    )
    const refused: unknown[] = []
    for (const outcome of outcomes) outcome.then((name) => refused.push(name))

    await clock.advance(100)

    expect(refused).toEqual(Array(3).fill('AcquireTimeoutError'))
    expect(pool.stats()).toMatchObject({ inUse: 1, waiting: 0 })
    await Promise.all([pool.close({ timeout: 0 }), clock.advance(1)])
  })

  it('keeps its resource when a use that began just before it closes the pool', async () => {
    const pool = createPool({ create: () => ({}), maxSize: 3 })
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()])
    for (const lease of leases) lease.release()
    pool.suspend()
    const first = pool.use(() => void pool.close({ timeout: 0 }))
    let begun = 0
    const second = pool.use(() => {
      begun++
    })
    const third = pool.acquire()

    pool.resume()

    const outcomes = await Promise.allSettled([first, second, third])
    // What had been given to them before stays theirs until the time is up.
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
    expect(begun).toBe(1)
    await pool.close()
    expect(pool.stats()).toMatchObject({ total: 0, inUse: 0, waiting: 0 })
  })

  it('may evict, use and close the pool in the moment in which another one ends', async () => {
    const pool = poolOfOne()
    const told: string[] = []
    const note = (name: string) => (outcome: unknown) =>
      void told.push(`${name} ${outcome instanceof Error ? outcome.name : outcome}`)
    const first = pool.use(async () => 'done')
    const second = pool.use(() => {
      pool.evictAll()
      const inner = pool.use(async () => 'done').then(note('inner'), note('inner'))
      const closing = pool.close({ timeout: 0 }).then(() => told.push('closed'))
      return Promise.all([inner, closing]).then(() => 'done')
    })
    const third = pool.use(async () => 'done')

    await Promise.all([
      first.then(note('first')),
      second.then(note('second')),
      third.then(note('third'), note('third')),
    ])

    expect(told.toSorted()).toEqual([
      'closed',
      'first done',
      'inner PoolClosedError',
      'second done',
      'third PoolClosedError',
    ])
    expect(pool.stats()).toMatchObject({ total: 0, inUse: 0, waiting: 0 })
  })
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function thrown(message: string): never {
  throw new Error(message)
}
