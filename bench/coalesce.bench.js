/** A hundred callers of one key, and one caller alone, beside opossum's `coalesce` and lru-cache's `fetch`. */
import { LRUCache } from 'lru-cache'
import { bare } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

const many = 100
const read = async (/** @type {string} */ id) => (id === '' ? 0 : 1)
const all = (/** @type {() => Promise<unknown>} */ call) =>
  Promise.all(Array.from({ length: many }, call))

/** @returns {import('./harness/types.js').Case} */
const everyoneBare = () => ({
  subject: 'bare',
  variant: 'Promise.all, a call each',
  call: "all(() => read('tea'))",
  scope: { all, read },
})

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'alone',
    title: 'coalesce, one caller',
    bytes: true,
    setup: () => [
      bare(),
      {
        subject: 'holdfast',
        call: "product('tea')",
        scope: { product: holdfast.coalesce({ key: (/** @type {string} */ id) => id }).wrap(read) },
      },
    ],
  },
  {
    id: 'hundred',
    title: 'coalesce, 100 callers of one key, per caller',
    ops: () => many,
    expect: (outcome) => Array.isArray(outcome) && outcome.every((one) => one === 1),
    setup: () => {
      const breaker = opossum.breaker(read, { timeout: false, coalesce: true, capacity: many })
      return [
        everyoneBare(),
        {
          subject: 'holdfast',
          call: "all(() => product('tea'))",
          scope: {
            all,
            product: holdfast.coalesce({ key: (/** @type {string} */ id) => id }).wrap(read),
          },
        },
        {
          subject: 'opossum',
          variant: 'coalesce: true',
          call: "all(() => breaker.fire('tea'))",
          scope: { all, breaker },
          close: () => breaker.shutdown(),
        },
        {
          subject: 'lru-cache',
          variant: 'fetch, forced',
          call: "all(() => lru.fetch('tea', { forceRefresh: true }))",
          scope: { all, lru: new LRUCache({ max: 10, fetchMethod: read }) },
        },
      ]
    },
  },
]
