/**
 * The options of a retry: what they mean, what they may be, and which contradict each other.
 */
import { type Backoff, boundDelay, exponential, type Jitter } from '../../core/backoff.ts'
import type { GaveUp } from '../../core/events.ts'
import { anyJitter } from '../../core/jitter.ts'
import {
  chance,
  count,
  duration,
  fn,
  number,
  optional,
  readOptions,
  withMethods,
} from '../../core/options.ts'
import type { RandomSource } from '../../core/random.ts'
import type { RetryBudget } from '../../core/retry-budget.ts'
import { type CommonOptions, commonChecks } from '../../core/step-policy.ts'

/** What a hook or a predicate is told. */
export interface RetryInfo {
  /** How often the function has been called. */
  readonly attempt: number
  /** Retries that `maxRetries` still allows. */
  readonly retriesLeft: number
  /** Since the call began, in ms. */
  readonly elapsed: number
}

/** Options of `retry`. */
export interface RetryOptions extends CommonOptions {
  /** Retries after the first try: 3 means at most 4 calls. `Infinity` for no bound. @default 3 */
  readonly maxRetries?: number | undefined
  /** Delay before the n-th retry, in ms. @default exponential, from the four options below */
  readonly backoff?: Backoff | undefined
  /** First delay, in ms. @default 1_000 */
  readonly baseDelay?: number | undefined
  /** By what each delay grows, 1 at least. @default 2 */
  readonly factor?: number | undefined
  /** Longest delay after jitter, in ms. @default 30_000 */
  readonly maxDelay?: number | undefined
  /** Spread of the delays: a share (0.2 is ±20 %), or a strategy. @default 0.2 */
  readonly jitter?: Jitter | undefined
  /** Longest wait that a server's Retry-After may ask for, in ms. @default maxDelay */
  readonly maxRetryAfter?: number | undefined
  /** No retry begins when so much time has passed since the call began, in ms. @default Infinity */
  readonly maxElapsed?: number | undefined
  /** Whether a failure is worth another try; undefined leaves it to the default. */
  readonly shouldRetry?: ((error: unknown, info: RetryInfo) => boolean | undefined) | undefined
  /** Whether a result is worth another try. @default no result is */
  readonly shouldRetryResult?: ((result: unknown, info: RetryInfo) => boolean) | undefined
  /** An allowance shared with other retries. */
  readonly budget?: RetryBudget | undefined
  /** Before each call of the function, the first included. */
  readonly beforeAttempt?: ((info: RetryInfo) => unknown) | undefined
  /** After each call of the function. */
  readonly afterAttempt?: ((info: RetryInfo & { readonly error?: unknown }) => unknown) | undefined
  /** Before each pause. */
  readonly onRetry?:
    | ((info: RetryInfo & { readonly delay: number; readonly error?: unknown }) => unknown)
    | undefined
  /** When no further try is made although the last one was no success. */
  readonly onGiveUp?:
    | ((
        info: RetryInfo & { readonly reason: GaveUp['reason']; readonly error?: unknown },
      ) => unknown)
    | undefined
  /** Where chance comes from. @default Math.random */
  readonly random?: RandomSource | undefined
}

/** Checks the options and what they say together. */
export function readRetryOptions(options: RetryOptions): RetryOptions {
  const given = readOptions('retry', options, checks)
  const { backoff, baseDelay, maxDelay = 30_000 } = given
  if (baseDelay !== undefined && baseDelay > maxDelay) {
    throw new RangeError(
      `retry: baseDelay must be at most maxDelay, ${maxDelay} ms, but was ${baseDelay}`,
    )
  }
  const shape = (['baseDelay', 'factor', 'jitter'] as const).find((name) => name in given)
  if (backoff !== undefined && shape !== undefined) {
    throw new TypeError(
      `retry: ${shape} belongs to the backoff that retry makes itself; give it to your own backoff instead`,
    )
  }
  return given
}

const checks = {
  ...commonChecks,
  maxRetries: optional(count(0)),
  backoff: optional(fn),
  baseDelay: optional(duration()),
  factor: optional(number(1)),
  maxDelay: optional(duration()),
  jitter: optional(anyJitter),
  maxRetryAfter: optional(duration()),
  maxElapsed: optional(duration({ infinite: true })),
  shouldRetry: optional(fn),
  shouldRetryResult: optional(fn),
  budget: optional(withMethods('a retryBudget', 'deposit', 'tryWithdraw')),
  beforeAttempt: optional(fn),
  afterAttempt: optional(fn),
  onRetry: optional(fn),
  onGiveUp: optional(fn),
  random: optional(chance),
}

/** What is in force where nothing was said, for whoever reads a description. */
export function defaultsOf({ maxDelay = 30_000, backoff }: RetryOptions): Record<string, unknown> {
  const shape =
    backoff === undefined
      ? { baseDelay: Math.min(1_000, maxDelay), factor: 2, maxDelay, jitter: 0.2 }
      : {}
  return { maxRetries: 3, ...shape, maxRetryAfter: maxDelay }
}

/** The backoff that the options describe. */
export function ownBackoff({ baseDelay, factor, maxDelay, jitter }: RetryOptions): Backoff {
  return exponential({ baseDelay, factor, maxDelay, jitter })
}

/**
 * All pauses together when chance is at its worst, each `least` long at least, in ms. Unknown for a
 * function of the user's own, which must not be asked before there is a retry.
 */
export function plannedPauses(
  backoff: Backoff,
  retries: number,
  cap: number,
  least = 0,
): number | undefined {
  if (!('describe' in backoff)) return undefined
  if (retries > MOST_SUMMED) return Number.POSITIVE_INFINITY
  let sum = 0
  let previous = 0
  for (let attempt = 1; attempt <= retries; attempt++) {
    previous = boundDelay(backoff(attempt, { random: () => 1, previous }), cap)
    sum += Math.max(previous, least)
  }
  return sum
}

/** Beyond this many, pauses are as good as endless. */
const MOST_SUMMED = 1000
