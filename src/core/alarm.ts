/**
 * One timer for many who may wait, each up to a time of its own. It is set, moved and cancelled at the end
 * of a turn: whoever comes and goes within one costs no timer.
 */
import { inNextTurn, type Timer } from './clock.ts'
import type { Pulse, TurnListener } from './pulse.ts'

const never = Number.POSITIVE_INFINITY

export class Alarm implements TurnListener {
  /** When it rings. */
  due: number = never
  readonly #pulse: Pulse
  readonly #onRing: () => void
  #timer: Timer | undefined
  /** When the timer calls back: not later than `due`, but for the rest of this turn. */
  #set = never
  #listens = false

  constructor(pulse: Pulse, onRing: () => void) {
    this.#pulse = pulse
    this.#onRing = onRing
  }

  /** Rings once, when `due` has passed; `Infinity` is never, and lets the process end. */
  move(due: number): void {
    this.due = due
    const pulse = this.#pulse
    pulse.now()
    if (pulse.exact) this.#adjust()
    else if (!this.#listens) {
      this.#listens = true
      pulse.atTurnEnd(this)
    }
  }

  turnEnded(): void {
    this.#listens = false
    this.#adjust()
  }

  #adjust(): void {
    const { due } = this
    // A timer that comes too early looks again: cheaper than a new one whenever the first has left.
    if (due >= this.#set && due < never) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#set = due
    if (due === never) return
    const { clock } = this.#pulse
    this.#timer = clock.setTimer(this.#ring, Math.max(0, due - clock.now()))
  }

  // After a blocked loop timers run before the sockets are read: what is already there gets one turn.
  readonly #ring = (): void => inNextTurn(this.#pulse.clock, this.#look)

  readonly #look = (): void => {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#set = never
    if (this.due > this.#pulse.clock.now()) return this.#adjust()
    this.due = never
    this.#onRing()
    this.#adjust()
  }
}
