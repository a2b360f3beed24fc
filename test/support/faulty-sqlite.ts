/** A SQLite handle whose calls fail when the test says so, as a full disk or a broken cable makes them. */
import type { SqliteDatabase, SqliteStatement, SqliteValue } from 'holdfast/sqlite'

export interface FaultySqlite extends SqliteDatabase {
  /** Statements and commands that were executed. */
  readonly calls: number
  /** Asked before each; what it returns is thrown. */
  fail: ((sql: string, call: number) => Error | undefined) | undefined
  /** As `fail`, asked after each: it was done, and nobody hears of it. */
  failAfter: ((sql: string, call: number) => Error | undefined) | undefined
}

export function faulty(database: SqliteDatabase): FaultySqlite {
  const handle = {
    calls: 0,
    fail: undefined as FaultySqlite['fail'],
    failAfter: undefined as FaultySqlite['failAfter'],
    exec: (sql: string) => guarded(sql, () => database.exec(sql)),
    prepare: (sql: string): SqliteStatement => {
      const statement = database.prepare(sql)
      return {
        run: (...values: SqliteValue[]) => guarded(sql, () => statement.run(...values)),
        get: (...values: SqliteValue[]) => guarded(sql, () => statement.get(...values)),
        all: (...values: SqliteValue[]) => guarded(sql, () => statement.all(...values)),
      }
    },
  }
  function guarded<T>(sql: string, work: () => T): T {
    const call = handle.calls++
    const before = handle.fail?.(sql, call)
    if (before !== undefined) throw before
    const result = work()
    const after = handle.failAfter?.(sql, call)
    if (after !== undefined) throw after
    return result
  }
  return handle
}

/** An error of SQLite, by its result code: 5 busy, 10 I/O, 13 full. */
export function sqliteError(errcode: number, message = 'as the test says'): Error {
  return Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode })
}
