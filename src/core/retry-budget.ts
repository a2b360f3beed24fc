/**
 * A shared allowance for retries, so that they can never multiply an outage.
 * Retries are at most a share of the first tries, plus a small floor for quiet times
 * (Finagle's RetryBudget; Google SRE Book, "Handling Overload").
 */
import { type Clock, systemClock } from './clock.ts'
import { clock, duration, number, optional, rate, readOptions } from './options.ts'
import { pulseOf } from './pulse.ts'
import { createWindow, timeWindow } from './window.ts'

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** Retries allowed per first try, 0 to 1. @default 0.2 */
  readonly ratio?: number | undefined
  /** Retries that are always allowed, per second, so that a quiet service may retry too. @default 1 */
  readonly minPerSecond?: number | undefined
  /** How far back tries and retries are counted, in ms, 1,000 at least. @default 10_000 */
  readonly window?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
}

/** What a budget has seen within its window, as plain JSON. */
export interface RetryBudgetStats {
  readonly calls: number
  readonly retries: number
  /** Retries that would be allowed now. */
  readonly remaining: number
  /** Retries refused since the budget was made. */
  readonly refused: number
}

/** Give the same one to every `retry` of a dependency. */
export interface RetryBudget {
  /** Notes a first try. */
  deposit(): void
  /** Takes the right to retry once; false when the budget is used up. */
  tryWithdraw(): boolean
  stats(): RetryBudgetStats
  /** Its options, as plain JSON; a budget of one's own may leave it out. */
  describe?(): Readonly<Record<string, number>>
}

/**
 * Limits retries to a share of all calls, over a sliding window.
 *
 * When a dependency is down, every call fails and every call would like to retry: three retries each
 * turn an outage into four times the load. With a budget of 0.2 the load rises by a fifth at most, plus
 * `minPerSecond`. A call whose retry is refused rejects with its own last error.
 *
 * **Use it** one per dependency, shared by all its retries. **Not for** limiting first tries.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { retry, retryBudget } from 'holdfast'
 *
 * const budget = retryBudget({ ratio: 0.1, minPerSecond: 0 })
 * const calls = retry({ baseDelay: 0, budget })
 * let sent = 0
 * for (let n = 0; n < 100; n++) {
 *   await calls.execute(() => Promise.reject(new Error(`down ${++sent}`))).catch(() => {})
 * }
 * sent // => 110
 * ```
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const given = readOptions('retryBudget', options, checks)
  const { ratio = 0.2, minPerSecond = 1, window = 10_000 } = given
  const time = pulseOf(given.clock ?? systemClock)
  // In this window a "failure" is a retry and everything else a first try.
  const seen = createWindow(timeWindow(window))
  const floor = (minPerSecond * window) / 1000
  let refused = 0

  const count = (): { calls: number; retries: number; remaining: number } => {
    const now = time.now()
    const retries = seen.failures(now)
    const calls = seen.total(now) - retries
    return { calls, retries, remaining: Math.max(0, Math.floor(calls * ratio + floor - retries)) }
  }

  return {
    deposit: () => seen.record(false, false, time.now()),
    tryWithdraw() {
      if (count().remaining < 1) {
        refused++
        return false
      }
      seen.record(true, false, time.now())
      return true
    },
    stats: () => ({ ...count(), refused }),
    describe: () => ({ ratio, minPerSecond, window }),
  }
}

const checks = {
  ratio: optional(rate()),
  minPerSecond: optional(number(0)),
  window: optional(duration({ min: 1000 })),
  clock: optional(clock),
}
