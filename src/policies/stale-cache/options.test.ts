import { type StaleCacheOptions, staleCache } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { rejection, times } from '../../../test/support/calls.ts'

const good = { key: (id: string) => id, staleFor: 1_000 }
const store = new Map<string, unknown>()

describe('the options of staleCache', () => {
  it.each<[string, object | undefined, string]>([
    ['no options', undefined, 'staleCache: key is required'],
    ['no key: nobody shares by accident', { staleFor: 1 }, 'staleCache: key is required'],
    ['a key that is text', { ...good, key: 'all' }, 'key must be a function'],
    ['no staleFor', { key: good.key }, 'staleFor is required'],
    ['staleFor of nothing', { ...good, staleFor: 0 }, 'staleFor must be'],
    [
      'more fresh than stale',
      { ...good, freshFor: 1_001 },
      'freshFor must be at most staleFor, 1000 ms, but was 1001',
    ],
    ['a jitter of everything', { ...good, jitter: 1 }, 'jitter must be'],
    ['a negative softTimeout', { ...good, softTimeout: -1 }, 'softTimeout must be'],
    ['isNegative alone', { ...good, isNegative: () => true }, 'give both'],
    ['room for nothing', { ...good, maxEntries: 0 }, 'maxEntries must be'],
    [
      'a store without its methods',
      { ...good, name: 'n', store: { get() {} } },
      'with get, set, delete',
    ],
    ['a store without a name', { ...good, store }, 'name is required with a store'],
    [
      'a store and bounds of memory',
      { ...good, name: 'n', store, maxEntries: 1 },
      'maxEntries bounds the memory',
    ],
    [
      'a store for ever',
      { ...good, name: 'n', store, staleFor: Number.POSITIVE_INFINITY },
      'staleFor must end',
    ],
    ['the limit of a store there is not', { ...good, storeTimeout: 1 }, 'there is none'],
    ['a name that is unknown', { ...good, ttl: 1 }, 'unknown option "ttl"'],
  ])('refuse %s', (_what, options, message) => {
    expect(() => staleCache(options as unknown as StaleCacheOptions)).toThrow(message)
  })

  it('are told with their defaults, without the store itself, which may know passwords', () => {
    const secret = Object.assign(new Map<string, unknown>(), { password: 'secret' })
    Object.assign(secret, { self: secret })

    expect(staleCache(good).describe()).toEqual({
      policy: 'staleCache',
      name: 'staleCache',
      options: {
        key: 'function key',
        staleFor: 1_000,
        freshFor: 0,
        softTimeout: 'Infinity',
        staleOnError: true,
        refreshPause: 1_000,
        jitter: 0.1,
        earlyRefresh: 0,
        joinWithin: 30_000,
        finishAlone: false,
        maxEntries: 1_000,
        maxBytes: 67_108_864,
      },
    })
    const described = staleCache({ ...good, name: 'prices', store: secret }).describe()
    expect(described.options).toMatchObject({ store: 'of your own', storeTimeout: 100 })
    expect(JSON.stringify(described)).not.toContain('secret')
  })
})

describe('when values expire', () => {
  it('is spread, and never later than freshFor: keys that were filled together do not expire together', async () => {
    const clock = virtualClock()
    const cache = staleCache({
      ...good,
      freshFor: 1_000,
      jitter: 0.2,
      clock,
      random: seededRandom(7),
    })
    let calls = 0
    const read = cache.wrap(async (_id: string) => ++calls)
    const onlyLooks = (): Promise<never> => Promise.reject(new TypeError('only a look'))
    const look = (id: string) => cache.execute(onlyLooks, { args: [id] }).catch(() => {})
    const all = times(200, (n) => `key ${n}`)
    for (const id of all) await read(id)

    const alive: number[] = []
    for (let at = 100; at <= 1_000; at += 100) {
      await clock.advance(100)
      const before = cache.stats().fresh
      for (const id of all) await look(id)
      alive.push(cache.stats().fresh - before)
    }
    expect(alive.slice(0, 8)).toEqual(times(8, () => 200))
    expect(alive[8]).toBeGreaterThan(60)
    expect(alive[8]).toBeLessThan(140)
    expect(alive[9]).toBe(0)
  })

  it('is sooner for negative results, which are never served stale', async () => {
    const clock = virtualClock()
    const cache = staleCache({ ...good, freshFor: 800, negativeFor: 100, jitter: 0, clock })
    let calls = 0
    const read = cache.wrap(async (id: string) => {
      calls++
      return id === 'none' ? null : id
    })
    await read('none')
    await read('tea')
    await clock.advance(99)
    expect([await read('none'), await read('tea'), calls]).toEqual([null, 'tea', 2])
    await clock.advance(1)

    const down = new Error('down')
    const fail = (id: string): Promise<unknown> =>
      cache.execute(() => Promise.reject(down), { args: [id] })
    expect(await rejection(fail('none'))).toBe(down)
    expect(await fail('tea')).toBe('tea')
  })

  it('is at once for negative results that are not to be kept, which also end what was kept', async () => {
    const cache = staleCache<{ status: number }>({
      ...good,
      negativeFor: 0,
      isNegative: ({ status }) => status >= 400,
    })
    const answer = (status: number) => cache.execute(() => ({ status }), { args: ['tea'] })
    await answer(200)
    expect(cache.stats().entries).toBe(1)
    await answer(404)

    expect(cache.stats().entries).toBe(0)
    cache.set('tea', { status: 200 })
    expect(cache.stats().entries).toBe(1)
    cache.set('tea', { status: 404 })
    expect(cache.stats().entries).toBe(0)
  })
})
