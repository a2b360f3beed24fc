/** Fifty requests of a backend that takes 5 to 10 ms for each: one by one, ten, fifty at a time. Wall time. */
import pLimit from 'p-limit'
import pMap from 'p-map'
import PQueue from 'p-queue'
import { Pool } from 'undici'
import { available, http } from './servers/start.js'
import * as holdfast from './subjects/holdfast.js'

const many = 50
const items = Array.from({ length: many }, (_, number) => number)

/** @type {{ port: number, stop: () => void }} */
let server
/** @type {Pool} */
let pool

const get = async () => {
  const { body } = await pool.request({ path: '/slow', method: 'GET' })
  return /** @type {{ one: number }} */ (await body.json()).one
}

const oneByOne = async () => {
  const results = []
  for (const _item of items) results.push(await get())
  return results
}

/** @type {() => Promise<import('./harness/types.js').Case[]>} */
async function cases() {
  server = await http()
  pool = new Pool(`http://127.0.0.1:${server.port}`, { connections: many, pipelining: 1 })
  const scope = { items, get, oneByOne, pMap, mapConcurrent: holdfast.mapConcurrent }
  const limit = holdfast.limiter(10)
  const pLimited = pLimit(10)
  const queue = new PQueue({ concurrency: 10 })
  /** @type {(subject: string, variant: string, call: string, more?: object) => import('./harness/types.js').Case} */
  const one = (subject, variant, call, more = {}) => ({
    subject,
    variant,
    call,
    scope: { ...scope, ...more },
  })
  return [
    one('bare', 'one after the other', 'oneByOne()'),
    one('p-map', '10 at a time', 'pMap(items, get, { concurrency: 10 })'),
    one('p-limit', '10 at a time', 'Promise.all(items.map(() => limit(get)))', { limit: pLimited }),
    one('p-queue', '10 at a time', 'queue.addAll(items.map(() => get))', { queue }),
    one('holdfast', 'limiter, 10 at a time', 'Promise.all(items.map(() => limit(get)))', { limit }),
    one('holdfast', '10 at a time', 'mapConcurrent(items, get, { concurrency: 10 })'),
    one('p-map', '50 at a time', 'pMap(items, get, { concurrency: 50 })'),
    one('holdfast', '50 at a time', 'mapConcurrent(items, get, { concurrency: 50 })'),
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = available
  ? [
      {
        id: 'requests',
        title: '50 requests of 5 to 10 ms each, wall time per request',
        clock: 'wall',
        ops: () => many,
        expect: (results) => Array.isArray(results) && results.length === many && results[49] === 1,
        rounds: 7,
        setup: cases,
        teardown: async () => {
          await pool.close()
          server.stop()
        },
      },
    ]
  : []
