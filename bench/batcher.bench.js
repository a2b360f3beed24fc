/** A thousand keys: asked for one by one, together, and from the cache. The batch function is a no-op. */
import DataLoader from 'dataloader'
import { BatchFloor } from './subjects/batch-floor.js'
import * as holdfast from './subjects/holdfast.js'

const many = 1_000
const keys = Array.from({ length: many }, (_, number) => number)
const one = async (/** @type {number} */ key) => key
const batch = () => async (/** @type {readonly number[]} */ wanted) => [...wanted]
const whole = (/** @type {unknown} */ values) =>
  Array.isArray(values) && values.length === many && values[many - 1] === many - 1

/** @type {() => import('./harness/types.js').Case} */
const bare = () => ({
  subject: 'bare',
  variant: 'Promise.all, a call per key',
  call: 'Promise.all(keys.map((key) => one(key)))',
  scope: { keys, one },
})

/**
 * @param {string} call
 * @param {boolean} cache
 * @returns {import('./harness/types.js').Case[]}
 */
const both = (call, cache) => [
  { subject: 'holdfast', call, scope: { keys, loader: holdfast.batcher(batch(), { cache }) } },
  { subject: 'dataloader', call, scope: { keys, loader: new DataLoader(batch(), { cache }) } },
]

const each = 'Promise.all(keys.map((key) => loader.load(key)))'

/** @type {() => import('./harness/types.js').Case} */
const floor = () => ({
  subject: 'floor:contract',
  call: each,
  scope: { keys, loader: new BatchFloor(batch()) },
})

/** Nothing but a map of promises, which is what a cache of them cannot do without. */
const remembered = () => {
  const known = new Map(keys.map((key) => [key, Promise.resolve(key)]))
  const call = 'Promise.all(keys.map((key) => known.get(key)))'
  return { subject: 'floor:map', variant: 'a Map of promises', call, scope: { keys, known } }
}

/** A loader per request, as dataloader is meant to be used. */
const fresh = (/** @type {() => { load(key: number): Promise<number> }} */ make) => () => {
  const loader = make()
  return Promise.all(keys.map((key) => loader.load(key)))
}

/** @type {import('./harness/types.js').Case[]} */
const perRequest = [
  {
    subject: 'holdfast',
    call: 'request()',
    scope: { request: fresh(() => holdfast.batcher(batch(), { cache: true })) },
  },
  {
    subject: 'dataloader',
    call: 'request()',
    scope: { request: fresh(() => new DataLoader(batch())) },
  },
]

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'load',
    title: 'load of 1,000 keys one by one, per key',
    ops: () => many,
    expect: whole,
    bytes: true,
    setup: () => [bare(), floor(), ...both(each, false)],
  },
  {
    id: 'load-many',
    title: 'loadMany of 1,000 keys, per key',
    ops: () => many,
    expect: whole,
    bytes: true,
    setup: () => [bare(), ...both('loader.loadMany(keys)', false)],
  },
  {
    id: 'hit',
    title: 'load of 1,000 keys from the cache, per key',
    ops: () => many,
    expect: whole,
    setup: () => [bare(), remembered(), ...both(each, true)],
  },
  {
    id: 'fresh',
    title: 'load of 1,000 keys with a new cache, per key',
    ops: () => many,
    expect: whole,
    setup: () => [bare(), ...perRequest],
  },
]
