/**
 * Tells workers when there may be something to take: at once for changes through the same handle, and by a
 * look at `PRAGMA data_version` for those of other processes. That reads a number from shared memory, so it
 * can be done often; with jitter, so that processes do not all come at the same moment.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import type { RandomSource } from '../../core/random.ts'
import type { SqliteDatabase, SqliteStatement } from './handle.ts'

export interface WatchOptions {
  readonly pollInterval: number
  readonly clock: Clock
  readonly random: RandomSource
}

export class Watch {
  readonly #dataVersion: SqliteStatement
  readonly #options: WatchOptions
  readonly #listeners = new Set<() => void>()
  #seen: unknown
  #timer: Timer | undefined

  constructor(database: SqliteDatabase, options: WatchOptions) {
    this.#dataVersion = database.prepare('PRAGMA data_version')
    this.#options = options
  }

  add(wake: () => void): () => void {
    const listener = (): void => wake()
    this.#listeners.add(listener)
    if (this.#timer === undefined) this.#poll()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#timer?.cancel()
      this.#timer = undefined
    }
  }

  wake(): void {
    for (const listener of this.#listeners) listener()
  }

  readonly #poll = (): void => {
    const { clock, pollInterval, random } = this.#options
    this.#timer = clock.setTimer(this.#poll, pollInterval * (0.8 + 0.4 * random()))
    const version = this.#version()
    if (version === this.#seen) return
    this.#seen = version
    this.wake()
  }

  /** A store that cannot be read now is looked at again; the taking of jobs says what is wrong with it. */
  #version(): unknown {
    try {
      const row = this.#dataVersion.get() as { data_version: unknown }
      return row.data_version
    } catch {
      return undefined
    }
  }
}
