/**
 * The embedded engine of the durable queue: jobs in a SQLite file, through the user's own handle.
 * Nothing of SQLite is imported: a handle is whatever has `exec` and `prepare`.
 */
import type { DeferredQueue } from '../../core/deferred-queue.ts'
import {
  boolean,
  type Checks,
  duration,
  oneOf,
  optional,
  readOptions,
  withMethods,
} from '../../core/options.ts'
import {
  type QueueOptions,
  queueChecks,
  settleQueue,
} from '../../resources/deferred-queue/options.ts'
import { openQueue } from '../../resources/deferred-queue/queue.ts'
import type { SqliteDatabase } from './handle.ts'
import { shareHandle } from './shared.ts'
import { SqliteStore } from './store.ts'

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './handle.ts'

/** Options of {@link sqliteQueue}. */
export interface SqliteQueueOptions extends QueueOptions {
  /** An open handle: `new DatabaseSync(file)` of `node:sqlite`, or one of better-sqlite3. */
  readonly database: SqliteDatabase
  /** What an acknowledged job survives: `'full'` a power failure, `'normal'` the end of the process only. @default full */
  readonly durability?: 'full' | 'normal' | undefined
  /** How long to wait for the write lock while other processes have it, in ms. @default 5_000 */
  readonly busyTimeout?: number | undefined
  /** How often workers look for jobs of other processes, in ms from 1, give or take a fifth. @default 100 */
  readonly pollInterval?: number | undefined
  /** Looks through the file for damage when it is opened; takes about a second per gigabyte. @default true */
  readonly checkFile?: boolean | undefined
}

/**
 * A durable queue in a SQLite file, for work that is accepted now and done later.
 *
 * What is enqueued in one turn of the event loop is committed together (group commit), so that many
 * callers share the cost of one sync to disk. Several processes may share the file; several queues may
 * share a handle, each with a name of its own.
 *
 * **Use it** for one machine: no server, nothing to install on Node 22.13 or newer.
 *
 * **Not for** fleets: machines cannot share a SQLite file over a network. There, `holdfast/bullmq`.
 *
 * **Watch out:** SQLite is synchronous: each commit that is synced holds the event loop for some
 * milliseconds, whether it stores one job or a thousand. Give the queue a handle of its own: it sets
 * `journal_mode`, `synchronous` and `busy_timeout`, and commits when it sees fit.
 *
 * @throws TypeError or RangeError if an option is wrong.
 * @throws QueueStoreError if the file cannot be used: locked, damaged, read-only, or written by a later version.
 *
 * @example
 * ```ts no-run
 * import { sqliteQueue, type SqliteDatabase } from 'holdfast/sqlite'
 *
 * declare const DatabaseSync: new (file: string) => SqliteDatabase // import { DatabaseSync } from 'node:sqlite'
 *
 * const orders = sqliteQueue<{ order: number }>({ database: new DatabaseSync('orders.db') })
 * await orders.enqueue({ order: 7 }, { id: 'order-7' }) // durable from here on
 * orders.process(async (job) => console.log(`charging order ${job.payload.order}`))
 * ```
 */
export function sqliteQueue<P = unknown>(options: SqliteQueueOptions): DeferredQueue<P> {
  const given = readOptions<SqliteQueueOptions>('sqliteQueue', options, checks)
  const settings = settleQueue(given)
  const shared = shareHandle(given.database, settings, {
    durability: given.durability ?? 'full',
    busyTimeout: given.busyTimeout ?? 5_000,
    pollInterval: given.pollInterval ?? 100,
    check: given.checkFile ?? true,
  })
  try {
    const store = new SqliteStore({ ...shared, queue: shared.queueOf(settings.name), settings })
    shared.setUp(() => store.setUp())
    return openQueue<P>(store, settings)
  } catch (error) {
    shared.release()
    throw error
  }
}

const checks: Checks<SqliteQueueOptions> = {
  ...queueChecks,
  database: withMethods('an open SQLite database', 'exec', 'prepare'),
  durability: optional(oneOf(['full', 'normal'])),
  busyTimeout: optional(duration()),
  pollInterval: optional(duration({ min: 1 })),
  checkFile: optional(boolean),
}
