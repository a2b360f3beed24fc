/**
 * The options of a circuit breaker: what they mean, what they may be, and which contradict each other.
 */
import { quiet } from '../../core/events.ts'
import {
  anyOf,
  chance,
  count,
  duration,
  fn,
  oneOf,
  optional,
  positiveInteger,
  rate,
  readOptions,
} from '../../core/options.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import { type CommonOptions, commonChecks } from '../../core/step-policy.ts'
import { countWindow, createWindow, type WindowDescription } from '../../core/window.ts'

/** `'metrics-only'` judges and never refuses; `'disabled'` does not judge at all. */
export type CircuitBreakerMode = 'enabled' | 'metrics-only' | 'disabled'

/** What a classifier may answer; undefined leaves it to the default. */
export type Classification = boolean | 'ignore' | undefined

/** Options of `circuitBreaker`. */
export interface CircuitBreakerOptions extends CommonOptions {
  /** Failures in a row that open the circuit. @default 5, or off when a rate is given */
  readonly failureThreshold?: number | undefined
  /** Share of the calls in the window that must have failed to open it, above 0 up to 1. */
  readonly failureRate?: number | undefined
  /** Share of the calls in the window that must have been slow to open it, above 0 up to 1. */
  readonly slowCallRate?: number | undefined
  /** A call that takes this long or longer is slow, in ms. Needed for `slowCallRate`. */
  readonly slowCallDuration?: number | undefined
  /** What the rates look back on: `countWindow(n)` or `timeWindow(ms)`. @default countWindow(100) */
  readonly window?: WindowDescription | undefined
  /** Calls the window must hold before a rate is judged. @default 10, or the size of a smaller count window */
  readonly minimumCalls?: number | undefined
  /** How long to stay open before a trial, in ms; or that by how often it opened in a row. @default 30_000 */
  readonly resetTimeout?: (number | ((openings: number) => number)) | undefined
  /** Longest that a server's Retry-After may keep it open, in ms. @default 300_000 */
  readonly maxRetryAfter?: number | undefined
  /** Trial calls that must succeed to close it; as many run at a time. @default 1 */
  readonly halfOpenCalls?: number | undefined
  /** A trial that has not ended after so long may be replaced by another, in ms. @default 30_000 */
  readonly trialTimeout?: number | undefined
  /** After the trials, let a growing share of calls through for this long, in ms. @default 0, all at once */
  readonly rampUp?: number | undefined
  /** Whether an error is a failure of the dependency (true), a success (false) or to be ignored. */
  readonly isFailure?: ((error: unknown) => Classification) | undefined
  /** Whether a result is a failure of the dependency. @default no result is */
  readonly isFailureResult?: ((result: unknown) => Classification) | undefined
  /** Judge without refusing, or do not judge at all. @default 'enabled' */
  readonly mode?: CircuitBreakerMode | undefined
  /** Where chance comes from, for `rampUp`. @default Math.random */
  readonly random?: RandomSource | undefined
}

/** What is in force where nothing was said, for whoever reads a description. */
export function defaultsOf({
  failureRate,
  slowCallRate,
  window,
}: CircuitBreakerOptions): Record<string, unknown> {
  const hasRate = failureRate !== undefined || slowCallRate !== undefined
  const size = window?.type === 'count' ? window.size : 10
  const rules = hasRate
    ? { window: countWindow(100), minimumCalls: Math.min(10, size) }
    : { failureThreshold: 5 }
  return { ...rules, ...TIMES, halfOpenCalls: 1, rampUp: 0, mode: 'enabled' }
}

const TIMES = { resetTimeout: 30_000, maxRetryAfter: 300_000, trialTimeout: 30_000 }

/** Checks the options and what they say together. */
export function readBreakerOptions(options: CircuitBreakerOptions): CircuitBreakerOptions {
  const given = readOptions('circuitBreaker', options, checks)
  const { slowCallRate, slowCallDuration, window, minimumCalls, failureRate } = given
  if ((slowCallRate === undefined) !== (slowCallDuration === undefined)) {
    throw new TypeError(
      'circuitBreaker: slowCallRate and slowCallDuration need each other (which calls are slow, and how many of them are too many)',
    )
  }
  if (window !== undefined) checkWindow(window)
  const size = window?.type === 'count' ? window.size : undefined
  const hasRate = failureRate !== undefined || slowCallRate !== undefined
  if (size !== undefined && minimumCalls !== undefined && minimumCalls > size) {
    throw new RangeError(
      `circuitBreaker: minimumCalls must be at most the size of the window, ${size}, but was ${minimumCalls} (it could never judge)`,
    )
  }
  if (!hasRate && (window !== undefined || minimumCalls !== undefined)) {
    throw new TypeError(
      'circuitBreaker: window and minimumCalls need failureRate or slowCallRate (failureThreshold counts failures in a row)',
    )
  }
  return given
}

const checks = {
  ...commonChecks,
  failureThreshold: optional(count(1)),
  failureRate: optional(rate({ zero: false })),
  slowCallRate: optional(rate({ zero: false })),
  slowCallDuration: optional(duration()),
  window: optional({
    expected: 'countWindow(size) or timeWindow(duration)',
    fault: (value: unknown) => (typeof value === 'object' && value !== null ? undefined : 'type'),
  } as const),
  minimumCalls: optional(positiveInteger),
  resetTimeout: optional(anyOf(duration(), fn)),
  maxRetryAfter: optional(duration()),
  halfOpenCalls: optional(positiveInteger),
  trialTimeout: optional(duration({ zero: false })),
  rampUp: optional(duration()),
  isFailure: optional(fn),
  isFailureResult: optional(fn),
  mode: optional(oneOf(['enabled', 'metrics-only', 'disabled'])),
  random: optional(chance),
}

function checkWindow(window: WindowDescription): void {
  try {
    createWindow(window)
  } catch (error) {
    const message = `circuitBreaker: ${(error as Error).message}`
    throw error instanceof RangeError ? new RangeError(message) : new TypeError(message)
  }
}

/** How long to stay open for the n-th time in a row, if a server asked for a pause as well. */
export function pauseOf(options: CircuitBreakerOptions, openings: number, asked: number): number {
  const { maxRetryAfter = 300_000 } = options
  return Math.max(resetTimeoutOf(options, openings), Math.min(asked, maxRetryAfter))
}

/** How long to stay open for the n-th time in a row. A way out there is, whatever a user's function does. */
export function resetTimeoutOf(
  { resetTimeout = 30_000 }: CircuitBreakerOptions,
  openings: number,
): number {
  if (typeof resetTimeout === 'number') return resetTimeout
  try {
    const pause = quiet(resetTimeout(openings))
    if (typeof pause === 'number' && pause >= 0) return Math.min(pause, Number.MAX_SAFE_INTEGER)
  } catch {
    // Falls through to the default.
  }
  return 30_000
}

/** While ramping up, the share of calls that pass grows with time, from a tenth to all. */
export function letsThrough(
  { rampUp = 0, random = systemRandom }: CircuitBreakerOptions,
  elapsed: number,
): boolean {
  return random() < Math.max(0.1, elapsed / rampUp)
}
