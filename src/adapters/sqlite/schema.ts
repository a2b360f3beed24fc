/** The tables in the file, and what is set on the handle. Everything is named `holdfast_…`: the rest is yours. */
import { adviceFor, isBusy, type SqliteDatabase } from './handle.ts'

/** Written into the file; a file of a later version is refused, not guessed at. */
export const SCHEMA_VERSION = 1

/** `state` of a row; the queries name them as numbers, so that the partial indexes are used. */
export const STATE = { ready: 0, active: 1, blocked: 2, dead: 3, completed: 4 } as const

const SCHEMA = `
  CREATE TABLE holdfast_schema (version INTEGER NOT NULL);
  INSERT INTO holdfast_schema (version) VALUES (${SCHEMA_VERSION});
  CREATE TABLE holdfast_queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE holdfast_jobs (
    seq INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    id TEXT NOT NULL,
    state INTEGER NOT NULL,
    key TEXT,
    payload TEXT,
    context TEXT,
    enqueued_at REAL NOT NULL,
    due_at REAL NOT NULL,
    stamped_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    lease_until REAL,
    lease_time REAL,
    errors TEXT,
    ended_at REAL,
    reason TEXT,
    UNIQUE (queue, id)
  );
  CREATE INDEX holdfast_ready ON holdfast_jobs (queue, due_at, seq) WHERE state = 0;
  CREATE INDEX holdfast_active ON holdfast_jobs (queue, lease_until) WHERE state = 1;
  CREATE INDEX holdfast_keyed ON holdfast_jobs (queue, key, seq) WHERE key IS NOT NULL AND state < 3;
  CREATE INDEX holdfast_blocked ON holdfast_jobs (queue, seq) WHERE state = 2;
  CREATE INDEX holdfast_dead ON holdfast_jobs (queue, seq) WHERE state = 3;
  CREATE INDEX holdfast_completed ON holdfast_jobs (queue, ended_at) WHERE state = 4;
`

/** What a handle is prepared with. */
export interface Preparation {
  readonly durability: 'full' | 'normal'
  /** How long to wait for other processes that prepare the same file, in ms. */
  readonly busyTimeout: number
  /** Whether to look through the file for damage first. */
  readonly check: boolean
}

/**
 * Makes the file ready. Synchronous, once, at the start: nothing has been accepted yet.
 *
 * @throws what SQLite throws, and a plain Error for a damaged file, a later version, or no WAL.
 */
export function prepareFile(database: SqliteDatabase, preparation: Preparation): void {
  const { durability, busyTimeout, check } = preparation
  database.exec(`PRAGMA busy_timeout = ${Math.ceil(busyTimeout)}`)
  patiently(busyTimeout, () => useWal(database))
  database.exec(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
  if (check) checkFile(database)
  if (!hasTable(database)) patiently(busyTimeout, () => createTables(database))
  checkVersion(database)
  // From now on the lock is waited for between turns of the event loop, not in them.
  database.exec('PRAGMA busy_timeout = 0')
}

function useWal(database: SqliteDatabase): void {
  const mode = (): unknown => firstOf(database, 'PRAGMA journal_mode')
  if (mode() === 'wal' || firstOf(database, 'PRAGMA journal_mode = WAL') === 'wal') return
  // A database in memory has no file to write ahead of.
  if (mode() !== 'memory') throw new Error(`cannot use WAL: the journal mode stays "${mode()}"`)
}

function checkFile(database: SqliteDatabase): void {
  const found = firstOf(database, 'PRAGMA quick_check(1)')
  if (found === 'ok') return
  throw new Error(`the file is damaged (${String(found)}); ${adviceFor({ errcode: 11 })}`)
}

function hasTable(database: SqliteDatabase): boolean {
  const sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'holdfast_schema'"
  return database.prepare(sql).get() !== undefined
}

function createTables(database: SqliteDatabase): void {
  inTransaction(database, () => {
    if (!hasTable(database)) database.exec(SCHEMA)
  })
}

function checkVersion(database: SqliteDatabase): void {
  const version = firstOf(database, 'SELECT max(version) FROM holdfast_schema')
  if (version === SCHEMA_VERSION) return
  throw new Error(
    `the tables have version ${String(version)}, and this release knows version ${SCHEMA_VERSION}: use the release that wrote them, or a later one`,
  )
}

function firstOf(database: SqliteDatabase, sql: string): unknown {
  const row = database.prepare(sql).get() as Readonly<Record<string, unknown>> | undefined
  const value = Object.values(row ?? {})[0]
  return typeof value === 'bigint' ? Number(value) : value
}

/** Does `work` whole or not at all. */
export function inTransaction(database: SqliteDatabase, work: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    work()
    database.exec('COMMIT')
  } catch (error) {
    rollBack(database)
    throw error
  }
}

/** Undoes what the transaction did, if SQLite has not done so by itself, as it does when the disk is full. */
export function rollBack(database: SqliteDatabase): void {
  try {
    database.exec('ROLLBACK')
  } catch {
    // There is no transaction any more.
  }
}

/** Some locks of SQLite are not waited for by `busy_timeout`; nothing else runs yet, so this may block. */
export function patiently(timeout: number, step: () => void): void {
  const pause = 10
  for (let waited = 0; ; waited += pause) {
    try {
      step()
      return
    } catch (error) {
      if (!isBusy(error) || waited >= timeout) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause)
    }
  }
}
