import {
  type Coalesce,
  coalesce,
  fallback,
  pipeline,
  type StaleCache,
  staleCache,
  timeout,
} from 'holdfast'
import { keyvStore, lruStore, redisStore } from 'holdfast/stores'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'
import { createClient } from 'redis'
import { describe, expectTypeOf, it } from 'vitest'

const key = (id: string): string => id
const read = async (id: string): Promise<number> => id.length

describe('a stale cache', () => {
  it('gives what the function gives', () => {
    const cache = staleCache({ key, staleFor: 1 })
    expectTypeOf(cache).toEqualTypeOf<StaleCache<unknown>>()
    expectTypeOf(cache.wrap(read)).toEqualTypeOf<(this: unknown, id: string) => Promise<number>>()
    expectTypeOf(
      pipeline('p', cache, timeout(1)).execute(() => 'a'),
    ).resolves.toEqualTypeOf<string>()
  })

  it('adds what it knows to a fallback chain', () => {
    const cache = staleCache<number>({ key, staleFor: 1 })
    const policy = pipeline(
      'p',
      fallback(cache.lastKnownGood, () => null),
      cache,
    )
    expectTypeOf(policy.execute(() => 'a')).resolves.toEqualTypeOf<string | number | null>()
    expectTypeOf(cache.set).parameter(1).toEqualTypeOf<number>()
  })

  it('makes keys from typed arguments', () => {
    staleCache({ key: (user: string, page: number) => `${user}/${page}`, staleFor: 1 })
    staleCache({ key: (user?: string) => user, staleFor: 1 })
    // @ts-expect-error a key is text
    staleCache({ key: (id: number) => id, staleFor: 1 })
    // @ts-expect-error without a key everybody would share
    staleCache({ staleFor: 1 })
    // @ts-expect-error how old is too old has no default
    staleCache({ key })
    // @ts-expect-error an option that does not exist
    staleCache({ key, staleFor: 1, ttl: 1 })
  })

  it('takes the caches that users have', () => {
    const stores = [
      lruStore(new LRUCache<string, object>({ max: 1 })),
      keyvStore(new Keyv()),
      redisStore(createClient()),
    ]
    for (const store of stores) staleCache({ name: 'n', key, staleFor: 1, store })
    // @ts-expect-error no store at all
    staleCache({ name: 'n', key, staleFor: 1, store: { get() {} } })
  })
})

describe('a coalesce', () => {
  it('gives what the function gives', () => {
    expectTypeOf(coalesce({ key })).toEqualTypeOf<Coalesce>()
    expectTypeOf(coalesce({ key }).execute(() => 1)).resolves.toEqualTypeOf<number>()
    // @ts-expect-error without a key everybody would share
    coalesce({})
  })
})
