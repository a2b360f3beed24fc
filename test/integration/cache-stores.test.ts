/** A stale cache over the real stores: lru-cache, keyv, and Redis by both of its clients. */
import { createRequire } from 'node:module'
import { type CacheStore, type HoldfastEvent, type StaleCache, staleCache } from 'holdfast'
import { keyvStore, lruStore, redisStore } from 'holdfast/stores'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { rejection, times } from '../support/calls.ts'
import { hasRedis, type RedisServer, startRedis } from '../support/redis-server.ts'

interface Ioredis {
  get(key: string): Promise<string | null>
  set(key: string, value: string): Promise<unknown>
  del(key: string): Promise<number>
  on(event: 'error', listener: () => void): this
  disconnect(): void
}
const { Redis } = createRequire(import.meta.url)('ioredis') as {
  Redis: new (url: string, options?: object) => Ioredis
}

const down = Object.assign(new Error('connection reset'), { code: 'ECONNRESET' })
const failing = (): Promise<never> => Promise.reject(down)
const caches = new Set<string>()

/** A cache of a name of its own. */
function cacheOver(store: CacheStore, options: Partial<Parameters<typeof staleCache>[0]> = {}) {
  const name = options.name ?? `cache ${caches.size}`
  caches.add(name)
  const common = { name, key: (id: string) => id, staleFor: 60_000, jitter: 0, refreshPause: 0 }
  return staleCache({ ...common, store, storeTimeout: 1_000, ...options })
}

const answerOf = (cache: StaleCache, id: string, answer: () => unknown): Promise<unknown> =>
  cache.execute(answer, { args: [id] })

/** What every store has to do. `settled` waits until what was written can be read. */
function servesAsAStore(makeStore: () => CacheStore | Promise<CacheStore>, json: boolean): void {
  const values: [string, unknown][] = [
    ['text', 'tea'],
    ['an object', { name: 'tea', tags: ['green', { deep: null }] }],
    ['null', null],
    ['nothing', undefined],
    ['0', 0],
    ['no', false],
    ['empty text', ''],
    ['text of all kinds', '☕ \u0000 {} " \\ 10 kB '.repeat(500)],
  ]

  it.each(values)('keeps %s, and gives it to another process as it was', async (what, value) => {
    const store = await makeStore()
    const name = `values, ${what}`
    await answerOf(cacheOver(store, { name, freshFor: 60_000 }), 'id', () => value)
    const other = cacheOver(store, { name, freshFor: 60_000 })

    await expect
      .poll(() => answerOf(other, 'id', () => 'called'), { timeout: 20_000 })
      .toEqual(value)
    expect(await other.executeDetailed(failing, { args: ['id'] })).toMatchObject({
      degraded: false,
      attempts: 0,
    })
  })

  it('serves what is stale when the call fails, and nothing after delete', async () => {
    const cache = cacheOver(await makeStore())
    await answerOf(cache, 'tea', () => 'good')
    await answerOf(cache, 'salt', () => 'salty')

    expect(await answerOf(cache, 'tea', failing)).toBe('good')
    await cache.delete('tea')
    expect(await rejection(answerOf(cache, 'tea', failing))).toBe(down)
    expect(await answerOf(cache, 'salt', failing)).toBe('salty')
  })

  it('keeps a hundred keys apart that are used at the same time', async () => {
    const cache = cacheOver(await makeStore())
    await Promise.all(times(100, (n) => answerOf(cache, `{${n}}:*`, () => n)))

    expect(await Promise.all(times(100, (n) => answerOf(cache, `{${n}}:*`, failing)))).toEqual(
      times(100, (n) => n),
    )
    expect(cache.stats()).toMatchObject({ storeErrors: 0, storeDown: false })
  })

  it('keeps nothing that it cannot say, and its caller gets it all the same', async () => {
    const cache = cacheOver(await makeStore())
    const cycle: { self?: unknown } = {}
    cycle.self = cycle

    expect(await answerOf(cache, 'cycle', () => cycle)).toBe(cycle)
    if (json) expect(await rejection(answerOf(cache, 'cycle', failing))).toBe(down)
    else expect(await answerOf(cache, 'cycle', failing)).toBe(cycle)
  })
}

describe('over a real lru-cache', () => {
  servesAsAStore(() => lruStore(new LRUCache<string, object>({ max: 1_000 })), false)

  it('lets it forget what is too old', async () => {
    const lru = new LRUCache<string, object>({ max: 10 })
    const cache = cacheOver(lruStore(lru), { name: 'lru', staleFor: 60_000 })
    await answerOf(cache, 'tea', () => 'good')

    expect(lru.getRemainingTTL('holdfast:1:lru:tea')).toBeGreaterThan(30_000)
    expect(lru.getRemainingTTL('holdfast:1:lru:tea')).toBeLessThanOrEqual(60_000)
  })
})

describe('over a real keyv', () => {
  servesAsAStore(() => keyvStore(new Keyv()), true)

  it('needs no adapter at all', async () => {
    const cache = cacheOver(new Keyv() as unknown as CacheStore)
    await answerOf(cache, 'tea', () => 'good')

    expect(await answerOf(cache, 'tea', failing)).toBe('good')
  })
})

describe.skipIf(!hasRedis())('over a real Redis', () => {
  let server: RedisServer
  const closing: (() => unknown)[] = []
  beforeAll(async () => {
    server = await startRedis()
  })
  afterEach(async () => {
    for (const close of closing.splice(0)) close()
    server.resume()
    if (server.pid === undefined) await server.restart()
  })
  afterAll(() => server?.stop())

  async function nodeRedis() {
    const client = createClient({ url: server.url, socket: { reconnectStrategy: 50 } })
    client.on('error', () => {})
    await client.connect()
    closing.push(() => client.destroy())
    return client
  }

  function ioRedis(): Ioredis {
    const client = new Redis(server.url, { retryStrategy: () => 50 })
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    return client
  }

  describe('by node-redis', () => {
    servesAsAStore(async () => redisStore(await nodeRedis()), true)
  })

  describe('by ioredis', () => {
    servesAsAStore(() => redisStore(ioRedis()), true)
  })

  describe.each(['node-redis', 'ioredis'])('by %s', (which) => {
    const storeOf = async (): Promise<CacheStore> =>
      redisStore(which === 'ioredis' ? ioRedis() : await nodeRedis())

    it('lets every key expire by itself', async () => {
      const client = await nodeRedis()
      const cache = cacheOver(await storeOf(), { name: which, staleFor: 60_000 })
      await answerOf(cache, 'tea', () => 'good')

      await expect.poll(() => client.pTTL(`holdfast:1:${which}:tea`)).toBeGreaterThan(30_000)
      expect(await client.pTTL(`holdfast:1:${which}:tea`)).toBeLessThanOrEqual(60_000)
    })

    it.each<[string, string[]]>([
      ['text', ['SET', 'KEY', 'x']],
      ['a list', ['RPUSH', 'KEY', 'x']],
      ['10 MB of garbage', ['SET', 'KEY', 'x'.repeat(1e7)]],
      ['JSON that is not ours', ['SET', 'KEY', '{"v":1,"value":{"admin":true}}']],
      ['nothing any more', ['DEL', 'KEY']],
    ])('is not misled by a key that holds %s, and heals', async (what, command) => {
      const client = await nodeRedis()
      const name = `${which} ${what}`
      const cache = cacheOver(await storeOf(), { name, freshFor: 60_000 })
      await answerOf(cache, 'tea', () => 'old')
      const key = `holdfast:1:${encodeURIComponent(name)}:tea`
      await expect.poll(() => client.exists(key)).toBe(1)
      await client.del(key)
      await client.sendCommand(command.map((word) => (word === 'KEY' ? key : word)))

      expect(await answerOf(cache, 'tea', () => 'new')).toBe('new')
      await expect.poll(() => answerOf(cache, 'tea', () => 'called')).toBe('new')
    })

    it('answers in time while Redis is paused, then without waiting, then from Redis again', async () => {
      const changes: unknown[] = []
      const cache = cacheOver(await storeOf(), { storeTimeout: 400 })
      cache.subscribe((event: HoldfastEvent) => {
        if (event.type === 'cache-store') changes.push(event.change)
      })
      await answerOf(cache, 'tea', () => 'good')
      expect(await answerOf(cache, 'tea', failing)).toBe('good')

      server.pause()
      const began = performance.now()
      await Promise.all(times(5, (n) => answerOf(cache, `${n}`, () => n)))
      const waited = performance.now() - began
      await expect.poll(() => cache.stats().storeDown).toBe(true)
      const again = performance.now()
      for (const n of times(20, (n) => n)) await answerOf(cache, `${n}`, () => n)
      const later = performance.now() - again
      server.resume()

      expect(waited).toBeGreaterThan(390)
      // It would be for ever.
      expect(waited).toBeLessThan(20_000)
      // Once in a second one call may look whether Redis is back: 20 that wait take 8 s.
      expect(later).toBeLessThan(6_000)
      await expect
        .poll(() => answerOf(cache, 'tea', failing).catch(() => ''), { timeout: 20_000 })
        .toBe('good')
      expect(changes).toEqual(['failed', 'recovered'])
    })

    it('answers while Redis is dead, and finds what was kept when it is back', async () => {
      const client = await nodeRedis()
      const name = `${which}, dead`
      const cache = cacheOver(await storeOf(), { name, storeTimeout: 100 })
      await answerOf(cache, 'tea', () => 'good')
      // A call does not wait until its answer has been kept.
      await expect.poll(() => client.exists(`holdfast:1:${encodeURIComponent(name)}:tea`)).toBe(1)

      await server.kill()
      for (const n of times(10, (n) => n)) expect(await answerOf(cache, 'salt', () => n)).toBe(n)
      await server.restart()

      await expect
        .poll(() => answerOf(cache, 'tea', failing).catch(() => ''), { timeout: 20_000 })
        .toBe('good')
    })
  })
})
