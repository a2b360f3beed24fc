/**
 * A pool of the user's own `pg` clients: connected within a limit, rolled back after each loan, cancelled
 * on abort, and given up by what PostgreSQL says, not by every failed statement.
 *
 * Nothing of `pg` is imported: a client is whatever can connect, query, end and emit.
 */
import type { Pool } from '../resources/pool/contract.ts'
import type { PoolOptions } from '../resources/pool/options.ts'
import { createPool } from '../resources/pool/pool.ts'

/** The part of a `pg` client that is used here. */
export interface PostgresClient {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  end(): Promise<unknown>
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown
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
 * A connection that was idle is asked `select 1` before it is lent, and rolled back when it comes back, so
 * that no transaction is left open. A statement that fails leaves it in the pool; an error of the
 * connection or of the server's shutdown does not. When the caller of `use` aborts, its statement is
 * cancelled through a second connection. Every other option is that of `createPool`, and wins.
 *
 * **Use it** instead of `pg.Pool`, and pass `use(fn, { signal, deadline })` what a pipeline hands you.
 *
 * **Watch out:** session settings (`set`, `listen`, advisory locks) survive a rollback. A `reset` of
 * your own, such as `discard all`, costs more and forgets them.
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
  const { client: makeClient, ...rest } = options
  if (typeof makeClient !== 'function') {
    throw new TypeError(`postgresPool: client must be a function, but was ${typeof makeClient}`)
  }
  return createPool<C>({
    name: 'postgres',
    create: async ({ signal, broken }) => {
      const client = makeClient()
      client.on('error', broken)
      client.on('end', () => broken())
      const give = (): void => void client.end().catch(nothing)
      signal.addEventListener('abort', give, { once: true })
      await client.connect()
      signal.removeEventListener('abort', give)
      return client
    },
    destroy: (client) => client.end(),
    validate: (client) => client.query('select 1'),
    reset: (client) => client.query('rollback'),
    cancel: (client) => cancelStatement(client, makeClient()),
    isBroken: isConnectionLost,
    ...rest,
  })
}

/** Whether the error says that the connection is of no use any more. A refused statement does not. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && (LOST.test(code) || NETWORK.test(code))
}

/** Whether the same work may succeed the next time: lost connections, deadlocks, conflicts, overload. */
export function isTransientPostgresError(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && (isConnectionLost(error) || TRANSIENT.test(code))
}

/** SQLSTATE classes of PostgreSQL's appendix A: connection exception, operator intervention, idle limits. */
const LOST = /^(?:08...|57P0[1-5]|25P03)$/
/** Conflicts, deadlocks, locks that are not available, too few resources. */
const TRANSIENT = /^(?:40001|40P01|55P03|53...)$/
const NETWORK =
  /^(?:ECONN(?:RESET|REFUSED|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|E(?:HOST|NET)UNREACH)$/

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/** As `psql` does on Ctrl-C, through a connection of its own: the one in question is busy. */
async function cancelStatement<C extends PostgresClient>(client: C, helper: C): Promise<void> {
  const { processID } = client as { processID?: unknown }
  if (typeof processID !== 'number') return
  helper.on('error', nothing)
  try {
    await helper.connect()
    await helper.query(`select pg_cancel_backend(${processID})`)
  } finally {
    await helper.end().catch(nothing)
  }
}

function nothing(): void {}
