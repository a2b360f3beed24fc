import { type CacheStore, type HoldfastEvent, type StoredValue, staleCache } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import { withoutNoise } from '../../../test/support/leaks.ts'

const down = new Error('store down')

/** A store in memory that a test can break in every way. */
class Shaky implements CacheStore {
  readonly values = new Map<string, unknown>()
  readonly ttls: number[] = []
  gets = 0
  /** What happens before an answer. */
  trouble: (() => unknown) | undefined = undefined

  async get(key: string): Promise<unknown> {
    this.gets++
    await this.trouble?.()
    return this.values.get(key)
  }

  async set(key: string, value: StoredValue, ttl: number): Promise<void> {
    await this.trouble?.()
    this.values.set(key, value)
    this.ttls.push(ttl)
  }

  async delete(key: string): Promise<void> {
    await this.trouble?.()
    this.values.delete(key)
  }
}

function cacheOf(
  store: CacheStore,
  options: Partial<Parameters<typeof staleCache>[0]> = {},
  clock: VirtualClock = virtualClock(),
) {
  const events: HoldfastEvent[] = []
  const common = { name: 'prices', key: () => 'all', staleFor: 10_000, jitter: 0, clock }
  const cache = staleCache({ ...common, store, storeTimeout: 50, ...options })
  cache.subscribe((event) => {
    if (event.type === 'cache-store') events.push(event)
  })
  return { cache, clock, events }
}

describe('a cache over a store', () => {
  it('shares what it keeps with other processes, each of which knows its age', async () => {
    const store = new Shaky()
    const clock = virtualClock()
    const one = cacheOf(store, { freshFor: 1_000 }, clock)
    const other = cacheOf(store, { freshFor: 1_000 }, virtualClock({ start: 5e6 }))
    await one.cache.execute(() => 'good')
    await quiet()
    await other.clock.advance(400)

    expect(await other.cache.executeDetailed(() => 'unreached')).toMatchObject({
      value: 'good',
      age: 400,
      attempts: 0,
    })
    await other.clock.advance(600)
    expect(await other.cache.execute(() => Promise.reject(down))).toBe('good')
    await other.clock.advance(9_000)
    expect(await rejection(other.cache.execute(() => Promise.reject(down)))).toBe(down)
    expect(store.ttls).toEqual([10_000])
  })

  it('begins its keys with a version and its name, whatever is in the name', async () => {
    const store = new Shaky()
    const a = cacheOf(store, { name: 'a', key: () => 'b:c' }).cache
    const b = cacheOf(store, { name: 'a:b', key: () => 'c' }).cache
    await Promise.all([a.execute(() => 1), b.execute(() => 2)])
    await quiet()

    expect([...store.values.keys()].sort()).toEqual(['holdfast:1:a%3Ab:c', 'holdfast:1:a:b:c'])
  })

  it('works with one that answers at once, without waiting for it', async () => {
    const { cache, clock } = cacheOf(new Map() as CacheStore, { freshFor: 1_000 })
    await cache.execute(() => 'good')

    expect(await cache.execute(() => 'unreached')).toBe('good')
    expect(clock.timers).toEqual([])
  })

  it('asks it once for everybody who asks at the same time', async () => {
    const store = new Shaky()
    const { cache } = cacheOf(store, { freshFor: 1_000 })
    await cache.execute(() => 'good')
    await quiet()
    store.gets = 0

    await Promise.all(times(50, () => cache.execute(() => 'unreached')))

    expect(store.gets).toBe(1)
    expect(cache.stats()).toMatchObject({ fresh: 50 })
  })

  it('reads its own writes, and undoes them in order, however slow the store is', async () => {
    const store = new Shaky()
    const { cache } = cacheOf(store, { freshFor: 1_000 })
    const slow = gate()
    await cache.execute(() => 'first')
    await quiet()
    store.trouble = () => slow.promise

    cache.set('all', 'second')
    expect(await cache.execute(() => 'unreached')).toBe('second')
    const deleted = cache.delete('all')
    const load = cache.execute(() => 'third')
    expect(await load).toBe('third')
    slow.open()
    await deleted
    await quiet()

    expect(await cache.execute(() => 'unreached')).toBe('third')
    expect([...store.values.values()]).toMatchObject([{ value: 'third' }])
  })

  it('does not fall behind for ever when the calls are faster than the store', async () => {
    const store = new Shaky()
    const { cache, clock } = cacheOf(store)
    store.trouble = () => new Promise<void>((resolve) => clock.setTimer(resolve, 5))
    for (let n = 0; n < 100; n++) {
      cache.set('all', n)
      await clock.advance(1)
    }
    const deleted = Promise.all([cache.delete('all'), cache.delete('all')])
    cache.set('all', 'newest')

    await clock.advance(10)
    expect(clock.pending).toBe(0)
    await deleted
    expect([...store.values.values()]).toMatchObject([{ value: 'newest' }])
    expect(store.ttls.length).toBeLessThanOrEqual(22)
  })

  it('says of a delete that was overtaken by a set whether the old value is gone', async () => {
    const store = new Shaky()
    const { cache } = cacheOf(store)
    const slow = gate()
    store.trouble = () => slow.promise
    cache.set('all', 'old')
    const deleted = cache.delete('all')
    cache.set('all', 'new')
    store.trouble = () => Promise.reject(down)
    slow.open()

    expect(await rejection(deleted)).toBe(down)
  })

  it('does not let a slow set bring back what was deleted after it', async () => {
    const store = new Shaky()
    const { cache } = cacheOf(store)
    const slow = gate()
    store.trouble = () => slow.promise
    cache.set('all', 'value')
    store.trouble = undefined
    const deleted = cache.delete('all')
    await quiet()
    slow.open()
    await deleted
    await quiet()

    expect(store.values.size).toBe(0)
  })

  it('is not misled by what it found before it was overruled', async () => {
    const store = new Shaky()
    const { cache } = cacheOf(store, { freshFor: 1_000 })
    await cache.execute(() => 'old')
    await quiet()
    const slow = gate()
    store.trouble = () => slow.promise
    const read = cache.execute(() => 'unreached')
    cache.set('all', 'new')
    slow.open()

    expect(await read).toBe('new')
  })
})

describe('a store in trouble', () => {
  it.each<[string, () => unknown]>([
    ['down', () => Promise.reject(down)],
    [
      'throwing',
      () => {
        throw down
      },
    ],
  ])('%s fails no call', async (_how, trouble) => {
    const store = new Shaky()
    const { cache } = cacheOf(store)
    store.trouble = trouble

    await withoutNoise(async () => {
      for (let call = 0; call < 10; call++) expect(await cache.execute(() => call)).toBe(call)
    })
    expect(cache.stats()).toMatchObject({ succeeded: 10, failed: 0, storeDown: true })
  })

  it('delays no call beyond storeTimeout, and none at all once it is known to be down', async () => {
    const store = new Shaky()
    const { cache, clock, events } = cacheOf(store, { key: (id: string) => id })
    const read = (id: string) => watch(cache.execute(() => id, { args: [id] }))
    store.trouble = hangs
    const calls = ['a', 'b', 'c'].map(read)
    await clock.advance(49)
    expect(calls.map(({ status }) => status)).toEqual(times(3, () => 'pending'))
    await clock.advance(1)
    expect(calls.map(({ value }) => value)).toEqual(['a', 'b', 'c'])

    await clock.advance(500)
    const call = read('d')
    await quiet()
    expect(call.value).toBe('d')
    expect(store.gets).toBe(3)
    expect(cache.stats().storeDown).toBe(true)
    expect(events).toHaveLength(1)
    clock.assertIdle()
  })

  it('now and then is not down: three failures in a row are', async () => {
    const store = new Shaky()
    const { cache, events } = cacheOf(store, { key: (id: string) => id })
    for (let round = 0; round < 6; round++) {
      store.trouble = () => Promise.reject(down)
      await cache.delete('a').catch(() => {})
      store.trouble = undefined
      await cache.delete('a')
    }

    expect(cache.stats()).toMatchObject({ storeErrors: 6, storeDown: false })
    expect(events).toEqual([])
  })

  it('is looked at again after a second, by one call, and tells both ends of its trouble once', async () => {
    const store = new Shaky()
    const { cache, clock, events } = cacheOf(store, { key: (id: string) => id })
    const read = (id: string) => cache.execute(() => id, { args: [id] })
    store.trouble = () => Promise.reject(down)
    for (const id of ['a', 'b', 'c', 'd']) await read(id)
    await quiet()
    expect(events).toMatchObject([{ change: 'failed', error: down, policy: 'prices' }])
    const asked = store.gets

    await clock.advance(1_000)
    await Promise.all(['a', 'b', 'c'].map(read))
    expect(store.gets).toBe(asked + 1)
    expect(events).toHaveLength(1)
    store.trouble = undefined
    await clock.advance(1_000)
    await read('a')
    await read('b')

    expect(events).toMatchObject([{ change: 'failed' }, { change: 'recovered' }])
    expect(cache.stats().storeDown).toBe(false)
  })

  it.each<[string, unknown]>([
    ['text', 'garbage'],
    ['a number', 42],
    ['an empty object', {}],
    ['a list', []],
    ['another version', { v: 2, value: 'x', at: 0, fresh: 1, stale: 1, took: 1 }],
    ['times that are no times', { v: 1, value: 'x', at: 'now', fresh: 1, stale: 1, took: 1 }],
    ['NaN', { v: 1, value: 'x', at: Number.NaN, fresh: 1, stale: 1, took: 1 }],
    ['a negative age', { v: 1, value: 'x', at: 1, fresh: -1, stale: -1, took: 0 }],
    [
      'a thing that bites',
      new Proxy(
        {},
        {
          get: (_, name) => {
            if (name === 'then') return undefined
            throw new Error('bites')
          },
        },
      ),
    ],
  ])('that gives back %s has found nothing, and is written anew', async (_what, garbage) => {
    const store = new Shaky()
    const { cache, events } = cacheOf(store, { freshFor: 1_000 })
    store.values.set('holdfast:1:prices:all', garbage)

    expect(await cache.execute(() => 'good')).toBe('good')
    await quiet()
    expect(await cache.execute(() => 'unreached')).toBe('good')
    expect(events).toMatchObject([{ change: 'unreadable' }])
  })

  it('whose answer comes too late is not listened to, nor is its error', async () => {
    const store = new Shaky()
    const { cache, clock } = cacheOf(store)
    const late = gate()
    store.trouble = () => late.promise
    const call = watch(cache.execute(() => 'answer'))
    await clock.advance(49)
    store.trouble = undefined
    await clock.advance(1)
    expect(call.value).toBe('answer')

    await withoutNoise(async () => late.fail(down))
    expect(cache.stats().storeErrors).toBe(1)
  })

  it('that cannot delete says so: the value may still be there', async () => {
    const store = new Shaky()
    const { cache, clock } = cacheOf(store)
    await cache.execute(() => 'good')
    store.trouble = () => Promise.reject(down)
    expect(await rejection(cache.delete('all'))).toBe(down)
    store.trouble = hangs
    const deleted = caught(cache.delete('all'))
    await clock.advance(50)

    expect((await deleted).error).toMatchObject({ code: 'ERR_TIMEOUT', policy: 'prices' })
  })

  it('is not believed to be from the future when clocks disagree', async () => {
    const store = new Shaky()
    const ahead = cacheOf(store, {}, virtualClock({ wallTime: 2_000_000_000_000 }))
    const behind = cacheOf(store, { freshFor: 1_000 })
    await ahead.cache.execute(() => 'good')
    await quiet()

    const detailed = await behind.cache.executeDetailed(() => Promise.reject(down))

    expect(detailed).toMatchObject({ value: 'good', age: 0 })
  })

  it('does not delay a caller who leaves, nor call for who has left', async () => {
    const store = new Shaky()
    const { cache } = cacheOf(store)
    const slow = gate()
    store.trouble = () => slow.promise
    const caller = new AbortController()
    let calls = 0
    const call = caught(cache.execute(() => calls++, { signal: caller.signal }))
    await quiet()

    caller.abort('gone')
    expect((await call).error).toBe('gone')
    slow.open()
    await quiet()

    expect(calls).toBe(0)
    expect(cache.stats().running).toBe(0)
  })
})
