/**
 * Vegas: the calls that wait at the other side are those in flight beyond what its fastest answer explains;
 * keep a few of them, no more. (Brakmo and Peterson, "TCP Vegas", 1995; with steps that grow with the
 * limit, as in Netflix's concurrency-limits.)
 */
import { type Bounds, bounded, type Law, type Sample } from './law.ts'

export class Vegas implements Law {
  limit: number
  baseline = 0
  readonly #bounds: Bounds

  constructor(initialLimit: number, bounds: Bounds) {
    this.limit = initialLimit
    this.#bounds = bounds
  }

  update({ rtt, inFlight, dropped }: Sample): void {
    // How long somebody waited for an answer that never came says nothing of the others.
    if (!dropped && (this.baseline === 0 || rtt < this.baseline)) {
      this.baseline = rtt
      return
    }
    const next = this.#next(rtt, inFlight, dropped)
    this.limit = bounded(next, this.#bounds)
  }

  rebase(rtt: number): void {
    this.baseline = rtt
  }

  #next(rtt: number, inFlight: number, dropped: boolean): number {
    const { limit } = this
    const step = stepOf(limit)
    if (dropped) return limit - step
    // Nobody uses the limit: what was measured says nothing of it.
    if (inFlight * 2 < limit) return limit
    const waiting = Math.ceil(limit * (1 - this.baseline / rtt))
    if (waiting <= step) return limit + 6 * step
    if (waiting < 3 * step) return limit + step
    return waiting > 6 * step ? limit - step : limit
  }
}

function stepOf(limit: number): number {
  return Math.max(1, Math.floor(Math.log10(Math.floor(limit))))
}
