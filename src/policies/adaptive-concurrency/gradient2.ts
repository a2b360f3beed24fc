/**
 * Gradient2: by how much calls take longer now than they have for a long time, by so much the limit
 * shrinks; while they do not, it grows by the few that may wait. (Netflix's concurrency-limits.)
 */
import { type Bounds, bounded, type Law, type Sample } from './law.ts'

const TOLERANCE = 1.5
const SMOOTHING = 0.2
/** Calls that may wait at the other side. */
const QUEUE = 4
/** Windows over which the long average is smoothed; the first ones count alike. */
const LONG = 600
const WARMUP = 10
/** A long average that is out of date is forgotten faster. */
const STALE = 2
const FORGET = 0.95

export class Gradient2 implements Law {
  limit: number
  baseline = 0
  readonly #bounds: Bounds
  #seen = 0

  constructor(initialLimit: number, bounds: Bounds) {
    this.limit = initialLimit
    this.#bounds = bounds
  }

  update({ rtt, inFlight }: Sample): void {
    this.#average(rtt)
    const long = this.baseline
    if (long / rtt > STALE) this.baseline *= FORGET
    // Nobody uses the limit: what was measured says nothing of it.
    if (inFlight < this.limit / 2) return
    const gradient = Math.max(0.5, Math.min(1, (TOLERANCE * long) / rtt))
    const wanted = this.limit * gradient + QUEUE
    this.limit = bounded(this.limit * (1 - SMOOTHING) + wanted * SMOOTHING, this.#bounds)
  }

  rebase(rtt: number): void {
    this.baseline = rtt
    this.#seen = WARMUP
  }

  #average(rtt: number): void {
    if (this.#seen < WARMUP) {
      this.#seen++
      this.baseline += (rtt - this.baseline) / this.#seen
    } else this.baseline += (rtt - this.baseline) * (2 / (LONG + 1))
  }
}
