/**
 * All running time limits of one timeout in one pipeline, behind a single timer.
 *
 * Starting and ending a limit is one write into a preallocated array: no timer, no clock read, no
 * allocation per call. The timer is armed when a call is still there at the end of its turn, and looks
 * through the array once per period. A limit is never enforced early and never unfairly: a turn that
 * took long moves the limits begun in it, and when the timer is due, answers that wait in the same turn
 * of the loop go first.
 */
import { inNextTurn, type Timer } from './clock.ts'
import type { Pulse, TurnListener } from './pulse.ts'

/** The pulse may be this far behind when a limit begins, in ms; limits are this much longer instead. */
const SLACK = 1

export class Deadlines implements TurnListener {
  /** When each slot's limit ends; `Infinity` for a slot without one. */
  due: Float64Array = new Float64Array(0)
  readonly duration: number
  /** The next limit inside this one, in the same pipeline. */
  inner: Deadlines | undefined = undefined
  readonly #pulse: Pulse
  readonly #expire: (slot: number) => void
  #count = 0
  /** When the limits that are begun in this turn end, once the clock was read in it. */
  #end = 0
  #fresh = false
  #timer: Timer | undefined
  /** The timer keeps the process alive. */
  #held = false

  constructor(duration: number, pulse: Pulse, expire: (slot: number) => void) {
    this.duration = duration
    this.#pulse = pulse
    this.#expire = expire
  }

  grow(slots: number): void {
    const due = new Float64Array(slots).fill(Number.POSITIVE_INFINITY)
    due.set(this.due)
    this.due = due
  }

  begin(slot: number): void {
    if (!this.#fresh) this.#enterTurn()
    this.due[slot] = this.#end
    this.#count++
  }

  end(slot: number): void {
    if (this.due[slot] === Number.POSITIVE_INFINITY) return
    this.due[slot] = Number.POSITIVE_INFINITY
    if (--this.#count === 0 && this.#held) this.#rest()
  }

  #enterTurn(): void {
    const pulse = this.#pulse
    const now = pulse.now()
    this.#end = now + (pulse.exact ? this.duration : this.duration + SLACK)
    // An exact clock has no turns: each limit reads it anew.
    this.#fresh = !pulse.exact
    if (pulse.exact) this.#arm(this.duration)
    else pulse.atTurnEnd(this)
  }

  turnEnded(began: number, now: number): void {
    this.#fresh = false
    if (this.#count === 0) return
    const span = this.duration + SLACK
    if (now - began > SLACK) this.#postpone(began + span, now + span)
    this.#arm(this.duration)
  }

  // A busy timeout keeps its timer from call to call; only a timer that nobody needs is let go, and
  // letting go must happen in the same turn, or an idle process would wait for it.
  #arm(delay: number): void {
    if (this.#timer === undefined) this.#timer = this.#pulse.clock.setTimer(this.#due, delay)
    else if (!this.#held) this.#timer.ref()
    this.#held = true
  }

  #rest(): void {
    this.#held = false
    this.#timer?.unref()
    if (this.#pulse.exact) {
      this.#timer?.cancel()
      this.#timer = undefined
    }
  }

  #postpone(from: number, to: number): void {
    const { due } = this
    for (let slot = 0; slot < due.length; slot++) if (due[slot] === from) due[slot] = to
  }

  readonly #due = (): void => {
    this.#timer = undefined
    this.#held = false
    if (this.#count === 0) return
    // After a blocked loop timers run before the sockets are read: give an answer that is already
    // there one turn to arrive.
    const { clock } = this.#pulse
    inNextTurn(clock, this.#sweep)
  }

  readonly #sweep = (): void => {
    const now = this.#pulse.clock.now()
    // Asked for anew each time: an expiry may end other limits, and may make the array grow.
    for (let slot = 0; slot < this.due.length; slot++) {
      if ((this.due[slot] as number) <= now) this.#expire(slot)
    }
    if (this.#count === 0) return
    // An expiry may have begun other limits, and with them a timer that is too late for the rest.
    this.#timer?.cancel()
    this.#timer = undefined
    this.#held = false
    const next = this.due.reduce((least, one) => Math.min(least, one), Number.POSITIVE_INFINITY)
    this.#arm(Math.max(next - now, this.#grain))
  }

  /** Looking through the array more often than this would cost more than it is worth. */
  get #grain(): number {
    return this.#pulse.exact ? 0 : Math.min(10, this.duration / 50)
  }
}
