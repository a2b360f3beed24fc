/**
 * The options of a rate limiter: what they mean, what they may be, and which contradict each other.
 */
import {
  anyOf,
  type Check,
  count,
  duration,
  fn,
  number,
  oneOf,
  optional,
  readOptions,
} from '../../core/options.ts'
import { type PriorityOption, priorityCheck } from '../../core/priority.ts'
import { type CommonOptions, commonChecks } from '../../core/step-policy.ts'
import type { Rate } from './allowance.ts'

/** How a rate limiter counts. */
export type RateAlgorithm = 'token-bucket' | 'sliding-window'

/** What may be changed while it works. */
export interface RateOptions {
  /** Calls, or their weight, per interval; above 0. */
  readonly limit?: number | undefined
  /** What `limit` is per, in ms, above 0. @default 1_000 */
  readonly interval?: number | undefined
  /** Calls that may come at once after a rest, 1 at least; of a token bucket. @default limit */
  readonly burst?: number | undefined
}

/** Options of `rateLimiter`. */
export interface RateLimiterOptions extends CommonOptions {
  /** Calls, or their weight, per interval; above 0. */
  readonly limit: number
  /** What `limit` is per, in ms, above 0. @default 1_000 */
  readonly interval?: number | undefined
  /** Calls that may come at once after a rest, 1 at least; of a token bucket. @default limit */
  readonly burst?: number | undefined
  /** How it counts: evenly with bursts, or exactly in every span of one interval. @default 'token-bucket' */
  readonly algorithm?: RateAlgorithm | undefined
  /** Calls that may wait in the queue for their turn; 0 refuses at once. @default 0 */
  readonly maxQueue?: number | undefined
  /** Longest time in the queue, in ms, above 0; `Infinity` waits for ever. @default 30_000 */
  readonly maxWait?: number | undefined
  /** How much a call counts, 0 for nothing: a number, or that by the arguments of a wrapped function. @default 1 */
  readonly weight?: (number | ((args: readonly unknown[]) => number)) | undefined
  /** Place in line by the arguments of a wrapped function: larger first, -10 to 10. @default 0 for all */
  readonly priority?: PriorityOption | undefined
}

export const DEFAULTS = {
  interval: 1_000,
  algorithm: 'token-bucket',
  maxQueue: 0,
  maxWait: 30_000,
  weight: 1,
  priority: 0,
} as const

/** Checks the options and what they say together. */
export function readRateLimiterOptions(options: RateLimiterOptions): RateLimiterOptions {
  const given = readOptions('rateLimiter', options, checks)
  if (given.algorithm === 'sliding-window') refuseBurst(given.burst)
  return checkFit(given)
}

/** The options with a change, which is checked like them. */
export function changedOptions(
  options: RateLimiterOptions,
  change: RateOptions,
): RateLimiterOptions {
  const { limit = options.limit, ...rest } = readOptions('rateLimiter', change, rateChecks)
  if (options.algorithm === 'sliding-window') refuseBurst(rest.burst)
  return checkFit({ ...options, ...rest, limit })
}

/** The rate that the options describe. A bucket must hold one call at least, or nothing ever passes. */
export function rateOf({ limit, interval, burst, algorithm }: RateLimiterOptions): Rate {
  const full = algorithm === 'sliding-window' ? limit : Math.max(1, limit)
  return { limit, interval: interval ?? DEFAULTS.interval, burst: burst ?? full }
}

function checkFit(options: RateLimiterOptions): RateLimiterOptions {
  const { weight = DEFAULTS.weight } = options
  const { burst } = rateOf(options)
  if (typeof weight === 'function' || weight <= burst) return options
  throw new RangeError(
    `rateLimiter: no call could ever pass: each weighs ${weight}, and at most ${burst} may pass at once`,
  )
}

function refuseBurst(burst: number | undefined): void {
  if (burst === undefined) return
  throw new TypeError(
    "rateLimiter: burst belongs to algorithm 'token-bucket'; in a sliding window limit itself may come at once",
  )
}

/** A rate of nothing would let nobody pass. */
export const aboveZero: Check = {
  expected: 'a number above 0',
  fault: (value) => {
    if (typeof value !== 'number') return 'type'
    return value > 0 && value < Number.POSITIVE_INFINITY ? undefined : 'range'
  },
}

/** What a call may weigh. */
export const weights: Check = number(0)

const rateChecks = {
  limit: optional(aboveZero),
  interval: optional(duration({ zero: false })),
  burst: optional(number(1)),
}

const checks = {
  ...commonChecks,
  ...rateChecks,
  limit: aboveZero,
  algorithm: optional(oneOf(['token-bucket', 'sliding-window'])),
  maxQueue: optional(count(0)),
  maxWait: optional(duration({ zero: false, infinite: true })),
  weight: optional(anyOf(weights, fn)),
  priority: optional(priorityCheck),
}
