import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { gate, quiet, rejection } from '../../test/support/calls.ts'
import {
  isConnectionLost,
  isTransientPostgresError,
  type PostgresClient,
  postgresPool,
} from './postgres.ts'

class FakeClient extends EventEmitter {
  static log: string[] = []
  static next = 0
  readonly processID: number = ++FakeClient.next
  readonly secretKey: number = -this.processID
  readonly connection: NonNullable<PostgresClient['connection']> = {
    startup: () => FakeClient.log.push(`${this.processID} hello`),
    cancel: (...whom) => FakeClient.log.push(`${this.processID} cancel ${whom}`),
  }
  work: () => Promise<unknown> = async () => ({ rows: [] })

  async connect(): Promise<void> {
    FakeClient.log.push(`${this.processID} connect`)
  }

  async query(text: string): Promise<unknown> {
    FakeClient.log.push(`${this.processID} ${text}`)
    return this.work()
  }

  async end(): Promise<void> {
    FakeClient.log.push(`${this.processID} end`)
  }
}

function database() {
  FakeClient.log = []
  FakeClient.next = 0
  return postgresPool({ client: () => new FakeClient() })
}

const failing = (code: string): Promise<never> =>
  Promise.reject(Object.assign(new Error(code), { code }))

describe('postgresPool', () => {
  it.each([
    ['a promise', async () => new FakeClient()],
    ['an object', () => ({})],
    ['undefined', () => undefined],
  ])('says so when client returns %s', async (given, client) => {
    const pool = postgresPool({ client: client as never, createRetries: 0 })

    expect(await rejection(pool.use(() => 1))).toMatchObject({
      message: `postgresPool: client must return a pg client, () => new pg.Client(config), but was ${given}`,
    })
    await pool.close()
  })

  it('rolls back after each loan, and keeps the connection', async () => {
    const pool = database()

    await pool.use((client) => client.query('insert'))
    await quiet()
    await pool.use((client) => client.query('select'))
    await quiet()

    expect(FakeClient.log).toEqual([
      '1 connect',
      '1 insert',
      '1 rollback',
      '1 select',
      '1 rollback',
    ])
    expect(pool.name).toBe('postgres')
  })

  it('keeps a connection whose statement was refused, not one that was lost', async () => {
    const pool = database()

    await rejection(pool.use(() => failing('23505')))
    await quiet()
    expect(pool.stats()).toMatchObject({ idle: 1, created: 1 })
    await rejection(pool.use(() => failing('57P01')))
    await quiet()

    expect(pool.stats()).toMatchObject({ total: 0, destroyed: 1 })
  })

  it.each(['error', 'end'])('removes an idle connection that emits %s', async (event) => {
    const pool = database()
    const client = await pool.use((one) => one)
    await quiet()

    client.emit(event, new Error('terminated'))
    await quiet()

    expect(pool.stats().total).toBe(0)
  })

  it('cancels the statement of a caller that aborts, by a request of its own', async () => {
    class Asked extends FakeClient {
      override async connect(): Promise<void> {
        await super.connect()
        this.connection.startup?.({})
        if (this.processID > 1) throw new Error('Connection terminated unexpectedly')
      }
    }
    FakeClient.log = []
    FakeClient.next = 0
    const pool = postgresPool({ client: () => new Asked() })
    const caller = new AbortController()
    const held = gate()

    const call = rejection(pool.use(() => held.promise, { signal: caller.signal }))
    await quiet()
    caller.abort('gone')
    await quiet()

    expect(await call).toBe('gone')
    expect(FakeClient.log).toEqual(['1 connect', '1 hello', '2 connect', '2 cancel 1,-1', '2 end'])
    held.open()
  })

  it('ends a client that does not connect in time, by its socket if it has one', async () => {
    const cut: string[] = []
    class Deaf extends FakeClient {
      override connect(): Promise<void> {
        return new Promise(() => {})
      }
    }
    class Plugged extends Deaf {
      override readonly connection = { stream: { destroy: () => cut.push('socket') } }
    }
    const reach = (client: () => FakeClient): Promise<unknown> =>
      rejection(postgresPool({ client, createTimeout: 10 }).use((one) => one))
    FakeClient.log = []
    FakeClient.next = 0

    expect(await reach(() => new Deaf())).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(await reach(() => new Plugged())).toMatchObject({ code: 'ERR_TIMEOUT' })

    expect([FakeClient.log, cut]).toEqual([['1 end'], ['socket']])
  })

  it('takes what is given as undefined for not given', async () => {
    FakeClient.log = []
    FakeClient.next = 0
    const nothing = { name: undefined, reset: undefined, isBroken: undefined }
    const pool = postgresPool({ client: () => new FakeClient(), ...nothing })

    await rejection(pool.use(() => failing('23505')))
    await quiet()

    expect(FakeClient.log).toEqual(['1 connect', '1 rollback'])
    expect(pool.stats()).toMatchObject({ name: 'postgres', idle: 1 })
  })

  it('needs a function that makes clients', () => {
    expect(() => postgresPool({ client: 'url' as never })).toThrow(/client must be a function/)
    expect(() => postgresPool(undefined as never)).toThrow(/client must be a function/)
  })
})

describe('what PostgreSQL says', () => {
  it.each([
    ['08006', true, true],
    ['57P01', true, true],
    ['25P03', true, true],
    ['ECONNRESET', true, true],
    ['40001', false, true],
    ['40P01', false, true],
    ['53300', false, true],
    ['25P04', true, true],
    ['57P04', true, false],
    ['57014', false, false],
    ['23505', false, false],
    ['42601', false, false],
  ])('%s: connection lost %s, transient %s', (code, lost, transient) => {
    const error = Object.assign(new Error(code), { code })

    expect([isConnectionLost(error), isTransientPostgresError(error)]).toEqual([lost, transient])
  })

  it.each([
    ['FATAL', '28P01', true, false],
    ['PANIC', 'XX000', true, false],
    ['ERROR', '28P01', false, false],
  ])('%s %s: connection lost %s, transient %s', (severity, code, lost, transient) => {
    const error = Object.assign(new Error('refused'), { severity, code })

    expect([isConnectionLost(error), isTransientPostgresError(error)]).toEqual([lost, transient])
  })

  it.each([
    ['Connection terminated unexpectedly', true, true],
    ['Connection terminated', true, true],
    ['timeout expired', true, true],
    ['Client has encountered a connection error and is not queryable', true, true],
    ['Client was closed and is not queryable', true, false],
    ['Query read timeout', true, false],
    ['Query was read', false, false],
  ])('what pg says without a code, %s: lost %s, transient %s', (message, lost, transient) => {
    const error = new Error(message)

    expect([isConnectionLost(error), isTransientPostgresError(error)]).toEqual([lost, transient])
  })

  it.each([[null], ['57P01'], [{ code: 42 }], [new Error('plain')]])('nothing by %o', (error) => {
    expect(isConnectionLost(error)).toBe(false)
    expect(isTransientPostgresError(error)).toBe(false)
  })

  it('finds a passing trouble that a query builder has wrapped, and blames no connection for it', () => {
    const conflict = Object.assign(new Error('could not serialize'), { code: '40001' })
    const reset = Object.assign(new Error('read'), { code: 'ECONNRESET' })
    const ring = new Error('ring')
    ring.cause = ring
    const wrapped = [conflict, reset, ring].map(
      (cause) => new Error('Failed query', { cause: new Error('inner', { cause }) }),
    )

    expect(wrapped.map(isTransientPostgresError)).toEqual([true, true, false])
    expect(wrapped.map(isConnectionLost)).toEqual([false, false, false])
  })
})
