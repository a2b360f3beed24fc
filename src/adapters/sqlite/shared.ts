/** What the queues on one handle share: its preparation, its transactions, its statements, its watch. */
import { QueueStoreError } from '../../core/queue-errors.ts'
import type { QueueSettings } from '../../resources/deferred-queue/options.ts'
import { adviceFor, type SqliteDatabase } from './handle.ts'
import { Journal } from './journal.ts'
import { inTransaction, type Preparation, patiently, prepareFile } from './schema.ts'
import { prepareStatements, type Statements } from './statements.ts'
import { Watch } from './watch.ts'

/** What queues on one handle have to agree upon. */
export interface HandleOptions extends Preparation {
  readonly pollInterval: number
}

interface Shared {
  readonly journal: Journal
  readonly statements: Statements
  readonly watch: Watch
  readonly durability: Preparation['durability']
  readonly names: Set<string>
}

/** The shared parts, for one queue. */
export interface Share extends Pick<Shared, 'journal' | 'statements' | 'watch'> {
  /** The row of a queue, made when it is new. */
  queueOf(name: string): number
  /** Does something in a transaction of its own, before the queue is used. */
  setUp(work: () => void): void
  release(): void
}

const handles = new WeakMap<SqliteDatabase, Shared>()

export function shareHandle(
  database: SqliteDatabase,
  settings: QueueSettings,
  options: HandleOptions,
): Share {
  const { name } = settings
  const attempt = <T>(what: string, work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw new QueueStoreError(name, what, 'no', error, adviceFor(error))
    }
  }
  const shared =
    handles.get(database) ?? attempt('opening', () => open(database, settings, options))
  if (shared.durability !== options.durability) {
    throw new TypeError(
      `sqliteQueue: durability must be '${shared.durability}' as for the other queues on this handle, but was '${options.durability}'`,
    )
  }
  if (shared.names.has(name)) {
    throw new TypeError(`sqliteQueue: name must be another: "${name}" is open on this handle`)
  }
  handles.set(database, shared)
  shared.names.add(name)
  const setUp = (work: () => void): void =>
    attempt('opening', () => patiently(options.busyTimeout, () => inTransaction(database, work)))
  return {
    ...shared,
    setUp,
    queueOf: (queue) => {
      const { makeQueue, findQueue } = shared.statements
      if (findQueue.get(queue) === undefined) setUp(() => makeQueue.run(queue))
      return Number((findQueue.get(queue) as { id: number | bigint }).id)
    },
    release: () => {
      shared.names.delete(name)
      if (shared.names.size === 0) handles.delete(database)
    },
  }
}

function open(database: SqliteDatabase, settings: QueueSettings, options: HandleOptions): Shared {
  prepareFile(database, options)
  return {
    journal: new Journal(database, { ...options, ...settings }),
    statements: prepareStatements(database),
    watch: new Watch(database, { ...options, ...settings }),
    durability: options.durability,
    names: new Set(),
  }
}
