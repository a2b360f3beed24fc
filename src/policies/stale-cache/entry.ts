/**
 * A value that is kept, and until when it is good for what. When it expires is drawn once, when it is
 * made: values that were made together do not expire together.
 */
import { quiet } from '../../core/events.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import type { Settings } from './options.ts'

/** All times are in ms of the clock. */
export interface Entry {
  readonly value: unknown
  readonly made: number
  /** From here on it is refreshed in the background while it is served. */
  readonly refreshFrom: number
  readonly freshUntil: number
  readonly staleUntil: number
  /** How long it took to make. */
  readonly took: number
}

/** Where entries are kept. */
export interface Shelf {
  get(key: string): Entry | undefined | Promise<Entry | undefined>
  set(key: string, entry: Entry): void
  delete(key: string): Promise<void> | undefined
}

export class Calendar {
  readonly #freshFor: number
  readonly #staleFor: number
  readonly #negativeFor: number | undefined
  readonly #isNegative: (value: never) => boolean
  readonly #jitter: number
  readonly #earlyRefresh: number
  readonly #random: RandomSource

  constructor(settings: Settings) {
    this.#freshFor = settings.freshFor
    this.#staleFor = settings.staleFor
    this.#negativeFor = settings.negativeFor
    this.#isNegative = settings.isNegative ?? isNothing
    this.#jitter = settings.jitter
    this.#earlyRefresh = settings.earlyRefresh
    this.#random = settings.random ?? systemRandom
  }

  /** The entry of a value that was made at `made`; undefined for one that is not to be kept. */
  enter(value: unknown, made: number, took: number): Entry | undefined {
    const negative =
      this.#negativeFor !== undefined && quiet(this.#isNegative(value as never)) === true
    const fresh = negative ? (this.#negativeFor as number) : this.#freshFor
    // A negative result is no last good value: it is not served a moment longer than it is fresh.
    const stale = negative ? Math.min(fresh, this.#staleFor) : this.#staleFor
    if (stale <= 0) return undefined
    const early = this.#jitter === 0 || fresh === 0 ? 0 : this.#jitter * this.#random()
    const until = fresh === Number.POSITIVE_INFINITY ? fresh : fresh * (1 - early)
    return this.dated(value, made, until, stale, took)
  }

  /** The same for one that was dated before, by this process or another. */
  dated(value: unknown, made: number, fresh: number, stale: number, took: number): Entry {
    const staleUntil = made + Math.min(stale, this.#staleFor)
    // Time is read once per turn: what was made later in the same turn must not seem to be new for it.
    const freshUntil = fresh > 0 ? Math.min(made + fresh, staleUntil) : Number.NEGATIVE_INFINITY
    const refreshFrom = freshUntil - this.#headStart(took)
    return { value, made, refreshFrom, freshUntil, staleUntil, took }
  }

  /** XFetch: the longer the load, the earlier; and rarely much earlier (Vattani et al., VLDB 2015). */
  #headStart(took: number): number {
    if (this.#earlyRefresh === 0) return 0
    return -took * this.#earlyRefresh * Math.log(1 - this.#random())
  }
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined
}
