/**
 * The caches that users have already, as stores of a `staleCache`: lru-cache, keyv, Redis. Structural
 * all of them: nothing is imported.
 */
import { checkOption, fn, optional, readOptions, withMethods } from '../core/options.ts'
import type { CacheStore, StoredValue } from '../policies/stale-cache/contract.ts'

/** What is needed of an `LRUCache`. */
export interface LruCacheLike {
  get(key: string): unknown
  set(key: string, value: never, options: { ttl: number }): unknown
  delete(key: string): unknown
}

/**
 * Keeps values in your own lru-cache.
 *
 * Values are kept as they are, by reference. The bounds are those of the cache; it needs one (`max`,
 * `maxSize`).
 *
 * @throws TypeError if it has not the methods of an lru-cache.
 *
 * @example
 * ```ts
 * import { staleCache } from 'holdfast'
 * import { lruStore, type LruCacheLike } from 'holdfast/stores'
 *
 * const lru: LruCacheLike = new Map() // in earnest: new LRUCache({ max: 1_000 })
 * const cache = staleCache({
 *   name: 'products',
 *   key: (id: string) => id,
 *   staleFor: 3_600_000,
 *   store: lruStore(lru),
 * })
 * await cache.wrap(async (id: string) => `product ${id}`)('tea') // => 'product tea'
 * ```
 */
export function lruStore(cache: LruCacheLike): CacheStore {
  checkOption('lruStore', 'cache', cache, withMethods('an lru-cache', 'get', 'set', 'delete'))
  return {
    get: (key) => cache.get(key),
    set: (key, value, ttl) => cache.set(key, value as never, { ttl }),
    delete: (key) => cache.delete(key),
  }
}

/** What is needed of a `Keyv`. */
export interface KeyvLike {
  get(key: string): unknown
  set(key: string, value: unknown, ttl: number): unknown
  delete(key: string): unknown
  /** Keyv tells the errors of its store by event, and answers as if nothing had been found. */
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

/**
 * Keeps values in your own keyv, whatever stands behind it. What keyv cannot say (functions, cycles) is
 * not kept.
 *
 * @throws TypeError if it has not the methods of a keyv.
 *
 * @example
 * ```ts
 * import { keyvStore, type KeyvLike } from 'holdfast/stores'
 *
 * const keyv: KeyvLike = new Map() // in earnest: new Keyv(new KeyvSqlite('sqlite://cache.db'))
 * const store = keyvStore(keyv)
 * store.get('nothing') // => undefined
 * ```
 */
export function keyvStore(keyv: KeyvLike): CacheStore {
  checkOption('keyvStore', 'keyv', keyv, withMethods('a keyv', 'get', 'set', 'delete'))
  // Without a listener the error of a store would be thrown where nobody can catch it.
  keyv.on?.('error', () => {})
  return {
    get: (key) => keyv.get(key),
    set: (key, value, ttl) => keyv.set(key, value, ttl),
    delete: (key) => keyv.delete(key),
  }
}

/** What is needed of a Redis client: node-redis and ioredis have it, clusters too. */
export interface RedisClientLike {
  get(key: string): unknown
  set(key: string, value: string, ...expiry: never[]): unknown
  del(key: string): unknown
}

/** Options of `redisStore`. */
export interface RedisStoreOptions {
  /** Turns what is kept into text. @default JSON.stringify */
  readonly serialize?: ((value: StoredValue) => string) | undefined
  /** Undoes it. @default JSON.parse */
  readonly deserialize?: ((text: string) => unknown) | undefined
}

/**
 * Keeps values in Redis, over your own client: node-redis or ioredis. All processes share them, and
 * every key expires by itself.
 *
 * **Watch out:** values go through JSON unless you give your own functions: a `Date` comes back as text, a
 * `Map` empty. Give your client an `error` listener, as it wants one anyway.
 *
 * @throws TypeError if the client has not these methods, or an option is wrong.
 *
 * @example
 * ```ts
 * import { redisStore, type RedisClientLike } from 'holdfast/stores'
 *
 * const values = new Map<string, string>()
 * const client: RedisClientLike = { // in earnest: await createClient().connect(), or new Redis()
 *   get: async (key) => values.get(key) ?? null,
 *   set: async (key, value) => void values.set(key, value),
 *   del: async (key) => values.delete(key),
 * }
 * const store = redisStore(client)
 * await store.set('key', { v: 1, value: 'tea', at: 0, fresh: 1, stale: 1, took: 0 }, 1_000)
 * values.get('key') // => '{"v":1,"value":"tea","at":0,"fresh":1,"stale":1,"took":0}'
 * ```
 */
export function redisStore(client: RedisClientLike, options: RedisStoreOptions = {}): CacheStore {
  checkOption('redisStore', 'client', client, withMethods('a Redis client', 'get', 'set', 'del'))
  const { serialize = JSON.stringify, deserialize = JSON.parse } = readOptions(
    'redisStore',
    options,
    { serialize: optional(fn), deserialize: optional(fn) },
  )
  // The one method in which the two differ. ioredis alone has `call`, for commands by name.
  const { set } = client as unknown as { set(...args: readonly unknown[]): unknown }
  const takesList = typeof (client as { call?: unknown }).call === 'function'
  return {
    async get(key) {
      const text = await client.get(key)
      return typeof text === 'string' ? deserialize(text) : text
    },
    set: (key, value, ttl) =>
      set.call(client, key, serialize(value), ...(takesList ? ['PX', ttl] : [{ PX: ttl }])),
    delete: (key) => client.del(key),
  }
}
