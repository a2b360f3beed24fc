/**
 * A clock that stands still until a test moves it.
 * Timers fire in the order of their due times, each at exactly its time, and everything that
 * follows from one of them has happened before the next.
 */

import { type Clock, checkDelay, nextTurn, type Timer } from '../core/clock.ts'
import { checkOption, duration, number, optional, readOptions } from '../core/options.ts'

/** Where a {@link virtualClock} starts. */
export interface VirtualClockOptions {
  /** First value of `now()`, in ms. @default 0 */
  readonly start?: number | undefined
  /** First value of `wallTime()`, in ms since 1970. @default 1_700_000_000_000 */
  readonly wallTime?: number | undefined
}

/** A `Clock` whose time is in the hand of the test. It has no `defer`: its time is exact. */
export interface VirtualClock extends Clock {
  /**
   * Moves time on by `ms`, firing every timer that is due on the way, also those set meanwhile.
   *
   * Before the first timer, after each one and at the end it waits for a full turn of the real event
   * loop, so every promise that can settle has settled, however long its chain. `advance(0)` fires
   * what is due now. Calls wait for each other. If a callback throws, time stops there
   * and the promise rejects with that error.
   *
   * @throws RangeError (as a rejection) if `ms` is negative, NaN or infinite.
   */
  advance(ms: number): Promise<void>
  /**
   * Moves time on until no timer is left that would keep a process alive.
   *
   * @throws Error (as a rejection) after 10,000 timers: something re-arms itself for ever.
   */
  runAll(): Promise<void>
  /** Steps the wall clock, as an administrator would. `now()` is unmoved. */
  setWallTime(ms: number): void
  /** How many timers are set that would keep a process alive: neither fired, cancelled nor unref'd. */
  readonly pending: number
  /** Every timer that is set, the next one first. */
  readonly timers: readonly VirtualTimer[]
  /**
   * Does nothing when no timer is pending. Put it at the end of a test.
   *
   * @throws Error that lists when the pending timers are due.
   */
  assertIdle(): void
}

/** A timer that is set. */
export interface VirtualTimer {
  /** When it fires, in ms of `now()`. */
  readonly due: number
  /** Whether it would let a process end before. */
  readonly unref: boolean
}

/**
 * Makes a clock that stands still until the test moves it.
 *
 * **Use it** as the `clock` of any policy, so that tests of minutes take no time and never flake.
 *
 * **Watch out:** only what waits by this clock is moved. Real timers, sockets and files are not,
 * and `advance` does not wait for them.
 *
 * @throws TypeError or RangeError if an option is wrong.
 *
 * @example
 * ```ts
 * import { virtualClock } from 'holdfast/testing'
 *
 * const clock = virtualClock()
 * let rang = false
 * clock.setTimer(() => { rang = true }, 60_000)
 * await clock.advance(59_999)
 * rang // => false
 * await clock.advance(1)
 * rang // => true
 * clock.assertIdle()
 * ```
 */
export function virtualClock(options: VirtualClockOptions = {}): VirtualClock {
  const { start = 0, wallTime = 1_700_000_000_000 } = readOptions('virtualClock', options, {
    start: optional(number(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)),
    wallTime: optional(duration()),
  })
  return new ManualClock(start, wallTime)
}

const mostTimers = 10_000

class ManualClock implements VirtualClock {
  #now: number
  #wallOffset: number
  /** In the order in which they fire. */
  readonly #timers: ManualTimer[] = []
  #lastMove: Promise<void> = Promise.resolve()

  constructor(start: number, wallTime: number) {
    this.#now = start
    this.#wallOffset = wallTime - start
  }

  get pending(): number {
    return this.#timers.filter((timer) => !timer.isUnref).length
  }

  get timers(): readonly VirtualTimer[] {
    return this.#timers.map(({ due, isUnref }) => ({ due, unref: isUnref }))
  }

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return this.#now + this.#wallOffset
  }

  setWallTime(ms: number): void {
    checkOption('virtualClock', 'setWallTime', ms, duration())
    this.#wallOffset = ms - this.#now
  }

  setTimer(callback: () => void, delay: number): Timer {
    const timer = new ManualTimer(this.#timers, callback, this.#now + checkDelay(delay))
    if (timer.due === Number.POSITIVE_INFINITY) return timer
    // Behind those of the same time: first set, first fired.
    this.#timers.splice(
      firstWhere(this.#timers, (other) => other.due > timer.due),
      0,
      timer,
    )
    return timer
  }

  async advance(ms: number): Promise<void> {
    checkOption('virtualClock', 'advance', ms, duration())
    await this.#move(async () => {
      const target = this.#now + ms
      await this.#fireUntil(() => this.#timers[0], target)
      this.#now = target
    })
  }

  async runAll(): Promise<void> {
    await this.#move(async () => {
      const hasPending = () => (this.pending > 0 ? this.#timers[0] : undefined)
      await this.#fireUntil(hasPending, Number.POSITIVE_INFINITY)
    })
  }

  assertIdle(): void {
    const due = this.#timers.filter((timer) => !timer.isUnref).map((timer) => timer.due)
    if (due.length === 0) return
    throw new Error(
      `virtualClock: ${due.length} timer(s) still pending at ${this.#now} ms, ` +
        `due at ${due.slice(0, 10).join(', ')}${due.length > 10 ? ', ...' : ''} ms`,
    )
  }

  async #fireUntil(next: () => ManualTimer | undefined, target: number): Promise<void> {
    await settled()
    let fired = 0
    for (let timer = next(); timer !== undefined && timer.due <= target; timer = next()) {
      if (fired++ === mostTimers && target === Number.POSITIVE_INFINITY) {
        throw new Error(
          `virtualClock: still not idle after ${mostTimers} timers, at ${this.#now} ms`,
        )
      }
      this.#now = timer.due
      timer.fire()
      await settled()
    }
  }

  /** One move at a time: a second one would pull time away under the first. */
  #move(move: () => Promise<void>): Promise<void> {
    const done = this.#lastMove.then(move)
    this.#lastMove = done.catch(() => {})
    return done
  }
}

class ManualTimer implements Timer {
  readonly due: number
  isUnref = false
  readonly #queue: ManualTimer[]
  readonly #callback: () => void

  constructor(queue: ManualTimer[], callback: () => void, due: number) {
    this.#queue = queue
    this.#callback = callback
    this.due = due
  }

  cancel(): void {
    const from = firstWhere(this.#queue, (other) => other.due >= this.due)
    const place = this.#queue.indexOf(this, from)
    if (place >= 0) this.#queue.splice(place, 1)
  }

  ref(): void {
    this.isUnref = false
  }

  unref(): void {
    this.isUnref = true
  }

  fire(): void {
    this.cancel()
    this.#callback()
  }
}

/** A turn of the event loop begins only when no promise is left that can settle. */
function settled(): Promise<void> {
  return new Promise(nextTurn)
}

/** The first place of a sorted list from which on `holds` is true: by halves, for tests with many timers. */
function firstWhere(
  timers: readonly ManualTimer[],
  holds: (timer: ManualTimer) => boolean,
): number {
  let low = 0
  let high = timers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(timers[middle] as ManualTimer)) high = middle
    else low = middle + 1
  }
  return low
}
