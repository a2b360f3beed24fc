/**
 * The calls that fill the cache: one at a time for each key, paced when they fail, and only what the
 * dependency itself has answered is kept.
 */
import type { Clock } from '../../core/clock.ts'
import { type CacheFilled, quiet } from '../../core/events.ts'
import type { Report } from '../../core/flight.ts'
import { judge, type Outcome } from '../../core/outcome.ts'
import type { Context } from '../../core/policy.ts'
import type { CacheReport, Inside } from '../../core/relay.ts'
import { SharedCall, type SharedCallOwner } from '../../core/shared-call.ts'
import type { Calendar, Entry, Shelf } from './entry.ts'
import type { Settings } from './options.ts'
import { Pauses } from './pauses.ts'

/** One caller's question. */
export interface Asked {
  readonly key: string
  readonly caller: Context
  readonly inside: Inside
  readonly report: Report | undefined
  readonly mayLeave: boolean
}

/** An event without the name of its policy and its time, which are added when it is emitted. */
export type Telling<E> = E extends unknown ? Omit<E, 'policy' | 'at'> : never

/** A call that fills the cache. */
export class Load extends SharedCall {
  /** What may be served instead of its answer. */
  entry: Entry | undefined = undefined
  /** Nobody waited for it when it began. */
  background = false
}

export class Loads implements SharedCallOwner {
  failures = 0
  readonly #settings: Settings
  readonly #shelf: Shelf
  readonly #calendar: Calendar
  readonly #clock: Clock
  readonly #tell: (event: Telling<CacheFilled>) => void
  /** By key; whoever is not in here any more keeps nothing. */
  readonly #loads = new Map<string, Load>()
  readonly #pauses: Pauses

  constructor(
    settings: Settings,
    shelf: Shelf,
    calendar: Calendar,
    clock: Clock,
    tell: (event: Telling<CacheFilled>) => void,
  ) {
    this.#settings = settings
    this.#shelf = shelf
    this.#calendar = calendar
    this.#clock = clock
    this.#tell = tell
    this.#pauses = new Pauses(settings.refreshPause)
  }

  get running(): number {
    return this.#loads.size
  }

  /** The load of `key` that one more caller may wait for. */
  joinable(key: string): Load | undefined {
    const load = this.#loads.get(key)
    if (load === undefined) return undefined
    return this.#clock.now() - load.began <= this.#settings.joinWithin ? load : undefined
  }

  /** A new one, which takes the place of one that lasts too long. It has yet to begin. */
  create(key: string, args: readonly unknown[], entry: Entry | undefined): Load {
    const load = new Load(key, args, this, this.#clock, this.#settings.finishAlone)
    load.entry = entry
    this.#loads.set(key, load)
    return load
  }

  /** Whether its last load failed just now. */
  paused(key: string): boolean {
    return this.#pauses.has(key, this.#clock.now())
  }

  /** From now on `entry` is what is known of `key`, whatever a load that is under way brings. */
  supersede(key: string, entry: Entry | undefined): void {
    const load = this.#loads.get(key)
    if (load !== undefined) load.entry = entry
    this.#loads.delete(key)
    this.#pauses.end(key)
  }

  ended(load: Load, { ending, value, error }: Outcome): void {
    const { key, background } = load
    const now = this.#clock.now()
    const duration = Math.max(0, now - load.began)
    const counts = this.#loads.get(key) === load
    this.deserted(load)
    if (ending === 'succeeded') {
      const kept = counts && this.#keep(load, value, now, duration)
      this.#tell({ type: 'refresh', key, kept, background, duration })
      return
    }
    this.failures++
    if (counts && this.mayStandIn(error)) this.#pauses.begin(key, now)
    this.#tell({ type: 'refresh', key, kept: false, background, duration, error })
  }

  deserted(load: Load): void {
    if (this.#loads.get(load.key) === load) this.#loads.delete(load.key)
  }

  /** The entry of a value; undefined if it is not to be kept, or cannot be. */
  enter(value: unknown, made: number, took: number): Entry | undefined {
    const { copy } = this.#settings
    try {
      return this.#calendar.enter(copy === undefined ? value : quiet(copy(value)), made, took)
    } catch {
      return undefined
    }
  }

  /** Whether the last good value may stand in for this failure. */
  mayStandIn(error: unknown): boolean {
    const { handles } = this.#settings
    if (handles === undefined) return isTrouble(error)
    try {
      return quiet(handles(error)) === true
    } catch {
      return false
    }
  }

  #keep(load: Load, value: unknown, now: number, took: number): boolean {
    const { key } = load
    const { source, kept }: CacheReport = load.report
    // A guess, or a value that was stale already, would outlive the outage.
    if (source !== 'primary' && (kept === undefined || kept.stale)) return false
    const entry = this.enter(value, now - (kept?.age ?? 0), took)
    this.#pauses.end(key)
    if (entry === undefined) quiet(this.#shelf.delete(key))
    else this.#shelf.set(key, entry)
    return entry !== undefined
  }
}

/** A dependency in trouble, or protected. One that answered "no" has answered. */
function isTrouble(error: unknown): boolean {
  const verdict = judge(error)
  return verdict === 'transient' || verdict === 'rejected'
}
