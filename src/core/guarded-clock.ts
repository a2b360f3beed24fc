/**
 * A clock of the user's own may throw, or give what is no time. It is read wherever a call is counted in
 * or out, where a throw would leave it counted for ever, and in timers, where it would end the process.
 */
import { type Clock, checkDelay, nextTurn, systemClock, type Timer } from './clock.ts'

const guards = new WeakMap<Clock, Clock>()

/** The same time, and never a throw: while `clock` is broken, the machine's goes on in its place. */
export function guarded(clock: Clock): Clock {
  if (clock === systemClock) return clock
  // One for each clock: policies that share it share its turns too.
  let guard = guards.get(clock)
  if (guard === undefined) {
    guard = new GuardedClock(clock)
    guards.set(clock, guard)
    guards.set(guard, guard)
  }
  return guard
}

class GuardedClock implements Clock {
  readonly #clock: Clock
  #last = 0
  /** What the machine's clock showed when this one broke. */
  #brokenSince: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    const now = attempt(() => this.#clock.now())
    if (Number.isFinite(now)) {
      this.#brokenSince = undefined
      this.#last = now as number
      return this.#last
    }
    const machine = systemClock.now()
    this.#brokenSince ??= machine
    return this.#last + machine - this.#brokenSince
  }

  wallTime(): number {
    const time = attempt(() => this.#clock.wallTime())
    return Number.isFinite(time) ? (time as number) : systemClock.wallTime()
  }

  setTimer(callback: () => void, delay: number): Timer {
    checkDelay(delay)
    const timer = attempt(() => this.#clock.setTimer(callback, delay))
    return isTimer(timer) ? timer : systemClock.setTimer(callback, delay)
  }

  get defer(): Clock['defer'] {
    const defer = attempt(() => this.#clock.defer)
    if (defer === undefined) return undefined
    return (callback) => {
      try {
        defer.call(this.#clock, callback)
      } catch {
        nextTurn(callback)
      }
    }
  }
}

/** A handle of `setTimeout` is none: it cannot be cancelled. */
function isTimer(found: Partial<Timer> | null | undefined): found is Timer {
  return [found?.cancel, found?.ref, found?.unref].every((method) => typeof method === 'function')
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
