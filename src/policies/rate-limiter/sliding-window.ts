/**
 * Remembers when what has passed, for one interval: in no span of that length, wherever it begins, passes
 * more than the limit. Exact, at the price of 16 bytes for each moment at which something passed.
 */
import { type Allowance, type Rate, TICK } from './allowance.ts'

export class SlidingWindow implements Allowance {
  capacity: number
  #interval: number
  /** A ring: when, and how much. */
  #times = new Float64Array(16)
  #weights = new Float64Array(16)
  #oldest = 0
  #count = 0
  #used = 0

  constructor({ limit, interval }: Rate) {
    this.capacity = limit
    this.#interval = interval
  }

  available(now: number): number {
    this.#forget(now)
    return Math.max(0, this.capacity - this.#used)
  }

  wait(weight: number, ahead: number, now: number): number {
    this.#forget(now)
    // So much of what is remembered has to be forgotten first.
    let surplus = this.#used + ahead + weight - this.capacity
    if (surplus <= ROUNDING) return 0
    // What stands ahead is remembered in its turn: each full window of it takes one interval.
    const rounds = Math.max(0, Math.ceil((surplus - this.#used - ROUNDING) / this.capacity))
    surplus -= rounds * this.capacity
    const wait = rounds * this.#interval + this.#untilForgotten(surplus, now)
    return wait < TICK ? 0 : wait
  }

  take(weight: number, now: number): void {
    this.#forget(now)
    this.#used += weight
    const newest = this.#place(this.#count - 1)
    if (this.#count > 0 && this.#times[newest] === now) {
      this.#weights[newest] = (this.#weights[newest] as number) + weight
      return
    }
    if (this.#count === this.#times.length) this.#grow()
    const place = this.#place(this.#count++)
    this.#times[place] = now
    this.#weights[place] = weight
  }

  giveBack(weight: number, takenAt: number): void {
    for (let index = this.#count - 1; index >= 0; index--) {
      const place = this.#place(index)
      if (this.#times[place] !== takenAt) continue
      this.#weights[place] = (this.#weights[place] as number) - weight
      this.#used -= weight
      return
    }
  }

  resize({ limit, interval }: Rate, now: number): void {
    // A longer interval cannot remember what the shorter one has forgotten.
    this.#forget(now)
    this.capacity = limit
    this.#interval = interval
  }

  #untilForgotten(weight: number, now: number): number {
    let sum = 0
    for (let index = 0; index < this.#count && weight > ROUNDING; index++) {
      const place = this.#place(index)
      sum += this.#weights[place] as number
      if (sum >= weight - ROUNDING) {
        return (this.#times[place] as number) + this.#interval - now
      }
    }
    return 0
  }

  #forget(now: number): void {
    const horizon = now - this.#interval + TICK
    while (this.#count > 0 && (this.#times[this.#oldest] as number) <= horizon) {
      this.#used -= this.#weights[this.#oldest] as number
      this.#oldest = this.#place(1)
      this.#count--
    }
    if (this.#count === 0) this.#used = 0
  }

  #place(index: number): number {
    const { length } = this.#times
    return (this.#oldest + index + length) % length
  }

  #grow(): void {
    const { length } = this.#times
    const times = new Float64Array(length * 2)
    const weights = new Float64Array(length * 2)
    for (let index = 0; index < length; index++) {
      const place = this.#place(index)
      times[index] = this.#times[place] as number
      weights[index] = this.#weights[place] as number
    }
    this.#times = times
    this.#weights = weights
    this.#oldest = 0
  }
}

/** Sums of weights that are no whole numbers are off by less than this. */
const ROUNDING = 1e-9
