/** The pool over a real PostgreSQL: that of `DATABASE_URL`, or one that these tests start. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { isConnectionLost, type PostgresClient, postgresPool } from 'holdfast/postgres'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { gate, rejection, times } from '../support/calls.ts'
import { anyPostgres } from '../support/postgres-server.ts'

interface Client extends PostgresClient {
  readonly processID: number
  query(text: string): Promise<{ rows: Record<string, unknown>[] }>
}

const { Client } = createRequire(import.meta.url)('pg') as { Client: new (url: string) => Client }

describe('a pool of PostgreSQL connections', () => {
  let url = ''
  let stop: () => Promise<void>
  beforeAll(async () => {
    const server = await anyPostgres()
    url = server.url
    stop = () => server.stop()
  })
  afterAll(() => stop())

  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  function database(maxSize = 5, reset?: (client: Client) => unknown) {
    const name = `holdfast-${process.pid}-${Math.random()}`
    const client = (): Client => new Client(`${url}?application_name=${name}`)
    const pool = postgresPool({ client, maxSize, acquireTimeout: 30_000, reset })
    closing.push(() => pool.close({ timeout: 2_000 }))
    return { pool, name }
  }

  async function asAdministrator(text: string): Promise<Record<string, unknown>[]> {
    const client = new Client(url)
    await client.connect()
    const { rows } = await client.query(text)
    await client.end()
    return rows
  }

  it('serves many over few connections, seen from the server', async () => {
    const { pool, name } = database()
    const fiveAtOnce = gate()
    const answers = await Promise.all(
      times(100, (n) =>
        pool.use(async (client) => {
          if (n === 4) fiveAtOnce.open()
          await fiveAtOnce.promise
          return (await client.query(`select ${n} as n`)).rows
        }),
      ),
    )

    expect(answers.map(([row]) => row?.['n'])).toEqual(times(100, (n) => n))
    const [seen] = await asAdministrator(
      `select count(*)::int as n from pg_stat_activity where application_name = '${name}'`,
    )
    expect(seen?.['n']).toBe(5)
  })

  it('leaves no transaction open for the next borrower', async () => {
    const { pool } = database(1)
    await pool.use((client) => client.query('begin; create temporary table mine (id int)'))

    const found = await pool.use((client) => client.query("select to_regclass('mine') as found"))

    expect(found.rows).toEqual([{ found: null }])
    expect(pool.stats().created).toBe(1)
  })

  it('forgets a session by the reset of the docs, and nothing that pg relies on', async () => {
    const page = await readFile(new URL('../../docs/pool.md', import.meta.url), 'utf8')
    const forget = /const forget = '(.+)'/.exec(page)?.[1] ?? ''
    const { pool } = database(1, (client) => client.query(forget))
    const named = { name: 'one', text: 'select 1 as n' } as never
    const traces = `select current_setting('statement_timeout') as timeout,
      (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
      (select count(*)::int from pg_listening_channels()) as channels, to_regclass('mine') as found`
    const fresh = await pool.use((client) => client.query(traces))

    await pool.use(async (client) => {
      await client.query(named)
      await client.query("set statement_timeout = '9s'; listen news; select pg_advisory_lock(7)")
      await client.query('create temporary table mine (id int)')
      await client.query('begin')
    })

    expect((await pool.use((client) => client.query(traces))).rows).toEqual(fresh.rows)
    expect((await pool.use((client) => client.query(named))).rows).toEqual([{ n: 1 }])
    expect(pool.stats().created).toBe(1)
  })

  it('asks nothing of a connection that comes back clean, also when the work was not awaited', async () => {
    const { pool } = database(1)
    const asked: string[] = []
    await pool.use((client) => {
      const query = client.query.bind(client)
      client.query = (text: string) => {
        asked.push(text)
        return query(text)
      }
      return client.query('select 1')
    })
    expect(asked).toEqual(['select 1'])

    await pool.use((client) => void client.query('begin'))
    await pool.use((client) => client.query('select 2'))

    expect(asked).toEqual(['select 1', 'begin', 'rollback', 'select 2'])
  })

  it('keeps a connection whose statement was refused', async () => {
    const { pool } = database(1)

    const error = await rejection(pool.use((client) => client.query('selec 1')))

    expect(error).toMatchObject({ code: '42601' })
    await pool.use((client) => client.query('select 1'))
    expect(pool.stats().created).toBe(1)
  })

  it('cancels the statement of a caller that aborts, and goes on with the connection', async () => {
    const { pool } = database(1)
    await pool.use((client) => client.query('select 1'))
    const caller = new AbortController()

    const call = pool.use((client) => client.query('select pg_sleep(30)'), caller)
    setTimeout(() => caller.abort('gone'), 50)
    expect(await rejection(call)).toBe('gone')
    const { rows } = await pool.use((client) => client.query('select 1 as n'))

    expect(rows).toEqual([{ n: 1 }])
    expect(pool.stats().created).toBe(1)
  })

  it('replaces every connection that the server terminates, idle or at work', async () => {
    const { pool, name } = database(3)
    const work = times(3, () =>
      rejection(pool.use((client) => client.query('select pg_sleep(30)'))),
    )
    await expect.poll(() => pool.stats().inUse).toBe(3)
    await expect
      .poll(() =>
        asAdministrator(
          `select pid from pg_stat_activity where application_name = '${name}' and state = 'active'`,
        ),
      )
      .toHaveLength(3)

    await asAdministrator(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${name}'`,
    )

    for (const error of await Promise.all(work)) expect(isConnectionLost(error)).toBe(true)
    const rows = await Promise.all(
      times(10, () => pool.use(async (client) => (await client.query('select 1 as n')).rows)),
    )
    expect(rows).toEqual(times(10, () => [{ n: 1 }]))
    await expect.poll(() => pool.stats().creating).toBe(0)
    await asAdministrator(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${name}'`,
    )
    await expect.poll(() => pool.stats().total).toBe(0)
    await pool.use((client) => client.query('select 1'))
  })

  it('tells why when nobody listens', async () => {
    const pool = postgresPool({ client: () => new Client('postgres://127.0.0.1:1/none') })
    closing.push(() => pool.close())

    expect(await rejection(pool.use(() => 'never'))).toMatchObject({ code: 'ECONNREFUSED' })
  })
})
