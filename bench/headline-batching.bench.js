/** Two hundred rows of a real PostgreSQL by their keys: a query for each, and one for all. Wall time. */
import DataLoader from 'dataloader'
import pg from 'pg'
import { postgresPool } from '../dist/adapters/postgres.js'
import { available, postgres } from './servers/start.js'
import * as holdfast from './subjects/holdfast.js'

const many = 200
const keys = Array.from({ length: many }, (_, number) => number + 1)
const all = (/** @type {unknown} */ values) =>
  Array.isArray(values) && values.length === many && values.every((value, at) => value === at + 1)

/** @type {import('../test/support/postgres-server.ts').PostgresServer} */
let server

/** @type {() => Promise<import('./harness/types.js').Case[]>} */
async function cases() {
  server = await postgres()
  const { url } = server
  const pool = postgresPool({ client: () => new pg.Client(url), maxSize: 10 })
  let queries = 0
  const ask = (/** @type {string} */ text, /** @type {unknown[]} */ values) => {
    queries++
    return pool.use(async (client) => (await client.query(text, values)).rows)
  }
  await ask('create table stock as select n as id, n as units from generate_series(1, 10000) n', [])
  await ask('alter table stock add primary key (id)', [])
  const one = async (/** @type {number} */ key) =>
    (await ask('select units from stock where id = $1', [key]))[0].units
  const some = async (/** @type {readonly number[]} */ wanted) => {
    const rows = await ask('select id, units from stock where id = any($1)', [[...wanted]])
    const found = new Map(rows.map(({ id, units }) => [id, units]))
    return wanted.map((key) => found.get(key))
  }
  const oneByOne = async () => {
    const values = []
    for (const key of keys) values.push(await one(key))
    return values
  }
  const { mapConcurrent } = holdfast
  const whole = holdfast.batcher(some, { cache: false })
  const smaller = holdfast.batcher(some, { cache: false, maxBatchSize: 50 })
  const theirs = new DataLoader(some, { cache: false })
  const scope = { keys, one, oneByOne, mapConcurrent }
  const load = 'Promise.all(keys.map((key) => loader.load(key)))'
  const found = [
    {
      subject: 'bare',
      name: 'a query for each key, one after the other',
      call: 'oneByOne()',
      scope,
    },
    {
      subject: 'bare',
      name: 'a query for each key, 10 at a time',
      call: 'mapConcurrent(keys, one, { concurrency: 10 })',
      scope,
    },
    { subject: 'dataloader', name: 'load', call: load, scope: { keys, loader: theirs } },
    { subject: 'holdfast', name: 'batches of 50', call: load, scope: { keys, loader: smaller } },
    { subject: 'holdfast', name: 'load', call: load, scope: { keys, loader: whole } },
  ]
  const counted = []
  for (const { name, ...rest } of found) {
    queries = 0
    await runOnce(rest.call, rest.scope)
    const trips = `${queries} round trip${queries === 1 ? '' : 's'}`
    counted.push({ ...rest, variant: `${name}: ${trips}` })
  }
  const last = counted.at(-1)
  return last ? [...counted.slice(0, -1), { ...last, close: () => pool.close() }] : []
}

/** Round trips are counted, not claimed. */
async function runOnce(/** @type {string} */ call, /** @type {Record<string, unknown>} */ scope) {
  const names = Object.keys(scope)
  await new Function(...names, `return ${call}`)(...Object.values(scope))
}

/** @type {import('./harness/types.js').Work[]} */
export const works = available
  ? [
      {
        id: 'rows',
        title: '200 rows of PostgreSQL by key, wall time per row',
        clock: 'wall',
        ops: () => many,
        expect: all,
        rounds: 7,
        setup: cases,
        teardown: () => server.stop(),
      },
    ]
  : []
