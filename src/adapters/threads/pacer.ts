/**
 * Paces the replacement of threads that crashed: the next one is started after a pause, which grows while
 * threads go on crashing and is forgotten as soon as a task ends well.
 */
import type { Backoff } from '../../core/backoff.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { type Deferred, deferred } from '../../core/deferred.ts'
import type { RandomSource } from '../../core/random.ts'

export class Pacer {
  #crashes = 0
  #previous = 0
  #notBefore = 0
  #over: Deferred<void> | undefined
  #timer: Timer | undefined
  #closed = false
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #backoff: Backoff

  constructor(clock: Clock, random: RandomSource, backoff: Backoff) {
    this.#clock = clock
    this.#random = random
    this.#backoff = backoff
  }

  /** A thread crashed. Those that crash during a pause belong to the crash that began it. */
  crashed(): void {
    const now = this.#clock.now()
    if (now < this.#notBefore) return
    this.#crashes++
    this.#previous = delayOf(this.#backoff, this.#crashes, this.#random, this.#previous)
    this.#notBefore = now + this.#previous
  }

  healthy(): void {
    this.#crashes = 0
    this.#previous = 0
  }

  /** Resolves when a thread may be started; at once, unless one crashed a moment ago. */
  async pause(): Promise<void> {
    const left = this.#notBefore - this.#clock.now()
    if (left <= 0 || this.#closed) return
    if (this.#over === undefined) {
      this.#over = deferred<void>()
      this.#timer = this.#clock.setTimer(this.#end, left)
      // Only whoever waits for a thread holds the process; see hold().
      this.#timer.unref()
    }
    return this.#over.promise
  }

  /** Somebody waits for the end of the pause. */
  hold(): void {
    this.#timer?.ref()
  }

  /** Nobody pauses any more. */
  close(): void {
    this.#closed = true
    this.#end()
  }

  readonly #end = (): void => {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#over?.resolve()
    this.#over = undefined
  }
}

/** A broken backoff is none: the longest usual pause is safe. */
function delayOf(
  backoff: Backoff,
  crashes: number,
  random: RandomSource,
  previous: number,
): number {
  let delay = Number.NaN
  try {
    delay = backoff(crashes, { random, previous })
  } catch {
    // As one that gives no number.
  }
  return delay >= 0 && delay < Number.POSITIVE_INFINITY ? delay : 5_000
}
