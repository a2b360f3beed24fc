/** How long somebody who stops waits for those under way: of several wishes the shortest counts. */
import type { Clock, Timer } from '../../core/clock.ts'
import { deferred } from '../../core/deferred.ts'

export class Patience {
  readonly #clock: Clock
  readonly #over = deferred<boolean>()
  #until = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #isDone = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lasts no longer than `timeout` ms from now. */
  shorten(timeout: number): void {
    const until = this.#clock.now() + timeout
    if (this.#isDone || (this.#timer !== undefined && until >= this.#until)) return
    this.#until = until
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimer(() => this.#over.resolve(false), timeout)
  }

  /** Whether `promise` resolves before it is over. Asked once. */
  async outlasts(promise: Promise<unknown>): Promise<boolean> {
    const isInTime = await Promise.race([promise.then(() => true), this.#over.promise])
    this.#isDone = true
    this.#timer?.cancel()
    return isInTime
  }
}
