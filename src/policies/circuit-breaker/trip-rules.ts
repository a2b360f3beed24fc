/**
 * When a closed circuit has seen enough: failures in a row, and rates over a sliding window.
 * Knows nothing of states; the breaker asks after each outcome.
 */
import { createWindow, type OutcomeWindow, type WindowSnapshot } from '../../core/window.ts'
import type { CircuitBreakerOptions } from './options.ts'

/** Plain JSON. */
export interface TripSnapshot {
  readonly consecutiveFailures: number
  readonly window: WindowSnapshot | null
}

export class TripRules {
  consecutiveFailures = 0
  readonly #threshold: number
  readonly #failureRate: number | undefined
  readonly #slowCallRate: number | undefined
  readonly #minimumCalls: number
  readonly #window: OutcomeWindow | undefined

  constructor(options: CircuitBreakerOptions) {
    const { failureRate, slowCallRate, window = { type: 'count', size: 100 } } = options
    const hasRate = failureRate !== undefined || slowCallRate !== undefined
    this.#failureRate = failureRate
    this.#slowCallRate = slowCallRate
    this.#threshold = options.failureThreshold ?? (hasRate ? Number.POSITIVE_INFINITY : 5)
    const size = window.type === 'count' ? window.size : Number.POSITIVE_INFINITY
    this.#minimumCalls = options.minimumCalls ?? Math.min(10, size)
    this.#window = hasRate ? createWindow(window) : undefined
  }

  /** Whether even a success changes what is remembered. */
  get wantsSuccesses(): boolean {
    return this.consecutiveFailures > 0 || this.#window?.saturated === false
  }

  /** Remembers a success that cannot change anything by itself. False: it may, and was not remembered. */
  addSuccess(now: number): boolean {
    return this.consecutiveFailures === 0 && this.#window?.addSuccess(now) !== false
  }

  /** Remembers one outcome; the reason to open, if there is one now. */
  record(failed: boolean, slow: boolean, now: number): string | undefined {
    this.consecutiveFailures = failed ? this.consecutiveFailures + 1 : 0
    this.#window?.record(failed, slow, now)
    if (this.consecutiveFailures >= this.#threshold) {
      const failures = this.consecutiveFailures
      return failures === 1 ? 'a failure' : `${failures} failures in a row`
    }
    if (this.#window === undefined || this.#window.total(now) < this.#minimumCalls) return undefined
    return (
      exceeded('failed', this.failureRate(now), this.#failureRate, this.#window.total(now)) ??
      exceeded('were slow', this.slowCallRate(now), this.#slowCallRate, this.#window.total(now))
    )
  }

  /** Share of failures in the window; 0 without calls or without a window. */
  failureRate(now: number): number {
    return share(this.#window?.failures(now), this.#window?.total(now))
  }

  slowCallRate(now: number): number {
    return share(this.#window?.slow(now), this.#window?.total(now))
  }

  reset(): void {
    this.consecutiveFailures = 0
    this.#window?.reset()
  }

  snapshot(now: number): TripSnapshot {
    const window = this.#window?.snapshot(now) ?? null
    return { consecutiveFailures: this.consecutiveFailures, window }
  }

  /** @throws TypeError if the window's part is damaged or of another kind; nothing is changed then. */
  restore({ consecutiveFailures, window }: TripSnapshot, takenAt: number): void {
    if (window === null) this.#window?.reset()
    else this.#window?.restore(window, takenAt)
    this.consecutiveFailures = consecutiveFailures
  }
}

function share(part = 0, total = 0): number {
  return total === 0 ? 0 : part / total
}

function exceeded(
  what: string,
  found: number,
  limit: number | undefined,
  calls: number,
): string | undefined {
  if (limit === undefined || found < limit) return undefined
  return `${percent(found)} of ${calls} calls ${what} (limit ${percent(limit)})`
}

function percent(rate: number): string {
  return `${Math.round(rate * 1000) / 10} %`
}
