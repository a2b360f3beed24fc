/**
 * The guard against a wrong baseline. A law that started high, or that has been overloaded for long, takes
 * the time of calls that wait in a queue for the time of calls that do not, and never comes down
 * again. So now and then, while the limit is used up, the limit is lowered to one call or a few until the
 * queue at the other side is gone, and what calls take then is what they take. (The idea of Envoy's
 * minRTT; the queue drains at full speed, so little is lost.)
 */

import { LEAST_TIME } from './law.ts'

/** Calls that may run while the baseline is measured. */
export function fewOf(limit: number, minLimit: number): number {
  return Math.max(minLimit, Math.min(3, Math.ceil(limit / 10)))
}

export class Probe {
  /** The limit before. */
  readonly from: number
  /** The limit meanwhile. */
  readonly few: number
  /** How long calls took before, in ms. */
  readonly loaded: number
  readonly #samples: number
  readonly #lastsUntil: number
  /** When the queue was gone: calls that began later waited for nobody. */
  #drainedAt = Number.POSITIVE_INFINITY
  #count = 0
  #sum = 0

  constructor(from: number, few: number, loaded: number, samples: number, now: number) {
    this.from = from
    this.few = few
    this.loaded = loaded
    this.#samples = samples
    // The queue drains in the time of one call, and no call takes longer than with a queue before it.
    this.#lastsUntil = now + (samples + 3) * loaded
  }

  /** Too long: whoever keeps it up (a call that hangs, no calls at all), the limit must come back. */
  isOverdue(now: number): boolean {
    return now > this.#lastsUntil
  }

  /** So many run now. */
  running(count: number, now: number): void {
    if (count <= this.few && this.#drainedAt === Number.POSITIVE_INFINITY) this.#drainedAt = now
  }

  /** A call ended. The time of a call that waits for nobody, once it is known. */
  add(since: number, now: number): number | undefined {
    if (since < this.#drainedAt) return undefined
    this.#sum += now - since
    if (++this.#count < this.#samples) return undefined
    return Math.max(LEAST_TIME, this.#sum / this.#count)
  }
}
