/**
 * Tokens drip into a bucket at an even rate, as long as it is not full; a call takes as many as it weighs.
 * In any time t at most `burst` + rate × t pass. (Turner, "New directions in communications", 1986; as a
 * level that is brought up to date when somebody looks, so that nothing has to tick.)
 */
import { type Allowance, type Rate, TICK } from './allowance.ts'

export class TokenBucket implements Allowance {
  capacity: number
  /** Tokens per ms. */
  #rate: number
  /** Tokens when it was last looked at. By a rounding error it may be below 0: that is a debt. */
  #level: number
  #at: number

  constructor({ limit, interval, burst }: Rate, now: number) {
    this.capacity = burst
    this.#rate = limit / interval
    this.#level = burst
    this.#at = now
  }

  available(now: number): number {
    return Math.max(0, this.#levelAt(now))
  }

  wait(weight: number, ahead: number, now: number): number {
    const missing = ahead + weight - this.#levelAt(now)
    return missing <= Math.min(CRUMB, TICK * this.#rate) ? 0 : missing / this.#rate
  }

  take(weight: number, now: number): void {
    this.#level = this.#levelAt(now) - weight
    this.#at = now
  }

  giveBack(weight: number): void {
    this.#level = Math.min(this.capacity, this.#level + weight)
  }

  resize({ limit, interval, burst }: Rate, now: number): void {
    this.#level = Math.min(burst, this.#levelAt(now))
    this.#at = now
    this.capacity = burst
    this.#rate = limit / interval
  }

  #levelAt(now: number): number {
    return Math.min(this.capacity, this.#level + (now - this.#at) * this.#rate)
  }
}

/** So little of a token is a rounding error, however fast they drip. */
const CRUMB = 1e-3
