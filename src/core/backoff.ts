/**
 * How long to wait before the n-th retry.
 * Every shape is computed from n alone, in arithmetic that cannot run away: whatever n is, the delay
 * is finite, from 0 to its cap, and the cap holds after jitter.
 */

import {
  anyJitter,
  type Bounds,
  type Jitter,
  type PlainJitter,
  plainJitter,
  spread,
} from './jitter.ts'
import { checkOption, duration, number, optional, readOptions, show } from './options.ts'
import type { RandomSource } from './random.ts'

export type { Jitter, PlainJitter }

/**
 * Returns the delay before a retry, in ms.
 *
 * @param attempt - Which retry it is, counted from 1.
 */
export type Backoff = (attempt: number, state: BackoffState) => number

/** What a {@link Backoff} may look at besides the number of the retry. */
export interface BackoffState {
  /** The source of chance for jitter. */
  readonly random: RandomSource
  /** The delay before the retry before, in ms; 0 at the first. */
  readonly previous: number
}

/** A backoff that can say what it does. With `random: () => 1` it gives its longest delays. */
export interface DescribedBackoff {
  (attempt: number, state: BackoffState): number
  /** Shape and options, as plain JSON. */
  describe(): BackoffDescription
}

/** Plain JSON. */
export type BackoffDescription = { readonly type: string; readonly jitter: Jitter } & {
  readonly [option: string]: string | number | readonly number[]
}

/** Options of every shape that grows. */
export interface GrowingOptions {
  /** Delay before the first retry, in ms from 0 up. @default 1_000 */
  readonly baseDelay?: number | undefined
  /** What no delay passes, jitter included, in ms from 0 up. @default 30_000 */
  readonly maxDelay?: number | undefined
  /** How the delays are spread. @default 0.2, which is ±20 % */
  readonly jitter?: Jitter | undefined
}

/** Options of {@link exponential}. */
export interface ExponentialOptions extends GrowingOptions {
  /** By what each delay is multiplied to give the next, from 1 up. @default 2 */
  readonly factor?: number | undefined
}

/** Options of {@link linear}. */
export interface LinearOptions extends GrowingOptions {
  /** What is added to each delay to give the next, in ms from 0 up. @default `baseDelay` */
  readonly increment?: number | undefined
}

/** Options of {@link constant}. */
export interface ConstantOptions {
  /** Delay before every retry, in ms from 0 up. @default 1_000 */
  readonly delay?: number | undefined
  /** How the delays are spread. @default 0.2, which is ±20 % */
  readonly jitter?: PlainJitter | undefined
}

/**
 * Multiplies the delay each time: base, base × factor, base × factor², up to the cap.
 *
 * delay = min(baseDelay × factor^(n - 1) ± jitter, maxDelay) before the n-th retry; where the jitter
 * would pass `maxDelay`, it is drawn from below it.
 *
 * **Use it** unless you know better: it is quick after a blip and gentle in an outage.
 *
 * @throws TypeError or RangeError if an option is wrong.
 *
 * @example
 * ```ts
 * import { exponential, systemRandom } from 'holdfast'
 *
 * const backoff = exponential({ baseDelay: 100, maxDelay: 500, jitter: 'none' })
 * const state = { random: systemRandom, previous: 0 }
 * const delays = [1, 2, 3, 4].map((attempt) => backoff(attempt, state))
 * delays // => [100, 200, 400, 500]
 * ```
 */
export function exponential(options: ExponentialOptions = {}): DescribedBackoff {
  const checks = { ...growing, factor: optional(number(1)) }
  const { factor = 2, ...rest } = readOptions('exponential', options, checks)
  const { baseDelay, maxDelay, jitter } = growth('exponential', rest)
  // The exponent may overflow to Infinity, which the cap takes; but 0 × Infinity would be NaN.
  const delay = (n: number) => (baseDelay === 0 ? 0 : baseDelay * factor ** (n - 1))
  const description = { type: 'exponential', baseDelay, factor, maxDelay, jitter }
  return backoff(description, { base: baseDelay, cap: maxDelay }, delay)
}

/**
 * Adds to the delay each time: base, base + increment, base + 2 × increment, up to the cap.
 *
 * **Use it** when the dependency recovers soon and long pauses would cost more than another try.
 *
 * @throws TypeError or RangeError if an option is wrong.
 *
 * @example
 * ```ts
 * import { linear, systemRandom } from 'holdfast'
 *
 * const backoff = linear({ baseDelay: 100, increment: 50, jitter: 'none' })
 * const state = { random: systemRandom, previous: 0 }
 * const delays = [1, 2, 3, 4].map((attempt) => backoff(attempt, state))
 * delays // => [100, 150, 200, 250]
 * ```
 */
export function linear(options: LinearOptions = {}): DescribedBackoff {
  const checks = { ...growing, increment: optional(duration()) }
  const { increment: given, ...rest } = readOptions('linear', options, checks)
  const { baseDelay, maxDelay, jitter } = growth('linear', rest)
  const increment = given ?? baseDelay
  const description = { type: 'linear', baseDelay, increment, maxDelay, jitter }
  const delay = (n: number) => baseDelay + increment * (n - 1)
  return backoff(description, { base: baseDelay, cap: maxDelay }, delay)
}

/**
 * Follows the Fibonacci numbers: base × 1, 1, 2, 3, 5, 8, up to the cap.
 *
 * **Use it** for growth that starts gently: it settles at a factor of about 1.6.
 *
 * @throws TypeError or RangeError if an option is wrong.
 *
 * @example
 * ```ts
 * import { fibonacci, systemRandom } from 'holdfast'
 *
 * const backoff = fibonacci({ baseDelay: 100, jitter: 'none' })
 * const state = { random: systemRandom, previous: 0 }
 * const delays = [1, 2, 3, 4, 5].map((attempt) => backoff(attempt, state))
 * delays // => [100, 100, 200, 300, 500]
 * ```
 */
export function fibonacci(options: GrowingOptions = {}): DescribedBackoff {
  const given = readOptions('fibonacci', options, growing)
  const { baseDelay, maxDelay, jitter } = growth('fibonacci', given)
  const delay = (n: number) => (baseDelay === 0 ? 0 : baseDelay * fibonacciNumber(n))
  const description = { type: 'fibonacci', baseDelay, maxDelay, jitter }
  return backoff(description, { base: baseDelay, cap: maxDelay }, delay)
}

/**
 * Waits equally long each time.
 *
 * **Use it** to poll, or when somebody else sets the pace.
 * **Not for** many callers of one overloaded dependency: they never let up.
 *
 * @param options - The delay in ms, or the delay and its jitter.
 * @throws TypeError or RangeError if an option is wrong.
 *
 * @example
 * ```ts
 * import { constant, systemRandom } from 'holdfast'
 *
 * const backoff = constant({ delay: 250, jitter: 'none' })
 * backoff(7, { random: systemRandom, previous: 250 }) // => 250
 * ```
 */
export function constant(options: number | ConstantOptions = {}): DescribedBackoff {
  const checks = { delay: optional(duration()), jitter: optional(plainJitter) }
  const given: ConstantOptions = typeof options === 'number' ? { delay: options } : options
  const { delay = 1_000, jitter = 0.2 } = readOptions('constant', given, checks)
  return backoff({ type: 'constant', delay, jitter }, uncapped, () => delay)
}

/**
 * Waits as long as the list says: its first delay before the first retry, and so on.
 * The last delay repeats.
 *
 * @param list - At least one delay, each in ms from 0 up. It is copied.
 * @param options - `jitter`: how the delays are spread, 0.2 (±20 %) by default.
 * @throws TypeError or RangeError if the list or an option is wrong.
 *
 * @example
 * ```ts
 * import { delays, systemRandom } from 'holdfast'
 *
 * const backoff = delays([100, 500, 2_000], { jitter: 'none' })
 * const state = { random: systemRandom, previous: 0 }
 * const waits = [1, 2, 3, 4].map((attempt) => backoff(attempt, state))
 * waits // => [100, 500, 2_000, 2_000]
 * ```
 */
export function delays(
  list: readonly number[],
  options: { readonly jitter?: PlainJitter | undefined } = {},
): DescribedBackoff {
  const { jitter = 0.2 } = readOptions('delays', options, { jitter: optional(plainJitter) })
  if (!Array.isArray(list) || list.length === 0) {
    const was = Array.isArray(list) ? 'an empty one' : show(list)
    throw new TypeError(`delays: the list must be an array of at least one delay, but was ${was}`)
  }
  const copy: readonly number[] = [...list]
  for (const [at, delay] of copy.entries()) checkOption('delays', `list[${at}]`, delay, duration())
  const last = copy.length - 1
  const delay = (n: number) => copy[Math.min(Math.floor(n) - 1, last)] as number
  return backoff({ type: 'delays', delays: copy, jitter }, uncapped, delay)
}

/**
 * Turns what somebody's own backoff function returned into a delay from 0 to `cap`.
 *
 * @throws TypeError if it is no number (a promise, a string, nothing).
 * @throws RangeError if it is NaN or negative.
 */
export function boundDelay(value: unknown, cap: number): number {
  if (typeof value === 'number' && value >= 0) return Math.min(value, cap)
  const message = `backoff must return a delay in ms from 0 up, but returned ${show(value)}`
  if (typeof value === 'number') throw new RangeError(message)
  // Nobody else will look at a promise that rejects; the error thrown here already tells.
  Promise.resolve(value).catch(() => {})
  throw new TypeError(message)
}

const growing = {
  baseDelay: optional(duration()),
  maxDelay: optional(duration()),
  jitter: optional(anyJitter),
}

const uncapped: Bounds = { base: 0, cap: Number.MAX_SAFE_INTEGER }

interface Growth {
  readonly baseDelay: number
  readonly maxDelay: number
  readonly jitter: Jitter
}

function growth(
  where: string,
  { baseDelay, maxDelay = 30_000, jitter = 0.2 }: GrowingOptions,
): Growth {
  if (baseDelay !== undefined && baseDelay > maxDelay) {
    throw new RangeError(
      `${where}: baseDelay must be at most maxDelay (${maxDelay}), but was ${baseDelay}`,
    )
  }
  return { baseDelay: baseDelay ?? Math.min(1_000, maxDelay), maxDelay, jitter }
}

function backoff(
  description: BackoffDescription,
  bounds: Bounds,
  delayOf: (n: number) => number,
): DescribedBackoff {
  const delayBefore = (attempt: number, state: BackoffState): number => {
    const n = attempt > 1 ? Math.min(attempt, Number.MAX_SAFE_INTEGER) : 1
    return spread(Math.min(delayOf(n), bounds.cap), description.jitter, bounds, state)
  }
  return Object.assign(delayBefore, { describe: () => structuredClone(description) })
}

/** Binet's formula: exact up to n = 70, then within a rounding error, and Infinity past 1474. */
function fibonacciNumber(n: number): number {
  return Math.round(goldenRatio ** Math.floor(n) / Math.sqrt(5))
}

const goldenRatio = (1 + Math.sqrt(5)) / 2
