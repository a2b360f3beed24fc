/**
 * The options of a hedge: what they mean, what they may be, and which contradict each other.
 */
import {
  anyOf,
  type Check,
  count,
  duration,
  fn,
  optional,
  rate,
  readOptions,
  withMethods,
} from '../../core/options.ts'
import { type RetryBudget, retryBudget } from '../../core/retry-budget.ts'
import { type CommonOptions, commonChecks } from '../../core/step-policy.ts'

/** Options of `hedge`. */
export interface HedgeOptions extends CommonOptions {
  /** How long to wait for an answer before the call is made again, in ms; 0 makes both at once. @default none without percentile */
  readonly delay?: number | undefined
  /** Wait as long as this share of the recent calls took, above 0 and below 1: 0.95 hedges one in twenty. */
  readonly percentile?: number | undefined
  /** What `percentile` looks back on, in ms, 1,000 at least. @default 60_000 */
  readonly window?: number | undefined
  /** Further calls, 1 to 10. @default 1 */
  readonly maxHedges?: number | undefined
  /** An allowance that may be shared with other hedges; false for none. @default retryBudget({ ratio: 0.1 }) */
  readonly budget?: RetryBudget | false | undefined
  /** Whether a failure is worth a further call at once; undefined leaves it to the default. */
  readonly shouldHedge?: ((error: unknown) => boolean | undefined) | undefined
  /** Whether a result is worth a further call at once. @default no result is */
  readonly shouldHedgeResult?: ((result: unknown) => boolean) | undefined
  /** Gets the answer of a call that came too late, to release what it holds. @default the body of a `Response` is cancelled */
  readonly discard?: ((value: unknown) => unknown) | undefined
}

export interface Settings extends HedgeOptions {
  readonly window: number
  readonly maxHedges: number
  readonly allowance: RetryBudget | undefined
}

/** Checks the options and what they say together. */
export function readHedgeOptions(options: HedgeOptions): Settings {
  const given = readOptions('hedge', options, checks)
  const { delay, percentile, window, budget } = given
  if (delay === undefined && percentile === undefined) {
    throw new TypeError(
      'hedge: delay or percentile is required: how long to wait before the call is made again',
    )
  }
  if (window !== undefined && percentile === undefined) {
    throw new TypeError('hedge: window needs percentile, which looks back on it')
  }
  const { clock } = given
  const own = budget === undefined ? retryBudget({ ratio: 0.1, clock }) : budget
  const allowance = own === false ? undefined : own
  return { ...given, window: window ?? 60_000, maxHedges: given.maxHedges ?? 1, allowance }
}

/** What is told of the options. */
export function describedOptions({ allowance, ...options }: Settings): HedgeOptions {
  return { ...options, budget: allowance ?? false }
}

const off: Check = {
  expected: 'false',
  fault: (value) => (value === false ? undefined : typeof value === 'boolean' ? 'range' : 'type'),
}

const checks = {
  ...commonChecks,
  delay: optional(duration()),
  percentile: optional(rate({ zero: false, one: false })),
  window: optional(duration({ min: 1_000 })),
  maxHedges: optional(count(1, 10)),
  budget: optional(anyOf(withMethods('a retryBudget', 'deposit', 'tryWithdraw'), off)),
  shouldHedge: optional(fn),
  shouldHedgeResult: optional(fn),
  discard: optional(fn),
}
