/** A fresh hit, a stale value that stands in for a failure, and a miss, beside lru-cache and opossum's cache. */
import { LRUCache } from 'lru-cache'
import { bare } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

const down = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
const hour = 3_600_000
const read = async (/** @type {string} */ id) => (id === '' ? 0 : 1)
const key = (/** @type {string} */ id) => id

/** A cache that knows "tea". */
const lru = (/** @type {object} */ options = {}) => {
  const cache = new LRUCache({ max: 1_000, ...options })
  cache.set('tea', 1)
  return cache
}

/** @param {Partial<import('../dist/index.js').StaleCacheOptions>} options */
const cacheOf = (options) => holdfast.staleCache({ key, staleFor: 24 * hour, ...options })

/** @returns {import('./harness/types.js').Case} */
const opossumHit = () => {
  const breaker = opossum.breaker(read, { timeout: false, cache: true, cacheTTL: hour })
  return {
    subject: 'opossum',
    variant: 'cache: true',
    call: "breaker.fire('tea')",
    scope: { breaker },
    close: () => breaker.shutdown(),
  }
}

const staleOne = () => {
  const cache = cacheOf({ refreshPause: hour })
  cache.set('all', 1)
  const args = ['all']
  return { cache, options: { args }, fn: () => Promise.reject(down) }
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'fresh',
    title: 'stale cache, fresh hit',
    bytes: true,
    setup: () => [
      bare(),
      {
        subject: 'holdfast',
        call: "product('tea')",
        scope: { product: cacheOf({ freshFor: hour }).wrap(read) },
      },
      {
        subject: 'holdfast',
        variant: 'in a pipeline',
        call: "product('tea')",
        scope: {
          product: holdfast
            .pipeline(
              'bench',
              cacheOf({ freshFor: hour }),
              holdfast.retry(),
              holdfast.timeout(1_000),
            )
            .wrap(read),
        },
      },
      {
        subject: 'lru-cache',
        variant: 'get, and one promise',
        call: "Promise.resolve(lru.get('tea'))",
        scope: { lru: lru() },
      },
      {
        subject: 'lru-cache',
        variant: 'get with a ttl, and one promise',
        call: "Promise.resolve(lru.get('tea'))",
        scope: { lru: lru({ ttl: hour }) },
      },
      {
        subject: 'lru-cache',
        variant: 'fetch',
        call: "lru.fetch('tea')",
        scope: { lru: lru({ ttl: hour, fetchMethod: read }) },
      },
      opossumHit(),
    ],
  },
  {
    id: 'stale',
    title: 'stale cache, the call has failed just now',
    setup: () => [
      bare(),
      {
        subject: 'holdfast',
        variant: 'stale value, paced',
        call: 'cache.execute(fn, options)',
        scope: staleOne(),
      },
    ],
  },
  {
    id: 'miss',
    title: 'stale cache, a call that is kept',
    setup: () => [
      bare(),
      { subject: 'holdfast', call: "product('tea')", scope: { product: cacheOf({}).wrap(read) } },
      {
        subject: 'lru-cache',
        variant: 'fetch, forced',
        call: "lru.fetch('tea', { forceRefresh: true })",
        scope: { lru: lru({ ttl: hour, fetchMethod: read }) },
      },
    ],
  },
]
