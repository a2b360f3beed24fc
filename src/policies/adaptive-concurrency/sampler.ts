/**
 * Calls of one window: their mean time, how many ran at a time, whether one was dropped. A window lasts
 * until it is long enough and holds enough calls; nothing runs between them.
 */
import { LEAST_TIME, type Sample } from './law.ts'

export class Sampler {
  readonly #duration: number
  readonly #minSamples: number
  #began = 0
  #count = 0
  #sum = 0
  #inFlight = 0
  #dropped = false

  constructor(duration: number, minSamples: number) {
    this.#duration = duration
    this.#minSamples = minSamples
  }

  /** Adds a call that ended now. The sample, if the window is over with it. */
  add(now: number, rtt: number, inFlight: number, dropped: boolean): Sample | undefined {
    if (this.#count === 0 && !this.#dropped) this.#began = now
    if (dropped) this.#dropped = true
    this.#count++
    this.#sum += rtt
    this.#inFlight = Math.max(this.#inFlight, inFlight)
    if (this.#count < this.#minSamples || now - this.#began < this.#duration) return undefined
    const sample = {
      rtt: Math.max(LEAST_TIME, this.#sum / this.#count),
      inFlight: this.#inFlight,
      dropped: this.#dropped,
    }
    this.forget()
    return sample
  }

  forget(): void {
    this.#count = 0
    this.#sum = 0
    this.#inFlight = 0
    this.#dropped = false
  }
}
