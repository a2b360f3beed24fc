/**
 * Time that never goes back, whatever its clock does: a step back is time that stood still, so that it
 * neither freezes a limit until the old time comes again nor forgives what was taken.
 */
import type { Clock } from '../../core/clock.ts'

export class SteadyTime {
  readonly #clock: Clock
  #last: number
  #behind = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#last = clock.now()
  }

  now(): number {
    const now = this.#clock.now()
    if (now < this.#last) this.#behind += this.#last - now
    this.#last = now
    return now + this.#behind
  }
}
