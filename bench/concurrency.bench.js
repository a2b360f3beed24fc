/** Ten thousand items, sixteen at a time: as a list, as a stream, and one by one. */
import pLimit from 'p-limit'
import pMap, { pMapIterable } from 'p-map'
import PQueue from 'p-queue'
import * as holdfast from './subjects/holdfast.js'
import { LineFloor, ScopeFloor } from './subjects/line-floor.js'

const concurrency = 16
const many = 10_000
const items = Array.from({ length: many }, (_, number) => number)
const fn = () => async (/** @type {number} */ number) => number
const whole = (/** @type {unknown} */ results) =>
  Array.isArray(results) && results.length === many && results[many - 1] === many - 1
const sum = (/** @type {unknown} */ total) => total === (many * (many - 1)) / 2

/** What one would write without a library, and without concurrency: each item, its result kept. */
const oneByOne = async (
  /** @type {number[]} */ list,
  /** @type {(item: number) => Promise<number>} */ map,
) => {
  const results = []
  for (const item of list) results.push(await map(item))
  return results
}

/** @type {() => import('./harness/types.js').Case} */
const loop = () => ({
  subject: 'bare',
  variant: 'one after the other',
  call: 'oneByOne(items, fn)',
  scope: { oneByOne, items, fn: fn() },
})

/** @type {import('./harness/types.js').Work['setup']} */
const map = () => [
  loop(),
  {
    subject: 'bare',
    variant: 'Promise.all, no limit',
    call: 'Promise.all(items.map(fn))',
    scope: { items, fn: fn() },
  },
  {
    subject: 'holdfast',
    call: 'mapConcurrent(items, fn, { concurrency })',
    scope: { mapConcurrent: holdfast.mapConcurrent, items, fn: fn(), concurrency },
  },
  {
    subject: 'p-map',
    call: 'pMap(items, fn, { concurrency })',
    scope: { pMap, items, fn: fn(), concurrency },
  },
  {
    subject: 'p-limit',
    variant: 'map',
    call: 'limit.map(items, fn)',
    scope: { limit: pLimit(concurrency), items, fn: fn() },
  },
  {
    subject: 'p-queue',
    variant: 'addAll',
    call: 'queue.addAll(Array.from(items, (item) => () => fn(item)))',
    scope: { queue: new PQueue({ concurrency }), items, fn: fn() },
  },
]

/** @param {(items: number[], fn: unknown) => AsyncIterable<number>} iterate */
const total = (iterate) => async (/** @type {number[]} */ list, /** @type {unknown} */ map) => {
  let result = 0
  for await (const value of iterate(list, map)) result += value
  return result
}

/** @type {import('./harness/types.js').Work['setup']} */
const stream = () => [
  { ...loop(), expect: whole },
  {
    subject: 'holdfast',
    call: 'total(items, fn)',
    scope: {
      total: total((list, map) =>
        holdfast.iterateConcurrent(list, /** @type {never} */ (map), { concurrency }),
      ),
      items,
      fn: fn(),
    },
  },
  {
    subject: 'p-map',
    variant: 'pMapIterable',
    call: 'total(items, fn)',
    scope: {
      total: total((list, map) => pMapIterable(list, /** @type {never} */ (map), { concurrency })),
      items,
      fn: fn(),
    },
  },
]

/** @type {import('./harness/types.js').Work['setup']} */
const limiter = () => {
  const submit = 'all(Array.from(items, (item) => limit(() => fn(item))))'
  const all = (/** @type {Promise<unknown>[]} */ calls) => Promise.all(calls)
  const floor = new LineFloor(concurrency)
  const scoped = new ScopeFloor(concurrency)
  return [
    loop(),
    {
      subject: 'floor:contract',
      call: submit,
      scope: {
        limit: (/** @type {() => Promise<unknown>} */ task) => floor.run(task),
        all,
        items,
        fn: fn(),
      },
    },
    {
      subject: 'floor:AsyncResource',
      call: submit,
      scope: {
        limit: (/** @type {() => Promise<unknown>} */ task) => scoped.run(task),
        all,
        items,
        fn: fn(),
      },
    },
    {
      subject: 'holdfast',
      call: submit,
      scope: { limit: holdfast.limiter(concurrency), all, items, fn: fn() },
    },
    {
      subject: 'p-limit',
      call: submit,
      scope: { limit: pLimit(concurrency), all, items, fn: fn() },
    },
    {
      subject: 'p-queue',
      call: 'all(Array.from(items, (item) => queue.add(() => fn(item))))',
      scope: { queue: new PQueue({ concurrency }), all, items, fn: fn() },
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'map',
    title: 'map of 10,000 items, 16 at a time, per item',
    ops: () => many,
    expect: whole,
    bytes: true,
    setup: map,
  },
  {
    id: 'stream',
    title: 'async iterator over 10,000 items, 16 at a time, per item',
    ops: () => many,
    expect: sum,
    setup: stream,
  },
  {
    id: 'limiter',
    title: '10,000 calls submitted to a limiter of 16, per call',
    ops: () => many,
    expect: whole,
    bytes: true,
    setup: limiter,
  },
]
