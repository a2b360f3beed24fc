import { staleCache } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { times } from '../../../test/support/calls.ts'
import type { Entry } from './entry.ts'
import { Memory } from './memory.ts'
import { roughSize } from './size.ts'

const entry = (value: unknown): Entry => ({
  value,
  made: 0,
  refreshFrom: 1,
  freshUntil: 1,
  staleUntil: 1,
  took: 0,
})
const keysIn = (memory: Memory, keys: readonly string[]): string[] =>
  keys.filter((key) => memory.get(key) !== undefined)

describe('the memory of a cache', () => {
  it('holds no more values than it may: a million keys leave a thousand', () => {
    const memory = new Memory(1_000, Number.POSITIVE_INFINITY, roughSize)
    for (let n = 0; n < 1_000_000; n++) memory.set(`key ${n}`, entry(n))

    expect(memory.entries).toBe(1_000)
    expect(memory.evicted).toBe(999_000)
    expect(memory.get('key 999999')).toBeDefined()
  })

  it('keeps what is asked for, and lets go of what is asked for once', () => {
    const memory = new Memory(4, Number.POSITIVE_INFINITY, roughSize)
    for (const key of ['a', 'b', 'c', 'd']) memory.set(key, entry(key))
    memory.get('a')
    memory.get('c')
    for (const key of ['e', 'f']) memory.set(key, entry(key))

    expect(keysIn(memory, ['a', 'b', 'c', 'd', 'e', 'f'])).toEqual(['a', 'c', 'e', 'f'])
  })

  it('takes the oldest when all are asked for, and ends its search', () => {
    const memory = new Memory(3, Number.POSITIVE_INFINITY, roughSize)
    for (const key of ['a', 'b', 'c']) memory.set(key, entry(key))
    for (const key of ['a', 'b', 'c']) memory.get(key)
    memory.set('d', entry('d'))

    expect(keysIn(memory, ['a', 'b', 'c', 'd'])).toEqual(['b', 'c', 'd'])
  })

  it('goes on with the next when the one that was to go is deleted', () => {
    const memory = new Memory(3, 1_000, () => 10)
    for (const key of ['a', 'b', 'c', 'd']) memory.set(key, entry(key))
    memory.delete('b')
    for (const key of ['e', 'f']) memory.set(key, entry(key))

    expect(keysIn(memory, ['a', 'b', 'c', 'd', 'e', 'f'])).toEqual(['d', 'e', 'f'])
    expect(memory).toMatchObject({ entries: 3, evicted: 2, bytes: 36 })
  })

  it('holds one value with room for one', () => {
    const memory = new Memory(1, Number.POSITIVE_INFINITY, roughSize)
    for (const key of ['a', 'b', 'b', 'c', 'a']) {
      memory.set(key, entry(key))
      expect(memory.get(key)?.value).toBe(key)
    }

    expect(memory).toMatchObject({ entries: 1, evicted: 3 })
  })

  it('holds no more bytes than it may, and counts them', () => {
    const memory = new Memory(1_000, 1_000, (value) => value as number)
    for (const key of ['a', 'b', 'c']) memory.set(key, entry(300))
    expect(memory.bytes).toBe(906)

    memory.set('d', entry(600))
    expect(memory.bytes).toBe(904)
    expect(keysIn(memory, ['a', 'b', 'c', 'd'])).toEqual(['c', 'd'])
    memory.set('c', entry(398))
    expect(memory.bytes).toBe(400)
    memory.delete('c')
    memory.delete('d')
    memory.delete('never there')

    expect(memory).toMatchObject({ bytes: 0, entries: 0 })
  })

  it.each([1_001, Number.POSITIVE_INFINITY, Number.NaN, -1])(
    'keeps nothing of %s bytes, and not what it would have replaced',
    (size) => {
      const memory = new Memory(10, 1_000, (value) => value as number)
      memory.set('small', entry(1))
      memory.set('key', entry(2))
      memory.set('key', entry(size))

      expect(memory.get('key')).toBeUndefined()
      expect(memory).toMatchObject({ entries: 1, bytes: 11, evicted: 1 })
    },
  )

  it('forgets a value whose size cannot be told', () => {
    const memory = new Memory(10, 1_000, () => {
      throw new Error('no size')
    })
    memory.set('key', entry(1))

    expect(memory).toMatchObject({ entries: 0, evicted: 1 })
  })
})

describe('the size of a value', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const getter = {
    get bites(): never {
      throw new Error('getter')
    },
  }

  it.each<[string, unknown, number, number]>([
    ['a string', 'x'.repeat(1_000), 2_000, 2_100],
    ['a buffer', new Uint8Array(1_000), 1_000, 1_100],
    ['a list', times(100, (n) => n), 800, 1_000],
    ['an object', { name: 'tea', price: 3 }, 60, 120],
    ['a map', new Map([['tea', 'x'.repeat(500)]]), 1_000, 1_200],
    ['a set', new Set(['x'.repeat(500)]), 1_000, 1_200],
    ['a cycle', cycle, 56, 120],
    ['a getter, which is not called', getter, 50, 100],
    ['nothing', undefined, 8, 8],
    ['the same object twice, once', [new Uint8Array(100), 0].map((_, __, all) => all[0]), 100, 250],
  ])('of %s is near the truth', (_what, value, least, most) => {
    const size = roughSize(value, Number.POSITIVE_INFINITY)
    expect(size).toBeGreaterThanOrEqual(least)
    expect(size).toBeLessThanOrEqual(most)
  })

  it('is not added up beyond what may be kept anyway', () => {
    let looked = 0
    const trap = new Proxy(
      {},
      {
        ownKeys: () => {
          looked++
          return []
        },
      },
    )

    expect(roughSize([trap, 'x'.repeat(1_000)], 100)).toBeGreaterThan(100)
    expect(looked).toBe(0)
  })
})

describe('a cache in memory', () => {
  it('tells how full it is', async () => {
    const cache = staleCache({ key: (id: string) => id, staleFor: 1_000, maxEntries: 2 })
    const read = cache.wrap(async (id: string) => `${id}, 20 characters`)
    for (const id of ['a', 'b', 'c']) await read(id)

    expect(cache.stats()).toMatchObject({ entries: 2, evicted: 1 })
    expect(cache.stats().bytes).toBeGreaterThan(60)
  })

  it('lets go of a value that is too old when it is asked for', async () => {
    const clock = virtualClock()
    const cache = staleCache({ key: () => 'all', staleFor: 1_000, clock })
    await cache.execute(() => 'old')
    await clock.advance(1_000)
    await cache.execute(() => Promise.reject(new TypeError('bug'))).catch(() => {})

    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0 })
  })

  it('hands out copies if it is given a way to make them: who changes his changes nothing', async () => {
    const cache = staleCache<string[]>({
      key: () => 'all',
      staleFor: 1_000,
      freshFor: 1_000,
      copy: (list) => [...list],
    })
    const load = async (): Promise<string[]> => ['tea']
    const [first, joined] = await Promise.all([cache.execute(load), cache.execute(load)])
    first.push('changed by the first')
    joined.push('changed by another')
    const third = await cache.execute(load)
    third.push('changed by the third')

    expect(await cache.execute(load)).toEqual(['tea'])
    expect(joined).toEqual(['tea', 'changed by another'])
    expect(cache.stats()).toMatchObject({ loads: 1, fresh: 2 })
  })

  it('keeps nothing that cannot be copied, and its caller gets it all the same', async () => {
    const cache = staleCache<() => void>({
      key: () => 'all',
      staleFor: 1_000,
      freshFor: 1_000,
      copy: structuredClone,
    })
    const value = (): void => {}

    expect(await cache.execute(() => value)).toBe(value)
    expect(cache.stats().entries).toBe(0)
  })
})
