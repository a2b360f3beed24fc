/** What comes back and is lent again within one turn of the loop, where hardly anything is looked at. */
import { expect, it, vi } from 'vitest'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { createPool } from './pool.ts'

const nothing = (): void => {}

function made() {
  let count = 0
  return () => ({ id: ++count })
}

const id = (resource: { id: number }): number => resource.id

it('validates between two loans of one turn when nothing is ever fresh', async () => {
  const validate = vi.fn(() => true)
  await using pool = createPool({ create: made(), validate, validateAfter: 0 })
  await pool.use(nothing)
  expect(pool.tryAcquire()).toBeUndefined()

  validate.mockClear()
  await pool.use(nothing)
  await pool.use(nothing)
  expect(validate).toHaveBeenCalledTimes(2)
})

it('does not lend again what was evicted while it was lent, in the same turn', async () => {
  await using pool = createPool({ create: made(), maxSize: 1 })
  await pool.use(nothing)
  const lease = pool.tryAcquire()
  pool.evictAll()
  lease?.release()
  expect(await pool.use(id)).toBe(2)
})

it('does not lend again what was evicted while it was idle, in the same turn', async () => {
  await using pool = createPool({ create: made(), maxSize: 1 })
  await pool.use(nothing)
  pool.evictAll()
  expect(await pool.use(id)).toBe(2)
})

it('replaces what was lent maxUses times, all within one turn', async () => {
  await using pool = createPool({ create: made(), maxSize: 1, maxUses: 2 })
  const ids: number[] = []
  for (let use = 0; use < 6; use++) ids.push(await pool.use(id))
  expect(ids).toEqual([1, 1, 2, 2, 3, 3])
})

it('replaces it also where it goes from hand to hand', async () => {
  await using pool = createPool({ create: made(), maxSize: 1, maxUses: 3 })
  const ids = await Promise.all(Array.from({ length: 7 }, () => pool.use(id)))
  expect(ids).toEqual([1, 1, 1, 2, 2, 2, 3])
})

it('lends nothing while it is suspended, and goes on in the same turn', async () => {
  await using pool = createPool({ create: made(), maxSize: 1 })
  await pool.use(nothing)
  pool.suspend()
  expect(pool.tryAcquire()).toBeUndefined()
  const later = pool.use(id)
  expect(pool.stats()).toMatchObject({ waiting: 1, idle: 1 })
  pool.resume()
  expect(await later).toBe(1)
})

it('resets after every loan of one turn', async () => {
  const reset = vi.fn()
  await using pool = createPool({ create: made(), reset })
  for (let use = 0; use < 3; use++) await pool.use(nothing)
  expect(reset).toHaveBeenCalledTimes(3)
})

it('destroys what a burst has left over, in the same turn', async () => {
  await using pool = createPool({ create: made(), maxSize: 2, overflow: 1 })
  const three = () => Promise.all([pool.acquire(), pool.acquire(), pool.acquire()])
  for (const lease of await three()) lease.release()

  const [first, second, third] = await three()
  first?.release()
  expect(pool.stats()).toMatchObject({ total: 2, inUse: 2 })
  second?.release()
  third?.release()
  expect(pool.stats()).toMatchObject({ total: 2, idle: 2 })
})

it('tells who drains it of what comes back, in the same turn', async () => {
  await using pool = createPool({ create: made() })
  await pool.use(nothing)
  const lease = pool.tryAcquire()
  const drained = vi.fn()
  pool.drain({ timeout: 1_000 }).then(drained)
  lease?.release()
  await new Promise((resolve) => setImmediate(resolve))
  expect(drained).toHaveBeenCalledWith(true)
})

it('hands nothing on while it is suspended', async () => {
  await using pool = createPool({ create: made(), maxSize: 1 })
  await pool.use(nothing)
  const lease = pool.tryAcquire()
  const later = pool.use(id)
  pool.suspend()
  lease?.release()
  expect(pool.stats()).toMatchObject({ waiting: 1, idle: 1, inUse: 0 })
  pool.resume()
  expect(await later).toBe(1)
})

it('measures each loan by itself where a resource goes from hand to hand', async () => {
  const clock = virtualClock()
  await using pool = createPool({ create: made(), maxSize: 1, leakTimeout: 100, clock })
  const first = await pool.acquire()
  const second = pool.acquire()
  await clock.advance(80)
  first.release()
  const lease = await second
  await clock.advance(80)
  expect(pool.stats().leaked).toBe(0)
  await clock.advance(20)
  expect(pool.stats().leaked).toBe(1)
  lease.release()
})

it('gives nothing back twice, in one turn', async () => {
  await using pool = createPool({ create: made(), maxSize: 2 })
  await pool.use(nothing)
  const lease = pool.tryAcquire()
  lease?.release()
  expect(() => lease?.release()).toThrow(/after its loan had ended/)
  expect(pool.stats()).toMatchObject({ total: 1, idle: 1, inUse: 0 })
})

it('looks at the time between any two loans on a clock without turns', async () => {
  const clock = virtualClock()
  const validate = vi.fn(() => true)
  await using pool = createPool({ create: made(), validate, validateAfter: 10, clock })
  await pool.use(nothing)
  validate.mockClear()

  await clock.advance(10)
  await pool.use(nothing)
  expect(validate).toHaveBeenCalledTimes(1)
})
