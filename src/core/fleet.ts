/**
 * The flights of one engine. They are pooled, for their handlers are made once and serve many calls; each
 * has a slot, by which what is known of it is found in plain arrays.
 */
import { Flight, type Pilot } from './flight.ts'
import { Track } from './track.ts'

/** Idle flights beyond this are dropped, so that a peak does not stay in memory. */
const MAX_IDLE = 4_096

export abstract class Fleet extends Track {
  /** Linked, for an array of them would be another kind of array while it is empty. */
  #idle: Flight | undefined = undefined
  #idling = 0
  readonly #vacant: number[] = []

  protected take(): Flight {
    const flight = this.#idle
    if (flight === undefined) return this.#create()
    this.#idle = flight.spare
    this.#idling--
    return flight
  }

  protected release(flight: Flight): void {
    flight.clear()
    // One that is lent has its handlers on a promise that may never settle: it must not be used again,
    // and goes with that promise.
    if (flight.lent) return this.#drop(flight)
    flight.cutWith = undefined
    this.shelve(flight)
  }

  /** As `release`, for one that has nothing to forget. */
  protected shelve(flight: Flight): void {
    if (this.#idling >= MAX_IDLE) return this.#drop(flight)
    flight.spare = this.#idle
    this.#idle = flight
    this.#idling++
  }

  #create(): Flight {
    const slot = this.#vacant.pop() ?? this.flights.length
    if (slot >= this.starts.length) this.grow()
    const flight = new Flight(this as unknown as Pilot, slot, this.outermost === undefined)
    this.flights[slot] = flight
    return flight
  }

  #drop(flight: Flight): void {
    // Else one whose promise never settles would keep all those that go after it.
    flight.spare = undefined
    this.flights[flight.slot] = undefined
    this.#vacant.push(flight.slot)
  }
}
