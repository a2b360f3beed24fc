/**
 * A query of a real PostgreSQL on loopback: over a connection of its own, and over one that is there.
 * Wall time, which is what somebody waits.
 */
import pg from 'pg'
import { postgresPool } from '../dist/adapters/postgres.js'
import { available, postgres } from './servers/start.js'

const size = 10
const lanes = 10
const perLaneOf = (/** @type {import('./harness/types.js').Plan} */ { quick }) => (quick ? 2 : 20)

/** @type {import('../test/support/postgres-server.ts').PostgresServer} */
let server
/** What one turn of all lanes adds up to. */
let expected = 0

/**
 * @param {boolean} tls
 * @param {boolean} floor Whether one connection, kept by hand, is shown too.
 * @param {number} perLane
 * @returns {Promise<import('./harness/types.js').Case[]>}
 */
async function cases(tls, floor, perLane) {
  expected = lanes * perLane
  server = await postgres()
  const ssl = tls ? { ca: server.certificate } : undefined
  const config = { connectionString: server.url, ...(ssl ? { ssl } : {}) }
  const ask = async (/** @type {any} */ client) => {
    const { rows } = await client.query('select 1 as one')
    return /** @type {{ one: number }} */ (rows[0]).one
  }
  const alone = async () => {
    const client = new pg.Client(config)
    await client.connect()
    try {
      return await ask(client)
    } finally {
      await client.end()
    }
  }
  const ours = postgresPool({ client: () => new pg.Client(config), maxSize: size })
  const theirs = new pg.Pool({ ...config, max: size })
  const client = new pg.Client(config)
  if (floor) await client.connect()
  const kept = {
    subject: 'floor:connection',
    variant: 'kept by hand',
    call: 'ask(client)',
    scope: { ask, client },
    close: () => closing.push(client.end()),
  }
  return [
    { subject: 'bare', variant: 'a new connection each', call: 'alone()', scope: { alone } },
    ...(floor ? [kept] : []),
    {
      subject: 'holdfast',
      variant: 'pool.use',
      call: 'pool.use(ask)',
      scope: { pool: ours, ask },
      close: () => closing.push(ours.close()),
    },
    {
      subject: 'pg',
      variant: 'pg.Pool',
      call: 'ask(pool)',
      scope: { pool: theirs, ask },
      close: () => closing.push(theirs.end()),
    },
  ].map((one) => ({ ...one, scope: { ...one.scope, width: lanes, perLane } }))
}

/** @type {Promise<unknown>[]} */
const closing = []

async function stop() {
  await Promise.all(closing.splice(0))
  await server.stop()
}

/**
 * @param {boolean} tls
 * @returns {import('./harness/types.js').Work[]}
 */
const both = (tls) => {
  const id = tls ? 'tls' : 'plain'
  const how = tls ? ', TLS' : ''
  return [
    {
      id,
      title: `PostgreSQL query on loopback${how}, one after the other, wall time`,
      clock: 'wall',
      sample: 60,
      setup: (plan) => cases(tls, true, perLaneOf(plan)),
      teardown: stop,
    },
    {
      id: `${id}-${lanes}`,
      title: `PostgreSQL query on loopback${how}, ${lanes} at a time, wall time per query`,
      clock: 'wall',
      loop: 'lanes',
      ops: (plan) => lanes * perLaneOf(plan),
      expect: (sum) => sum === expected,
      sample: 60,
      rounds: 7,
      setup: (plan) => cases(tls, false, perLaneOf(plan)),
      teardown: stop,
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = available ? [...both(false), ...both(true)] : []
