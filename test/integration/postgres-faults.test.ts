/** A pool of PostgreSQL connections while the server and the network do what they do at night. */
import { type AddressInfo, createServer } from 'node:net'
import { type Pool, timeout } from 'holdfast'
import {
  isConnectionLost,
  isTransientPostgresError,
  type PostgresPoolOptions,
  postgresPool,
} from 'holdfast/postgres'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { rejection, times } from '../support/calls.ts'
import { faultProxy } from '../support/fault-proxy.ts'
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts'

type Options = Partial<PostgresPoolOptions<pg.Client>>

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 25 } })
})
afterAll(() => server.stop())

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

let next = 0

/** A pool whose connections the server can tell from all others. */
function database(options: Options = {}, config: pg.ClientConfig = {}) {
  const name = `faults-${++next}`
  const client = (): pg.Client =>
    new pg.Client({ connectionString: server.url, application_name: name, ...config })
  const pool = postgresPool({ client, maxSize: 5, acquireTimeout: 30_000, ...options })
  closing.push(() => pool.close({ timeout: 1_000 }))
  return { pool, name }
}

/** The same through a proxy that can misbehave. */
async function proxied(options: Options = {}) {
  const proxy = await faultProxy(server.port)
  closing.push(() => proxy.close())
  const connectionString = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
  return { proxy, ...database(options, { connectionString }) }
}

async function administer(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.url)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const seen = (name: string, more = ''): Promise<Record<string, unknown>[]> =>
  administer(`select pid, state, query from pg_stat_activity
    where application_name = '${name}' ${more}`)

const echo = (pool: Pool<pg.Client>, n: number): Promise<number> =>
  pool.use(async (client) => (await client.query('select $1::int as n', [n])).rows[0].n)

/** Eight callers, each asking as fast as it is answered, until told to stop. */
function load(pool: Pool<pg.Client>) {
  const answers: { asked: number; got: number }[] = []
  const errors: Error[] = []
  let asked = 0
  let stopped = false
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const n = ++asked
      await echo(pool, n).then(
        (got) => answers.push({ asked: n, got }),
        (error) => errors.push(error),
      )
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const callers = Promise.all(times(8, caller))
  return {
    answers,
    errors,
    get asked() {
      return asked
    },
    stop: () => {
      stopped = true
      return callers
    },
  }
}

describe('a server that dies under load', () => {
  it('costs bounded errors that say why, and no query is answered with the answer of another', async () => {
    const { pool, name } = database({ acquireTimeout: 2_000 })
    const traffic = load(pool)
    await expect.poll(() => traffic.answers.length).toBeGreaterThan(100)

    await server.kill()
    await expect.poll(() => traffic.errors.length).toBeGreaterThan(0)
    await server.restart()
    const before = traffic.answers.length
    await expect
      .poll(() => traffic.answers.length, { timeout: 20_000 })
      .toBeGreaterThan(before + 100)
    await traffic.stop()

    expect(traffic.answers.filter(({ asked, got }) => asked !== got)).toEqual([])
    expect(traffic.answers.length + traffic.errors.length).toBe(traffic.asked)
    expect(new Set(traffic.answers.map(({ asked }) => asked)).size).toBe(traffic.answers.length)
    for (const error of traffic.errors) {
      expect([error.message, isTransientPostgresError(error)]).toEqual([error.message, true])
    }
    const { total, inUse, waiting, maxSize } = pool.stats()
    expect({ inUse, waiting }).toEqual({ inUse: 0, waiting: 0 })
    expect(total).toBeLessThanOrEqual(maxSize)
    await expect.poll(async () => (await seen(name)).length - pool.stats().total).toBe(0)
  })

  it('is tried again at a pace, not in a storm', async () => {
    const { pool } = database({ createRetries: Number.POSITIVE_INFINITY })
    let tries = 0
    pool.subscribe((event) => {
      if (event.type === 'pool' && event.change === 'create-failed') tries++
    })
    await server.kill()

    const waiting = times(50, (n) => echo(pool, n))
    await new Promise((resolve) => setTimeout(resolve, 500))
    // One by each of the five places at first, then after 100 and 200 ms.
    expect(tries).toBeLessThanOrEqual(10)
    await server.restart()

    expect(await Promise.all(waiting)).toEqual(times(50, (n) => n))
  })

  it('that only stands still is told by acquireTimeout, and served again when it goes on', async () => {
    const { pool } = database({ maxSize: 2, acquireTimeout: 1_500, hookTimeout: 1_000 })
    await echo(pool, 1)
    server.pause()
    try {
      const held = times(2, (n) => echo(pool, n))
      const late = await rejection(echo(pool, 3))
      expect(late).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT' })
      server.resume()
      expect(await Promise.all(held.map((call) => call.catch(() => 'lost')))).toHaveLength(2)
    } finally {
      server.resume()
    }

    expect(await echo(pool, 4)).toBe(4)
  })
})

describe('a network that breaks', () => {
  it('in the middle of a query gives the error to its caller and the place to the next', async () => {
    const { pool, proxy } = await proxied({ maxSize: 1 })
    const asleep = rejection(pool.use((client) => client.query('select pg_sleep(30)')))
    const behind = echo(pool, 2)
    await expect.poll(() => pool.stats().inUse).toBe(1)

    proxy.reset()

    expect(isConnectionLost(await asleep)).toBe(true)
    expect(await behind).toBe(2)
    expect(pool.stats()).toMatchObject({ created: 2, total: 1 })
  })

  it('between the work and its answer is an error, never a second try', async () => {
    await administer('create table if not exists ledger (n int)')
    const { pool, proxy } = await proxied({ maxSize: 1, reset: () => {} })
    await echo(pool, 1)
    proxy.resetOnAnswer = true

    const error = await rejection(
      pool.use((client) => client.query('insert into ledger values (1)')),
    )
    proxy.resetOnAnswer = false

    expect(isConnectionLost(error)).toBe(true)
    expect(await echo(pool, 2)).toBe(2)
    expect(await administer('select count(*)::int as n from ledger')).toEqual([{ n: 1 }])
  })

  it('and swallows everything costs one hookTimeout for all idle connections together', async () => {
    const { pool, proxy } = await proxied({
      hookTimeout: 200,
      validateAfter: 0,
      acquireTimeout: 5_000,
    })
    await Promise.all(
      times(5, (n) => pool.use((client) => client.query(`select pg_sleep(0.05), ${n}`))),
    )
    await expect.poll(() => pool.stats().idle).toBe(5)
    const told: unknown[] = []
    pool.subscribe((event) => {
      if (event.type === 'pool' && event.change.startsWith('destroy')) told.push(event.reason)
    })

    // What was seen alive in this very turn needs no look.
    await new Promise((resolve) => setTimeout(resolve, 20))
    proxy.forget()

    expect(await echo(pool, 7)).toBe(7)
    await expect
      .poll(() => told.sort())
      .toEqual([...times(4, () => 'idle beside one that hung'), 'validate failed'])
    // Their sockets are cut, not left to a server that answers no goodbye.
    await expect.poll(() => proxy.open).toBe(1)
  })

  it('moves to another server when everything is evicted', async () => {
    const { pool, proxy } = await proxied()
    const other = await startPostgres()
    closing.push(() => other.stop())
    const identity = (): Promise<unknown> =>
      pool.use(
        async (client) =>
          (await client.query('select system_identifier from pg_control_system()')).rows,
      )
    const old = await identity()
    const held = await pool.acquire()
    await identity()

    proxy.target = other.port
    pool.evictAll()

    expect(await identity()).not.toEqual(old)
    held.release()
    await expect.poll(() => pool.stats()).toMatchObject({ inUse: 0, destroyed: 2 })
    expect(await identity()).not.toEqual(old)
  })
})

describe('connecting', () => {
  it('that hangs ends with createTimeout, with its socket cut, and says so', async () => {
    const { pool, proxy } = await proxied({ createTimeout: 1_500 })
    proxy.blackHole = true

    const error = await rejection(echo(pool, 1))

    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', duration: 1_500 })
    expect((error as Error).message).toContain('create did not end')
    await expect.poll(() => proxy.open).toBe(0)
    await expect.poll(() => pool.stats().total).toBe(0)
    proxy.blackHole = false
    expect(await echo(pool, 2)).toBe(2)
  })

  it('that is slow outlives its caller: the connection is kept for the next', async () => {
    const { pool, proxy } = await proxied({ acquireTimeout: 1_000, maxSize: 1 })
    proxy.latency = 400

    expect(await rejection(echo(pool, 1))).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT' })
    proxy.latency = 0
    await expect.poll(() => pool.stats().idle).toBe(1)

    expect(await echo(pool, 2)).toBe(2)
    expect(pool.stats().created).toBe(1)
  })

  it('works over TLS that is checked, and tells when it is not to be trusted', async () => {
    const trusting = database({}, { ssl: { ca: server.certificate } })
    const strict = database({}, { ssl: true })

    const used = await trusting.pool.use(async (client) => {
      const { rows } = await client.query(
        'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()',
      )
      return rows[0]
    })

    expect(used).toEqual({ ssl: true, version: 'TLSv1.3' })
    const refused = await rejection(echo(strict.pool, 1))
    expect(refused).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(isTransientPostgresError(refused)).toBe(false)
  })

  it('to whoever hangs up is refused at once, as by a balancer without a server', async () => {
    const balancer = createServer((socket) => socket.once('data', () => socket.end()))
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve))
    closing.push(async () => balancer.close())
    const { port } = balancer.address() as AddressInfo
    const { pool } = database({}, { connectionString: `postgres://127.0.0.1:${port}/none` })

    const began = performance.now()
    const error = await rejection(echo(pool, 1))

    expect(isTransientPostgresError(error)).toBe(true)
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(pool.stats()).toMatchObject({ total: 0, timedOut: 0 })
  })

  it('with a wrong password is refused at once, and is nothing to retry', async () => {
    const { pool } = database(
      {},
      {
        password: 'wrong',
        connectionString: undefined,
        port: server.port,
        host: '127.0.0.1',
        user: 'postgres',
      },
    )

    const error = await rejection(echo(pool, 1))

    expect(error).toMatchObject({ code: '28P01', severity: 'FATAL' })
    expect([isConnectionLost(error), isTransientPostgresError(error)]).toEqual([true, false])
  })

  it('beyond what the server allows is paced, and those in line are served all the same', async () => {
    await administer('create role guest login password $$kelp$$ connection limit 3')
    const user = server.url.replace('postgres:kelp', 'guest:kelp')
    const { pool } = database({ maxSize: 10 }, { connectionString: user })
    const failures: unknown[] = []
    pool.subscribe((event) => {
      if (event.type === 'pool' && event.change === 'create-failed') failures.push(event.error)
    })

    const began = performance.now()
    const answers = await Promise.all(
      times(60, (n) =>
        pool.use(
          async (client) => (await client.query(`select pg_sleep(0.02), ${n} as n`)).rows[0].n,
        ),
      ),
    )

    expect(answers).toEqual(times(60, (n) => n))
    expect(pool.stats().created).toBe(3)
    expect(failures[0]).toMatchObject({ code: '53300' })
    // Seven at first, then one after each pause: 100 ms, 200 ms, 400 ms and so on.
    const pauses = Math.log2((performance.now() - began) / 100 + 1)
    expect(failures.length).toBeLessThanOrEqual(7 + pauses + 1)
  })
})

describe('a caller that goes', () => {
  it('ends the statement on the server, not only its own wait', async () => {
    const { pool, name } = database({ maxSize: 1 })
    const caller = new AbortController()
    const call = rejection(pool.use((client) => client.query('select pg_sleep(30)'), caller))
    await expect
      .poll(() => seen(name, "and query like '%pg_sleep(30)%' and state = 'active'"))
      .toHaveLength(1)

    caller.abort('gone')

    expect(await call).toBe('gone')
    await expect.poll(() => seen(name, "and state = 'active'")).toHaveLength(0)
    expect(await echo(pool, 1)).toBe(1)
    expect(pool.stats().created).toBe(1)
  })

  it('by a timeout around it does the same', async () => {
    const { pool, name } = database({ maxSize: 1 })
    await echo(pool, 1)
    const limit = timeout(100)

    const error = await rejection(
      limit.execute((context) =>
        pool.use((client) => client.query('select pg_sleep(30)'), context),
      ),
    )

    expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
    await expect.poll(() => seen(name, "and state = 'active'")).toHaveLength(0)
  })

  it.each([
    ['in plain', () => ({})],
    ['with tls', () => ({ ssl: { ca: server.certificate } })],
  ])('is heard where no further connection is allowed, %s', async (how, more) => {
    const role = how.replace(' ', '_')
    await administer(`create role ${role} login password $$kelp$$ connection limit 1`)
    const connectionString = server.url.replace('postgres:kelp', `${role}:kelp`)
    const { pool, name } = database({ maxSize: 1 }, { connectionString, ...more() })
    const caller = new AbortController()
    const call = rejection(pool.use((client) => client.query('select pg_sleep(30)'), caller))
    await expect.poll(() => seen(name, "and state = 'active'")).toHaveLength(1)

    caller.abort('gone')

    expect(await call).toBe('gone')
    expect(await echo(pool, 1)).toBe(1)
    expect(pool.stats()).toMatchObject({ created: 1, destroyed: 0 })
  })

  it('stops nobody else who has the same number, as behind a pooler or after a failover', async () => {
    const { pool } = database({ maxSize: 1, hookTimeout: 200 })
    const other = database({ maxSize: 1 })
    const work = other.pool.use((client) => client.query('select pg_sleep(0.8), 7 as n'))
    await expect.poll(() => seen(other.name, "and state = 'active'")).toHaveLength(1)
    const [{ pid } = {}] = await seen(other.name)
    const caller = new AbortController()

    const call = pool.use((client) => {
      Object.assign(client, { processID: pid })
      return client.query('select pg_sleep(30)')
    }, caller)
    await expect.poll(() => pool.stats().inUse).toBe(1)
    caller.abort('gone')

    expect(await rejection(call)).toBe('gone')
    expect((await work).rows[0].n).toBe(7)
    expect(await echo(pool, 1)).toBe(1)
    expect(pool.stats()).toMatchObject({ created: 2 })
  })

  it('gets its connection replaced when the network has forgotten it', async () => {
    const { pool, proxy } = await proxied({ maxSize: 1, hookTimeout: 300 })
    const caller = new AbortController()
    const call = rejection(pool.use((client) => client.query('select pg_sleep(30)'), caller))
    await expect.poll(() => pool.stats().inUse, { interval: 5 }).toBe(1)
    proxy.forget()
    caller.abort('gone')

    expect(await call).toBe('gone')
    // Cancelled by another connection, but nobody will ever say so: the only place is not lost.
    expect(await echo(pool, 1)).toBe(1)
    expect(pool.stats()).toMatchObject({ created: 2, total: 1 })
  })

  it('never has the next borrower cancelled in its place', async () => {
    const { pool, proxy } = await proxied({ maxSize: 1 })
    await echo(pool, 1)
    const caller = new AbortController()
    const call = rejection(pool.use((client) => client.query('select pg_sleep(0.1)'), caller))
    await expect.poll(() => pool.stats().inUse, { interval: 5 }).toBe(1)
    // The cancel takes longer on its way than the statement takes to end by itself.
    proxy.latency = 60
    caller.abort('gone')

    const next = pool.use((client) => client.query('select pg_sleep(0.6), 2 as n'))

    expect(await call).toBe('gone')
    expect((await next).rows[0].n).toBe(2)
    expect(pool.stats().created).toBe(1)
  })
})

describe('the end', () => {
  it('in the middle of load serves or refuses everybody, in time, and leaves no connection', async () => {
    const { pool, name } = database({ maxSize: 3 })
    const traffic = load(pool)
    const stuck = rejection(pool.use((client) => client.query('select pg_sleep(30)')))
    await expect.poll(() => traffic.answers.length).toBeGreaterThan(50)

    const began = Date.now()
    const report = await pool.close({ timeout: 500 })
    expect(Date.now() - began).toBeLessThan(15_000)
    await traffic.stop()

    expect(report).toEqual({ forced: 1, errors: [] })
    // The statement is cancelled, so that the server does not go on working for nobody.
    expect(await stuck).toSatisfy((error) => error.code === '57014' || isConnectionLost(error))
    for (const error of traffic.errors) expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(traffic.answers.length + traffic.errors.length).toBe(traffic.asked)
    await expect.poll(() => seen(name)).toEqual([])
  })

  it('with a server that answers nobody is bounded too, and leaves no socket', async () => {
    const { pool, proxy } = await proxied({ hookTimeout: 200 })
    await Promise.all(
      times(5, (n) => pool.use((client) => client.query(`select pg_sleep(0.02), ${n}`))),
    )
    await expect.poll(() => pool.stats().idle).toBe(5)
    proxy.blackHole = true

    const { forced, errors } = await pool.close({ timeout: 2_000 })

    expect({ forced, errors: errors.length }).toEqual({ forced: 0, errors: 5 })
    await expect.poll(() => proxy.open).toBe(0)
  })
})
