/** Everything at once: twenty callers of every kind, and one fault after the other. What holds afterwards? */
import type { Pool } from 'holdfast'
import { isTransientPostgresError, postgresPool } from 'holdfast/postgres'
import { seededRandom } from 'holdfast/testing'
import pg from 'pg'
import { afterEach, expect, it } from 'vitest'
import { times } from '../support/calls.ts'
import { type FaultProxy, faultProxy } from '../support/fault-proxy.ts'
import { withoutNoise } from '../support/leaks.ts'
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts'

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const expected = new Set(['ERR_ACQUIRE_TIMEOUT', '42703', 'gone'])

interface Night {
  readonly pool: Pool<pg.Client>
  readonly proxy: FaultProxy
  readonly server: PostgresServer
}

const faults: readonly ((night: Night) => unknown)[] = [
  ({ proxy }) => proxy.reset(),
  ({ proxy }) => proxy.forget(),
  ({ pool }) => pool.evictAll(),
  async ({ server }) => {
    await server.kill()
    await server.restart()
  },
  async ({ pool }) => {
    pool.suspend()
    await sleep(100)
    pool.resume()
  },
  async ({ server }) => {
    server.pause()
    await sleep(500)
    server.resume()
  },
  async ({ proxy }) => {
    proxy.blackHole = true
    await sleep(400)
    proxy.blackHole = false
  },
  async ({ proxy }) => {
    proxy.resetOnAnswer = true
    await sleep(100)
    proxy.resetOnAnswer = false
  },
  ({ server }) => server.restart(),
]

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

it('no answer is wrong, no caller forgotten, no connection lost, and no error without a reason', async () => {
  const server = await startPostgres({ settings: { max_connections: 30 } })
  closing.push(() => server.stop())
  const proxy = await faultProxy(server.port)
  closing.push(() => proxy.close())
  const connectionString = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
  const pool = postgresPool({
    client: () => new pg.Client({ connectionString, application_name: 'chaos' }),
    minSize: 2,
    maxSize: 6,
    overflow: 2,
    acquireTimeout: 1_500,
    createTimeout: 800,
    hookTimeout: 400,
    validateAfter: 50,
    maxLifetime: 1_000,
    idleTimeout: 500,
    keepalive: (client) => client.query('select 1'),
    keepaliveInterval: 200,
    maxUses: 40,
    createRetries: 3,
  })
  const random = seededRandom(1)
  const seen = { asked: 0, answered: 0, wrong: 0, unexplained: [] as unknown[], most: 0 }
  let over = false

  /** One statement, in a transaction that is left open, or followed by one that fails, or abandoned. */
  const ask = async (n: number): Promise<number> => {
    const kind = Math.floor(random() * 4)
    // Every caller goes in the end: who hangs on a dead connection must not hang for ever.
    const signal = new AbortController()
    const patience = setTimeout(() => signal.abort('gone'), kind === 0 ? random() * 30 : 3_000)
    return pool
      .use(async (client) => {
        if (kind === 1) await client.query('begin')
        const { rows } = await client.query('select $1::int as n, pg_sleep(0.005)', [n])
        if (kind === 2) await client.query('select nonsense')
        return rows[0].n
      }, signal)
      .finally(() => clearTimeout(patience))
  }
  const caller = async (): Promise<void> => {
    while (!over) {
      const n = ++seen.asked
      await ask(n).then(
        (got) => {
          if (got !== n) seen.wrong++
        },
        (error) => {
          const known = expected.has(error?.code ?? error) || isTransientPostgresError(error)
          if (!known) seen.unexplained.push(error)
        },
      )
      seen.answered++
      seen.most = Math.max(seen.most, pool.stats().total)
      await sleep(random() * 5)
    }
  }

  await withoutNoise(async () => {
    const callers = Promise.all(times(20, caller))
    for (const fault of faults) {
      await sleep(300)
      await fault({ pool, proxy, server })
    }
    await sleep(500)
    over = true
    await callers
    await expect.poll(() => pool.stats().creating).toBe(0)
  })

  const { most, ...rest } = seen
  expect(rest).toEqual({ asked: seen.asked, answered: seen.asked, wrong: 0, unexplained: [] })
  expect(most).toBeLessThanOrEqual(8)
  await expect.poll(() => pool.stats()).toMatchObject({ inUse: 0, waiting: 0 })
  const administrator = new pg.Client(server.url)
  await administrator.connect()
  const open = async (): Promise<number> => {
    const { rows } = await administrator.query(
      `select count(*)::int as n from pg_stat_activity where application_name = 'chaos'`,
    )
    return rows[0].n
  }
  await expect.poll(async () => (await open()) - pool.stats().total).toBe(0)
  expect(await pool.close()).toEqual({ forced: 0, errors: [] })
  await expect.poll(open).toBe(0)
  await administrator.end()
})
