/**
 * Calls that wait for an answer, all equally long, behind one timer: to begin and to end a wait is one
 * write into an array.
 */
import { Deadlines } from '../../core/deadlines.ts'
import type { Pulse } from '../../core/pulse.ts'

/** Whoever waits. */
export interface Waits {
  /** Its wait is over. */
  onDue(): void
}

export class WaitingRoom {
  readonly duration: number
  readonly #deadlines: Deadlines
  readonly #places: (Waits | undefined)[] = []
  readonly #vacant: number[] = []

  constructor(duration: number, pulse: Pulse) {
    this.duration = duration
    this.#deadlines = new Deadlines(duration, pulse, (place) => this.#due(place))
  }

  enter(who: Waits): number {
    const place = this.#vacant.pop() ?? this.#places.length
    if (place >= this.#deadlines.due.length) this.#deadlines.grow(Math.max(4, place * 2))
    this.#places[place] = who
    this.#deadlines.begin(place)
    return place
  }

  leave(place: number): void {
    this.#deadlines.end(place)
    this.#places[place] = undefined
    this.#vacant.push(place)
  }

  #due(place: number): void {
    const who = this.#places[place]
    this.leave(place)
    who?.onDue()
  }
}
