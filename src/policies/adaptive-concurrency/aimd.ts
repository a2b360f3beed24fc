/**
 * AIMD: one more after each good window, a tenth less after a bad one. It knows nothing of how long calls
 * take, as long as they do not take too long. (Chiu and Jain, 1989; figures as in Netflix's
 * concurrency-limits.)
 */
import { type Bounds, bounded, type Law, type Sample } from './law.ts'

const BACKOFF = 0.9

export class Aimd implements Law {
  limit: number
  readonly baseline = 0
  readonly #bounds: Bounds
  readonly #maxLatency: number

  constructor(initialLimit: number, bounds: Bounds, maxLatency: number) {
    this.limit = initialLimit
    this.#bounds = bounds
    this.#maxLatency = maxLatency
  }

  update({ rtt, inFlight, dropped }: Sample): void {
    const { limit } = this
    if (dropped || rtt > this.#maxLatency) {
      this.limit = bounded(Math.min(limit - 1, Math.floor(limit * BACKOFF)), this.#bounds)
    } else if (inFlight * 2 >= limit) this.limit = bounded(limit + 1, this.#bounds)
  }

  rebase(): void {}
}
