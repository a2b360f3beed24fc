/**
 * Leases and due times are in wall-clock time, because several processes and the time after a crash share
 * nothing else. A wall clock can be stepped; this notices it, by the monotonic clock beside it.
 */
import type { Clock } from '../../core/clock.ts'

/** Less than this is the slow correction that NTP makes, and the time between two readings. */
export const STEP = 1_000

export class WallClock {
  readonly #clock: Clock
  #offset: number
  #distrustedUntil = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
    this.#offset = clock.wallTime() - clock.now()
  }

  now(): number {
    return this.#clock.wallTime()
  }

  /** Whether the wall clock was stepped since the last look. */
  hasStepped(): boolean {
    const offset = this.#clock.wallTime() - this.#clock.now()
    const step = Math.abs(offset - this.#offset)
    this.#offset = offset
    return step >= STEP
  }

  /**
   * For so long a lease that looks run out may be one that its holder had no time to renew since the step:
   * whoever lives renews within it.
   */
  distrustLeases(time: number): void {
    this.#distrustedUntil = this.#clock.now() + time
  }

  /** How long leases are still not to be trusted, in ms. */
  get distrust(): number {
    return Math.max(0, this.#distrustedUntil - this.#clock.now())
  }
}
