/**
 * How long recent calls took, in a fixed amount of memory: two histograms, of which the older is forgotten
 * when the younger is half a window old.
 */
import { Histogram } from '../../core/histogram.ts'

/** A percentile of fewer calls is a guess. */
const LEAST = 50
/** It is looked up anew after so long, in ms, or so many calls. */
const FRESH_FOR = 1_000
const FRESH_CALLS = 50

export class RecentLatency {
  readonly #share: number
  readonly #half: number
  #younger = new Histogram()
  #older = new Histogram()
  #turnedAt: number
  #foundAt: number
  #since = 0

  constructor(share: number, window: number, now: number) {
    this.#share = share
    this.#half = window / 2
    this.#turnedAt = now
    this.#foundAt = now
  }

  /** Adds a call. The percentile, in ms, when it is time to look at it again. */
  record(duration: number, now: number): number | undefined {
    if (now - this.#turnedAt >= this.#half) this.#turn(now)
    this.#younger.record(duration)
    this.#since++
    const count = this.#younger.count + this.#older.count
    if (count < LEAST) return undefined
    if (this.#since < FRESH_CALLS && now - this.#foundAt < FRESH_FOR) return undefined
    this.#foundAt = now
    this.#since = 0
    return this.#younger.percentile(this.#share, this.#older)
  }

  #turn(now: number): void {
    // What is older than the window is forgotten; after a long rest, what was young is old.
    this.#older = now - this.#turnedAt >= 2 * this.#half ? new Histogram() : this.#younger
    this.#younger = new Histogram()
    this.#turnedAt = now
  }
}
