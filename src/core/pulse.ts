/**
 * Time that is read once per turn of the event loop, as the loop itself does it (libuv's `uv_now`).
 * A clock read costs as much as a bare await; a thousand calls of one turn share one here.
 */
import type { Clock } from './clock.ts'

/** Something that took times in this turn and wants to know how the turn ended. */
export interface TurnListener {
  /** `began` is the time that the turn was stamped with, `now` its end. */
  turnEnded(began: number, now: number): void
}

export class Pulse {
  readonly clock: Clock
  /** Without a `defer` there are no turns: time is read anew each time, and nothing is put off. */
  exact: boolean
  /** Changes with each reading and at the end of each turn: while it stays the same, so does the time. */
  turn = 0
  #now = 0
  #fresh = false
  #listeners: TurnListener[] = []

  constructor(clock: Clock) {
    this.clock = clock
    this.exact = clock.defer === undefined
  }

  /** The time at which this turn of the loop began to be interesting. */
  now(): number {
    // Read from one place: a number that comes from either of two is boxed for each call.
    if (!this.#fresh) this.#read()
    return this.#now
  }

  /** Tells `listener` when the present turn is over. Call `now()` first. */
  atTurnEnd(listener: TurnListener): void {
    this.#listeners.push(listener)
  }

  #read(): void {
    this.#now = this.clock.now()
    this.exact = this.clock.defer === undefined
    this.turn++
    if (!this.exact) {
      this.#fresh = true
      this.clock.defer?.(this.#end)
    }
  }

  readonly #end = (): void => {
    this.#fresh = false
    this.turn++
    if (this.#listeners.length === 0) return
    const listeners = this.#listeners
    this.#listeners = []
    const now = this.clock.now()
    for (const listener of listeners) listener.turnEnded(this.#now, now)
  }
}

const pulses = new WeakMap<Clock, Pulse>()

/** The one pulse of a clock: everybody on the same clock shares the same reading. */
export function pulseOf(clock: Clock): Pulse {
  let pulse = pulses.get(clock)
  if (pulse === undefined) {
    pulse = new Pulse(clock)
    pulses.set(clock, pulse)
  }
  return pulse
}
