/**
 * Spreads the beginnings of jobs evenly over time: so many per interval, none saved up while idle.
 * One number is kept, the moment at which the next may begin (the generic cell rate algorithm of ATM).
 */
import type { RateLimit } from '../../core/deferred-queue.ts'

/** What may begin together: timers are late by about so much, and the pace is to be kept all the same. */
const SLACK = 20

export class Pace {
  readonly #step: number
  #nextAt = Number.NEGATIVE_INFINITY
  /** Somebody asked, and had to wait. */
  #isHeldBack = false

  constructor({ limit, interval }: RateLimit = { limit: 1, interval: 0 }) {
    this.#step = interval / limit
  }

  /** How many may begin now. */
  allowed(now: number): number {
    if (this.#step === 0) return Number.POSITIVE_INFINITY
    if (now < this.#nextAt) {
      this.#isHeldBack = true
      return 0
    }
    return Math.floor((now - this.#from(now)) / this.#step) + 1
  }

  /** How long until one may begin, in ms. */
  wait(now: number): number {
    return Math.max(0, this.#nextAt - now)
  }

  note(begun: number, now: number): void {
    if (begun > 0 && this.#step > 0) this.#nextAt = this.#from(now) + begun * this.#step
    this.#isHeldBack = false
  }

  /** What a late timer has cost somebody who was held back is made up for; what nobody wanted is not. */
  #from(now: number): number {
    return Math.max(this.#nextAt, this.#isHeldBack ? now - SLACK : now)
  }
}
