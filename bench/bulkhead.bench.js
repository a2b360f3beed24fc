/** A bulkhead with room, and one where ninety of a hundred calls must queue. */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import pLimit from 'p-limit'
import * as cockatiel from './subjects/cockatiel.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import { LineFloor } from './subjects/line-floor.js'
import * as opossum from './subjects/opossum.js'

const maxConcurrent = 10
const many = 100

const bulkheads = () => ({
  ours: holdfast.bulkhead({ maxConcurrent, maxQueue: many }),
  theirs: cockatiel.bulkhead(maxConcurrent, many),
  limit: pLimit(maxConcurrent),
})

/** @type {import('./harness/types.js').Work['setup']} */
const free = () => {
  const { ours, theirs, limit } = bulkheads()
  const breaker = opossum.breaker(async () => 1, { timeout: false, capacity: maxConcurrent })
  return [
    bare(),
    ...floors(),
    {
      subject: 'holdfast',
      call: 'policy.execute(fn)',
      scope: { policy: ours, fn: async () => 1 },
    },
    {
      subject: 'cockatiel',
      call: 'policy.execute(fn)',
      scope: { policy: theirs, fn: async () => 1 },
    },
    { subject: 'p-limit', call: 'limit(fn)', scope: { limit, fn: async () => 1 } },
    {
      subject: 'opossum',
      variant: 'timeout: false',
      call: 'breaker.fire()',
      scope: { breaker },
      close: () => breaker.shutdown(),
    },
  ]
}

/**
 * Each call belongs to a caller of its own, as each request of a server does. The function returns
 * the caller that it finds; whoever runs it for another caller is marked in the table. The callers'
 * contexts are made beforehand: entering one is the caller's cost, and the same in every row.
 *
 * @type {import('./harness/types.js').Work['setup']}
 */
const queued = () => {
  const { ours, theirs, limit } = bulkheads()
  const caller = new AsyncLocalStorage()
  const every = Array.from({ length: many }, (_, number) => number)
  const callers = every.map((number) => caller.run(number, () => new AsyncResource('caller')))
  const right = (/** @type {unknown[]} */ found) =>
    every.every((number) => found[number] === number)
  const fn = () => async () => caller.getStore()
  const call = 'callers[k].runInAsyncScope(start)'
  /** @param {() => unknown} start */
  const scope = (start) => ({ callers, many, start })
  const [first, second, third, fourth] = [fn(), fn(), fn(), fn()]
  const floor = new LineFloor(maxConcurrent)
  return [
    { subject: 'bare', variant: 'Promise.all', call, scope: scope(fn()), expect: right },
    {
      subject: 'bare',
      variant: "Promise.all, nobody's context",
      call: 'fn()',
      scope: { many, fn: fn() },
      expect: (/** @type {unknown[]} */ found) => found.length === many,
    },
    { subject: 'floor:contract', call, scope: scope(() => floor.run(fourth)), expect: right },
    { subject: 'holdfast', call, scope: scope(() => ours.execute(first)), expect: right },
    { subject: 'p-limit', call, scope: scope(() => limit(second)), expect: right },
    {
      subject: 'cockatiel',
      variant: "runs in another caller's context",
      call,
      scope: scope(() => theirs.execute(third)),
      expect: (/** @type {unknown[]} */ found) => found.length === many && !right(found),
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  { id: 'free', title: 'bulkhead with room', bytes: true, setup: free },
  {
    id: 'queued',
    title: 'bulkhead, 90 of 100 calls queued, each its own async context, per call',
    loop: 'together',
    ops: () => many,
    bytes: true,
    setup: queued,
  },
]
