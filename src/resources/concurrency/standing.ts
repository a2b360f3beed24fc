/**
 * Standing in line for a slot: one place at a time, which can be left at any moment.
 */
import { CalledPlace, type Place, type Slots } from './slots.ts'

export class Standing {
  readonly #slots: Slots
  #place: Place | undefined

  constructor(slots: Slots) {
    this.#slots = slots
  }

  /** How many places it takes in line. */
  get places(): number {
    return this.#place === undefined ? 0 : 1
  }

  /** Ends when the slot is there, when it was given up again at once, or refused; never once it was left. */
  async wait(): Promise<{ readonly granted: boolean; readonly refusal?: unknown }> {
    let place: Place | undefined
    const refusal = await new Promise<unknown>((resolve) => {
      place = new CalledPlace(() => resolve(undefined), resolve)
      this.#place = place
      this.#slots.enqueue(place)
    })
    this.#place = undefined
    if (refusal === undefined) return { granted: place?.state === 'granted' }
    this.#slots.release()
    return { granted: false, refusal }
  }

  /** A slot that was granted and not yet taken is given back. */
  leave(): void {
    if (this.#place !== undefined) this.#slots.abandon(this.#place)
  }
}
