/**
 * Group commit: whatever is to be written in one turn of the event loop goes into one transaction, and is
 * acknowledged when that is committed. A commit that is synced to disk costs milliseconds, whether it
 * holds one job or a thousand.
 *
 * The lock of the file is waited for without blocking the event loop, with jitter, so that several processes
 * take turns.
 */
import { type Clock, inNextTurn } from '../../core/clock.ts'
import { QueueStoreError } from '../../core/queue-errors.ts'
import type { RandomSource } from '../../core/random.ts'
import { adviceFor, isBusy, type SqliteDatabase } from './handle.ts'
import { rollBack } from './schema.ts'

/** Most changes in one transaction: between two of them the event loop breathes. */
const MOST_TOGETHER = 5_000

/** Pauses between tries for the lock, in ms: the first, and the longest. */
const SHORTEST_PAUSE = 1
const LONGEST_PAUSE = 20

/** Something that keeps numbers of its own during a transaction. */
export interface Participant {
  /** A transaction begins: what was known may have been changed by another process. */
  begin(): void
  /** The transaction is about to be committed: write what is known. */
  commit(): void
}

interface Entry {
  readonly what: string
  readonly queue: string
  readonly work: () => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
  readonly since: number
}

export interface JournalOptions {
  readonly busyTimeout: number
  readonly clock: Clock
  readonly random: RandomSource
}

export class Journal {
  readonly participants: Set<Participant> = new Set()
  readonly #database: SqliteDatabase
  readonly #options: JournalOptions
  #waiting: Entry[] = []
  #isScheduled = false
  /** So many at the head of those who wait get a transaction each. */
  #singly = 0
  #tries = 0

  constructor(database: SqliteDatabase, options: JournalOptions) {
    this.#database = database
    this.#options = options
  }

  /**
   * Does `work` in the next transaction; resolves when that is committed. `work` may be called again if the
   * transaction could not be kept, so it changes nothing but the database.
   */
  write<T>(queue: string, what: string, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const since = this.#options.clock.now()
      this.#waiting.push({ what, queue, work, resolve, reject, since })
      this.#schedule()
    })
  }

  /** Resolves when whatever this queue has to write has been written, or could not be. */
  async settled(queue: string): Promise<void> {
    while (this.#waiting.some((entry) => entry.queue === queue)) {
      await this.write(queue, 'waiting', () => {}).catch(() => {})
      // Jobs that were taken too late to be run are handed back: that is to be written, too.
      await new Promise<void>((resolve) => inNextTurn(this.#options.clock, resolve))
    }
  }

  /** Reads, without a transaction; waits when somebody holds the file for himself, as after a crash. */
  async read<T>(queue: string, what: string, work: () => T): Promise<T> {
    const { clock, busyTimeout } = this.#options
    const since = clock.now()
    for (let tries = 0; ; tries++) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error) || clock.now() - since >= busyTimeout) {
          throw new QueueStoreError(queue, what, 'no', error, adviceFor(error))
        }
        await new Promise<void>((resolve) => clock.setTimer(resolve, this.#pause(tries)))
      }
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    inNextTurn(this.#options.clock, this.#flush)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    try {
      this.#database.exec('BEGIN IMMEDIATE')
    } catch (error) {
      this.#couldNotBegin(error)
      return
    }
    this.#tries = 0
    const entries = this.#waiting.splice(0, this.#singly > 0 ? 1 : MOST_TOGETHER)
    if (this.#singly > 0) this.#singly--
    this.#write(entries)
    if (this.#waiting.length > 0) this.#schedule()
  }

  #write(entries: Entry[]): void {
    const results: unknown[] = []
    try {
      for (const one of this.participants) one.begin()
      for (const { work } of entries) results.push(work())
      for (const one of this.participants) one.commit()
    } catch (error) {
      rollBack(this.#database)
      if (isBusy(error)) return this.#tryAgain(entries, error)
      if (entries.length === 1) return this.#fail(entries[0] as Entry, error, 'no')
      // One of many failed: which, shows when each has a transaction of its own.
      this.#waiting = [...entries, ...this.#waiting]
      this.#singly += entries.length
      return
    }
    this.#commit(entries, results)
  }

  #commit(entries: readonly Entry[], results: readonly unknown[]): void {
    try {
      this.#database.exec('COMMIT')
    } catch (error) {
      rollBack(this.#database)
      if (isBusy(error)) return this.#tryAgain(entries, error)
      // A sync that failed leaves open what a crash would find.
      for (const entry of entries) this.#fail(entry, error, 'unknown')
      return
    }
    for (const [at, entry] of entries.entries()) entry.resolve(results[at] as never)
  }

  #tryAgain(entries: readonly Entry[], error: unknown): void {
    this.#waiting = [...entries, ...this.#waiting]
    this.#couldNotBegin(error)
  }

  #couldNotBegin(error: unknown): void {
    const { clock, busyTimeout } = this.#options
    const now = clock.now()
    const isOver = ({ since }: Entry): boolean => !isBusy(error) || now - since >= busyTimeout
    const late = this.#waiting.filter(isOver)
    this.#waiting = this.#waiting.filter((entry) => !isOver(entry))
    this.#singly = Math.min(this.#singly, this.#waiting.length)
    for (const entry of late) this.#fail(entry, error, 'no')
    if (this.#waiting.length === 0) return
    this.#isScheduled = true
    clock.setTimer(this.#flush, this.#pause(this.#tries++))
  }

  #pause(tries: number): number {
    const longest = Math.min(SHORTEST_PAUSE * 2 ** Math.min(tries, 10), LONGEST_PAUSE)
    return longest * (0.5 + this.#options.random() / 2)
  }

  #fail({ what, queue, reject }: Entry, error: unknown, stored: 'no' | 'unknown'): void {
    reject(new QueueStoreError(queue, what, stored, error, adviceFor(error)))
  }
}
