/**
 * A pool of the user's own `pg` clients: connected within a limit, rolled back after each loan, cancelled
 * on abort, and given up by what PostgreSQL says, not by every failed statement.
 *
 * Nothing of `pg` is imported: a client is whatever can connect, query, end and emit.
 */
import { show } from '../core/options.ts'
import type { Pool } from '../resources/pool/contract.ts'
import type { PoolOptions } from '../resources/pool/options.ts'
import { createPool } from '../resources/pool/pool.ts'

/** The part of a `pg` client that is used here. */
export interface PostgresClient {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  end(): Promise<unknown>
  on(event: 'error' | 'end' | 'drain', listener: (error?: Error) => void): unknown
  readonly connection?: {
    /** Its socket, to be cut when the server does not answer a goodbye. */
    readonly stream?: { readonly writable?: boolean; destroy(): unknown }
    /** Sends its first message. */
    startup?(config: unknown): void
    cancel?(processID: number, secretKey: number): void
  }
  /** What the server calls it. */
  readonly processID?: number | null
  /** What the server asks of those who want to cancel its statement. */
  readonly secretKey?: number | null
  /** False while a statement runs. */
  readonly readyForQuery?: boolean
  /** `'I'` outside of transactions, as the server said with its last answer. */
  getTransactionStatus?(): string | null
  /** Whether its socket keeps the process alive. */
  ref?(): void
  unref?(): void
}

/** Options of {@link postgresPool}: those of a pool, with the hooks filled in. */
export interface PostgresPoolOptions<C extends PostgresClient>
  extends Omit<PoolOptions<C>, 'create' | 'destroy'> {
  /** Makes a client that is not connected yet: `() => new pg.Client(config)`. */
  readonly client: () => C
}

/**
 * Keeps connections to PostgreSQL, each a client of your own `pg`.
 *
 * A connection that was idle is asked `select 1` before it is lent. A transaction that is left open is
 * rolled back when it comes back; where none is, that costs nothing. A statement that fails leaves it in
 * the pool; an error of the connection or of the server's shutdown does not. When the caller of `use`
 * aborts, its statement is cancelled as by Ctrl-C in `psql`, which takes none of the server's connections.
 * Every other option is that of `createPool`, and wins.
 *
 * **Use it** instead of `pg.Pool`, and pass `use(fn, { signal, deadline })` what a pipeline hands you.
 *
 * An idle connection keeps no process alive.
 *
 * **Watch out:** session settings (`set`, `listen`, advisory locks) survive a rollback. A `reset` of
 * your own forgets them, and costs a round trip: `rollback; reset all; unlisten *; select
 * pg_advisory_unlock_all(); discard temp`. Not `discard all`: `pg` goes on using the named statements that
 * it drops.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts no-run
 * import { type PostgresClient, postgresPool } from 'holdfast/postgres'
 *
 * declare const pg: { Client: new (url: string) => PostgresClient } // import pg from 'pg'
 *
 * const database = postgresPool({ client: () => new pg.Client('postgres://localhost/shop') })
 * await database.use((client) => client.query('select now()'))
 * ```
 */
export function postgresPool<C extends PostgresClient>(options: PostgresPoolOptions<C>): Pool<C> {
  const { client: makeClient, ...rest } = Object(options) as PostgresPoolOptions<C>
  if (typeof makeClient !== 'function') {
    throw new TypeError(`postgresPool: client must be a function, but was ${typeof makeClient}`)
  }
  return createPool<C>({
    name: 'postgres',
    create: async ({ signal, broken }) => {
      signal.throwIfAborted()
      const client = checked(makeClient())
      client.on('error', broken)
      client.on('end', () => broken())
      signal.addEventListener('abort', () => cut(client), { once: true })
      await client.connect()
      letProcessEnd(client)
      return client
    },
    destroy: async (client, { signal }) => {
      signal.addEventListener('abort', () => cut(client), { once: true })
      client.ref?.()
      // The server does not notice that nobody listens any more until the statement has ended.
      if (client.readyForQuery === false) {
        await cancelStatement(client, makeClient(), signal).catch(nothing)
      }
      await client.end()
    },
    validate: (client) => client.query('select 1'),
    reset: (client) => (isClean(client) ? undefined : client.query('rollback')),
    cancel: (client, _reason, { signal }) => cancelStatement(client, makeClient(), signal),
    isBroken: isConnectionLost,
    // What is given as undefined is not given.
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
  })
}

function checked<C extends PostgresClient>(client: C): C {
  if (typeof Object(client).on === 'function') return client
  throw new TypeError(
    `postgresPool: client must return a pg client, () => new pg.Client(config), but was ${show(client)}`,
  )
}

/**
 * Whether the error says that the connection is of no use any more. A refused statement does not, nor does
 * what only has such a cause: that may be another server's, and a lost connection says so by itself.
 */
export function isConnectionLost(error: unknown): boolean {
  const { code, severity, message } = read(error)
  return FATAL.test(severity) || LOST.test(code) || NETWORK.test(code) || GONE.test(message)
}

/**
 * Whether the same work may succeed the next time: lost connections, deadlocks, conflicts, overload. Looks
 * at the causes too, for query builders wrap the errors of `pg`.
 */
export function isTransientPostgresError(error: unknown): boolean {
  return causesOf(error).some(({ code, message }) => {
    if (code === '') return TERMINATED.test(message)
    return (LOST.test(code) && code !== DATABASE_DROPPED) || NETWORK.test(code) || BUSY.test(code)
  })
}

/** What the server says before it hangs up. */
const FATAL = /^(?:FATAL|PANIC)$/
/** SQLSTATE classes of PostgreSQL's appendix A: connection exception, operator intervention, time limits. */
const LOST = /^(?:08...|57P0[1-5]|25P0[34])$/
const DATABASE_DROPPED = '57P04'
/** Conflicts, deadlocks, locks that are not available, too few resources. */
const BUSY = /^(?:40001|40P01|55P03|53...)$/
const NETWORK =
  /^(?:ECONN(?:RESET|REFUSED|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|E(?:HOST|NET)UNREACH)$/
/** `pg` gives these no code. After a read timeout the answer may still come, and would be somebody else's. */
const TERMINATED =
  /^Connection terminated|^Client has encountered a connection error|^timeout expired$/
const GONE = new RegExp(`${TERMINATED.source}|^Client was closed|^Query read timeout$`)

interface Facts {
  readonly code: string
  readonly severity: string
  readonly message: string
}

function causesOf(error: unknown): readonly Facts[] {
  const facts: Facts[] = []
  let cause: unknown = error
  while (cause !== undefined && cause !== null && facts.length < MAX_CAUSES) {
    facts.push(read(cause))
    cause = (Object(cause) as { cause?: unknown }).cause
  }
  return facts
}

/** A chain may be a ring. */
const MAX_CAUSES = 8

function read(error: unknown): Facts {
  const { code, severity, message } = Object(error) as Record<string, unknown>
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  return { code: text(code), severity: text(severity), message: text(message) }
}

/** The server says with each answer whether a transaction is open: where none is, nothing has to be asked. */
function isClean(client: PostgresClient): boolean {
  return client.readyForQuery === true && client.getTransactionStatus?.() === 'I'
}

/** An idle connection keeps no process alive; whoever waits for a statement does. */
function letProcessEnd(client: PostgresClient): void {
  const { ref, unref, query } = client
  if (ref === undefined || unref === undefined) return
  Object.assign(client, {
    query(...args: [string]) {
      ref.call(client)
      return query.apply(client, args)
    },
  })
  client.on('drain', () => unref.call(client))
  unref.call(client)
}

/** A goodbye needs somebody who listens. The socket goes without. */
function cut(client: PostgresClient): void {
  const stream = client.connection?.stream
  if (stream === undefined) client.end().catch(nothing)
  else stream.destroy()
}

/**
 * As `psql` does on Ctrl-C: a socket whose first and only message is a request to cancel. It needs neither
 * a password nor one of the connections that the server allows. And it names the statement by a secret:
 * behind a pooler or after a failover, where the same number is somebody else's, it stops nobody.
 */
async function cancelStatement<C extends PostgresClient>(
  client: C,
  helper: C,
  signal: AbortSignal,
): Promise<void> {
  const { processID, secretKey, connection } = client
  const door = helper.connection
  if (typeof processID !== 'number' || typeof secretKey !== 'number' || !door?.cancel) return
  // What the server has ended may be somebody else's number by now.
  if (connection?.stream?.writable === false) return
  let asked = false
  door.startup = () => {
    asked = true
    door.cancel?.(processID, secretKey)
  }
  helper.on('error', nothing)
  signal.addEventListener('abort', () => cut(helper), { once: true })
  try {
    await helper.connect()
  } catch (error) {
    // The server has passed it on when it hangs up, without a word.
    if (!(asked && TERMINATED.test(read(error).message))) throw error
  } finally {
    await helper.end().catch(nothing)
  }
}

function nothing(): void {}
