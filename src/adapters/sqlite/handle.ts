/**
 * The part of a SQLite handle that is used here. `DatabaseSync` of `node:sqlite`, `better-sqlite3` and
 * `@photostructure/sqlite` fit; nothing of them is imported.
 */

/** What goes into a statement. */
export type SqliteValue = string | number | null

/** A prepared statement. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
  get(...values: SqliteValue[]): unknown
  all(...values: SqliteValue[]): unknown[]
}

/** An open database. Give the queue a handle of its own: it sets `journal_mode`, `synchronous` and `busy_timeout`. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
}

/** Whether somebody else holds the lock that is needed, so that trying again soon makes sense. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error)
  return code === SQLITE_BUSY || code === SQLITE_LOCKED || NESTED.test(messageOf(error))
}

/** What a person on call can do about an error of SQLite. */
export function adviceFor(error: unknown): string {
  return ADVICE[primaryCode(error) ?? 0] ?? ''
}

const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6

/** The user's own transaction on the same handle: it will end. */
const NESTED = /cannot start a transaction within a transaction/i

/** By the primary result codes of SQLite. */
const ADVICE: Readonly<Record<number, string>> = {
  5: 'another connection holds the write lock for too long: look for a long transaction',
  8: 'the file, its folder or the disk is read-only',
  10: 'the disk failed, or is full: look at the system log',
  11: 'the file is damaged: keep a copy, and save what can be read with `sqlite3 FILE .recover`',
  13: 'the disk is full, or max_page_count is reached: make room; what was accepted is still there',
  14: 'the file cannot be opened: does the folder exist, and may this process write to it?',
  26: 'the file is no SQLite database, or its beginning is damaged: keep a copy before doing anything else',
}

/** Names of result codes, as better-sqlite3 gives them. */
const NAMES: Readonly<Record<string, number>> = {
  SQLITE_BUSY,
  SQLITE_LOCKED,
  SQLITE_READONLY: 8,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_NOTADB: 26,
}

function primaryCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  // node:sqlite says errcode; extended codes keep the primary one in their lowest byte.
  const { errcode, sqliteCode, code } = error as Record<string, unknown>
  for (const number of [errcode, sqliteCode]) if (typeof number === 'number') return number & 0xff
  if (typeof code !== 'string') return undefined
  const name = Object.keys(NAMES).find((known) => code === known || code.startsWith(`${known}_`))
  return name === undefined ? undefined : NAMES[name]
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
