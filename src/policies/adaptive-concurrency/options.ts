/**
 * The options of an adaptive concurrency limit: what they mean, what they may be, and which contradict.
 */
import {
  chance,
  count,
  duration,
  fn,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
} from '../../core/options.ts'
import { type PriorityOption, priorityCheck } from '../../core/priority.ts'
import type { RandomSource } from '../../core/random.ts'
import { SLOT_DEFAULTS } from '../../core/slot-policy.ts'
import { type CommonOptions, commonChecks } from '../../core/step-policy.ts'

/** How the limit is found. */
export type ConcurrencyAlgorithm = 'vegas' | 'gradient2' | 'aimd'

/** Options of `adaptiveConcurrency`. */
export interface AdaptiveConcurrencyOptions extends CommonOptions {
  /** How the limit is found: by queueing (Vegas), by slowing down (Gradient2), by failing (AIMD). @default 'vegas' */
  readonly algorithm?: ConcurrencyAlgorithm | undefined
  /** Calls that may run at the same time at first. @default 20 */
  readonly initialLimit?: number | undefined
  /** The limit never goes below, 1 at least. @default 1 */
  readonly minLimit?: number | undefined
  /** The limit never goes above. @default 1_000 */
  readonly maxLimit?: number | undefined
  /** How long calls are observed before the limit is changed, in ms. @default 1_000 */
  readonly window?: number | undefined
  /** Calls that a window must hold. @default 10 */
  readonly minSamples?: number | undefined
  /** How often the time of a call that waits for nobody is measured while the limit is used up, in ms. @default 30_000 */
  readonly probeInterval?: number | undefined
  /** From which mean time on a window is bad, in ms; of `aimd`. @default 5_000 */
  readonly maxLatency?: number | undefined
  /** Whether an error says that it was too much. @default 429, 503 and time limits */
  readonly isOverload?: ((error: unknown) => boolean) | undefined
  /** Calls that may wait in the queue for a slot; 0 refuses at once. @default 0 */
  readonly maxQueue?: number | undefined
  /** Longest time in the queue, in ms, above 0; `Infinity` waits for ever. @default 30_000 */
  readonly maxWait?: number | undefined
  /** Gives up the slot of work that its caller has abandoned, so many ms later. @default Infinity */
  readonly abandonAfter?: number | undefined
  /** Place in line by the arguments of a wrapped function: larger first, -10 to 10. @default 0 for all */
  readonly priority?: PriorityOption | undefined
  /** Where chance comes from, for when to measure. @default Math.random */
  readonly random?: RandomSource | undefined
}

export interface Settings extends AdaptiveConcurrencyOptions {
  readonly algorithm: ConcurrencyAlgorithm
  readonly initialLimit: number
  readonly minLimit: number
  readonly maxLimit: number
  readonly window: number
  readonly minSamples: number
  readonly probeInterval: number
  readonly maxLatency: number
}

const DEFAULTS = {
  ...SLOT_DEFAULTS,
  algorithm: 'vegas',
  minLimit: 1,
  maxLimit: 1_000,
  window: 1_000,
  minSamples: 10,
  probeInterval: 30_000,
  maxLatency: 5_000,
} as const

/** Checks the options and what they say together. */
export function readAdaptiveOptions(options: AdaptiveConcurrencyOptions): Settings {
  const given = readOptions('adaptiveConcurrency', options, checks)
  const { minLimit = DEFAULTS.minLimit, maxLimit = DEFAULTS.maxLimit } = given
  const { initialLimit = Math.max(minLimit, Math.min(20, maxLimit)) } = given
  if (minLimit > maxLimit || initialLimit < minLimit || initialLimit > maxLimit) {
    throw new RangeError(
      `adaptiveConcurrency: minLimit, initialLimit and maxLimit must be in this order, but were ${minLimit}, ${initialLimit} and ${maxLimit}`,
    )
  }
  const { algorithm = DEFAULTS.algorithm } = given
  if (given.maxLatency !== undefined && algorithm !== 'aimd') {
    throw new TypeError(
      `adaptiveConcurrency: maxLatency belongs to algorithm 'aimd'; '${algorithm}' goes by how long calls take anyway`,
    )
  }
  return { ...DEFAULTS, ...given, initialLimit } as Settings
}

const checks = {
  ...commonChecks,
  algorithm: optional(oneOf(['vegas', 'gradient2', 'aimd'])),
  initialLimit: optional(positiveInteger),
  minLimit: optional(positiveInteger),
  maxLimit: optional(count(1, 0x3fffffff)),
  window: optional(duration()),
  minSamples: optional(positiveInteger),
  probeInterval: optional(duration({ infinite: true })),
  maxLatency: optional(duration({ zero: false })),
  isOverload: optional(fn),
  maxQueue: optional(count(0)),
  maxWait: optional(duration({ zero: false, infinite: true })),
  abandonAfter: optional(duration({ infinite: true })),
  priority: optional(priorityCheck),
  random: optional(chance),
}
