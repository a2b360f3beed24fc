/** A clock with turns of an event loop, as the machine has them; the test blocks and ends them. */

import type { Clock, Timer } from '../../src/core/clock.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/virtual-clock.ts'

/** A class on purpose: nobody may call its methods without it. */
export class TurningClock implements Clock {
  /** The timers, and the time without what blocked the loop. */
  readonly virtual: VirtualClock = virtualClock()
  #blocked = 0
  #deferred: (() => void)[] = []

  now(): number {
    return this.virtual.now() + this.#blocked
  }

  wallTime(): number {
    return this.virtual.wallTime() + this.#blocked
  }

  setTimer(callback: () => void, delay: number): Timer {
    return this.virtual.setTimer(callback, delay)
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback)
  }

  /** Keeps the loop busy for so long: time goes on, and nothing can happen. */
  block(ms: number): void {
    this.#blocked += ms
  }

  /** Ends the present turn: what was put off happens. */
  endTurn(): void {
    const callbacks = this.#deferred
    this.#deferred = []
    for (const callback of callbacks) callback()
  }
}
