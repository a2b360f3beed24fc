/** A pool with something idle, and one where a hundred users share ten resources. */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import genericPool from 'generic-pool'
import { Pool as LightningPool } from 'lightning-pool'
import { Pool as Tarn } from 'tarn'
import { floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import { LineFloor, ScopeFloor } from './subjects/line-floor.js'
import { LoanFloor } from './subjects/loan-floor.js'

const size = 10
const many = 100

/** Each pool as a team would set it up: 10 resources, validation, limits of time and age. */
const pools = () => {
  const hooks = { create: async () => ({}), destroy: async () => {}, validate: async () => true }
  const ours = holdfast.createPool({ ...hooks, maxSize: size })
  const generic = genericPool.createPool(
    { ...hooks },
    { max: size, acquireTimeoutMillis: 30_000, testOnBorrow: false },
  )
  const tarn = new Tarn({
    create: hooks.create,
    destroy: hooks.destroy,
    min: 0,
    max: size,
    acquireTimeoutMillis: 30_000,
  })
  const lightning = new LightningPool(hooks, {
    max: size,
    acquireTimeoutMillis: 30_000,
    validation: false,
  })
  return { ours, generic, tarn, lightning }
}

const nothing = () => {}

/** @type {import('./harness/types.js').Work['setup']} */
const lent = async () => {
  const { ours, generic, tarn, lightning } = pools()
  const fn = async () => 1
  const expect = (/** @type {unknown} */ last) => last !== undefined
  const lease = await ours.acquire()
  lease.release()
  return [
    { subject: 'bare', call: 'fn()', scope: { fn, back: nothing } },
    {
      subject: 'holdfast',
      call: 'pool.acquire()',
      scope: { pool: ours, back: (/** @type {{ release(): void }} */ one) => one.release() },
      close: () => ours.close(),
      expect,
    },
    {
      subject: 'generic-pool',
      call: 'pool.acquire()',
      scope: { pool: generic, back: (/** @type {object} */ one) => generic.release(one) },
      close: () => generic.drain().then(() => generic.clear()),
      expect,
    },
    {
      subject: 'lightning-pool',
      call: 'pool.acquire()',
      scope: { pool: lightning, back: (/** @type {object} */ one) => lightning.release(one) },
      close: () => lightning.close(0),
      expect,
    },
    {
      subject: 'tarn',
      call: 'pool.acquire().promise',
      scope: { pool: tarn, back: (/** @type {object} */ one) => tarn.release(one) },
      close: () => tarn.destroy(),
      expect,
    },
  ]
}

/** What a team writes around a pool that has no `use`. */
const useOf =
  (
    /** @type {() => Promise<object>} */ acquire,
    /** @type {(resource: object) => unknown} */ release,
  ) =>
  async (/** @type {(resource: object) => Promise<unknown>} */ fn) => {
    const resource = await acquire()
    try {
      return await fn(resource)
    } finally {
      release(resource)
    }
  }

const users = () => {
  const { ours, generic, tarn, lightning } = pools()
  return {
    ours,
    generic,
    lightning: useOf(
      () => lightning.acquire(),
      (one) => lightning.release(one),
    ),
    tarn: useOf(
      () => tarn.acquire().promise,
      (one) => tarn.release(one),
    ),
    close: () =>
      Promise.all([
        ours.close(),
        generic.drain().then(() => generic.clear()),
        lightning.close(0),
        tarn.destroy(),
      ]),
  }
}

/** @type {import('./harness/types.js').Work['setup']} */
const use = () => {
  const { ours, generic, lightning, tarn, close } = users()
  const fn = () => async () => 1
  return [
    { subject: 'bare', call: 'fn()', scope: { fn: fn() } },
    ...floors(),
    {
      subject: 'floor:contract',
      call: 'pool.use(fn)',
      scope: { pool: new LoanFloor(), fn: fn() },
    },
    { subject: 'holdfast', call: 'pool.use(fn)', scope: { pool: ours, fn: fn() } },
    { subject: 'generic-pool', call: 'pool.use(fn)', scope: { pool: generic, fn: fn() } },
    { subject: 'lightning-pool', call: 'use(fn)', scope: { use: lightning, fn: fn() } },
    { subject: 'tarn', call: 'use(fn)', scope: { use: tarn, fn: fn() }, close },
  ]
}

/**
 * Each user is a caller of its own, as each request of a server is; the function returns the caller
 * that it finds. The callers' contexts are made beforehand: entering one is the same in every row.
 *
 * @type {import('./harness/types.js').Work['setup']}
 */
const contended = () => {
  const { ours, generic, lightning, tarn, close } = users()
  const caller = new AsyncLocalStorage()
  const every = Array.from({ length: many }, (_, number) => number)
  const callers = every.map((number) => caller.run(number, () => new AsyncResource('caller')))
  const right = (/** @type {unknown[]} */ found) =>
    every.every((number) => found[number] === number)
  const all = (/** @type {unknown[]} */ found) => found.length === many
  const fn = () => async () => caller.getStore()
  const call = 'callers[k].runInAsyncScope(start)'
  /** @param {() => unknown} start */
  const scope = (start) => ({ callers, many, start })
  const [first, second, third, fourth, fifth, sixth] = [fn(), fn(), fn(), fn(), fn(), fn()]
  const floor = new LineFloor(size)
  const scoped = new ScopeFloor(size)
  return [
    { subject: 'bare', variant: 'Promise.all', call, scope: scope(fn()), expect: right },
    {
      subject: 'bare',
      variant: "Promise.all, nobody's context",
      call: 'fn()',
      scope: { many, fn: fn() },
      expect: all,
    },
    { subject: 'floor:contract', call, scope: scope(() => floor.run(fifth)), expect: right },
    { subject: 'floor:AsyncResource', call, scope: scope(() => scoped.run(sixth)), expect: right },
    { subject: 'holdfast', call, scope: scope(() => ours.use(first)), expect: right },
    { subject: 'generic-pool', call, scope: scope(() => generic.use(second)), expect: all },
    { subject: 'lightning-pool', call, scope: scope(() => lightning(third)), expect: all },
    { subject: 'tarn', call, scope: scope(() => tarn(fourth)), expect: all, close },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'acquire',
    title: 'pool, acquire and release, idle',
    loop: 'lent',
    bytes: true,
    setup: lent,
  },
  { id: 'use', title: 'pool, use, idle', bytes: true, setup: use },
  {
    id: 'contended',
    title: 'pool, 100 users on 10, each its own async context, per use',
    loop: 'together',
    ops: () => many,
    bytes: true,
    setup: contended,
  },
]
