/**
 * What the functions for many items have in common: their options, and what they tell.
 */
import {
  abortSignal,
  anyOf,
  boolean,
  type Check,
  count,
  fn,
  optional,
  positiveInteger,
  withMethods,
} from '../../core/options.ts'
import type { PolicyLike } from '../../core/policy.ts'
import { type Limiter, slotsOf } from './limiter.ts'

/** What the function is given beside its item. */
export interface ItemContext {
  /** Place of the item in the input, from 0. */
  readonly index: number
  /** Aborted when nobody waits for this item any more. Made when first read. Pass it on. */
  readonly signal: AbortSignal
}

/** Called with each item. */
export type Mapper<T, R> = (item: T, context: ItemContext) => R | PromiseLike<R>

/** How far it is. */
export interface MapProgress {
  /** Items that have ended, well or not. */
  readonly done: number
  readonly failed: number
  readonly running: number
  /** Items in all, when the input knows: an array, a `Set`, a `Map`. */
  readonly total: number | undefined
}

/** What had been done when a map stopped early. */
export interface MapReport extends MapProgress {
  /** What it stopped for: the first error, or `signal.reason`. */
  readonly reason: unknown
  /** By index: how the item ended. Empty where it has not: see `unfinished`, and all that come after. */
  readonly results: readonly (PromiseSettledResult<unknown> | undefined)[]
  /** Items that were started and had not ended: their outcome is unknown. */
  readonly unfinished: readonly number[]
}

/** Any policy or pipeline. */
export type AnyPolicy = PolicyLike<unknown>

/** Options of everything that handles many items. */
export interface ConcurrencyOptions<P extends AnyPolicy = PolicyLike> {
  /** Items at a time, or a `limiter` to share and to resize meanwhile. @default 16 */
  readonly concurrency?: number | Limiter | undefined
  /** Results in the order of the items; otherwise as they come. @default true */
  readonly ordered?: boolean | undefined
  /** The first error stops everything; otherwise all run, and one `AggregateError` tells of the failed. @default true */
  readonly stopOnError?: boolean | undefined
  /** No error stops anything: each result says how its item ended, as with `Promise.allSettled`. @default false */
  readonly settle?: boolean | undefined
  /** When it aborts, nothing new is started, and it rejects at once with exactly `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Each item runs under it; `context.args` of its steps is `[item]`. @default none */
  readonly policy?: P | undefined
  /** Called when an item has ended. What it throws changes nothing. */
  readonly onProgress?: ((progress: MapProgress) => unknown) | undefined
}

/** Options of {@link mapConcurrent}. */
export interface MapOptions<P extends AnyPolicy = PolicyLike> extends ConcurrencyOptions<P> {
  /** Called once if it stops early, just before it rejects: what was done. */
  readonly onStop?: ((report: MapReport) => unknown) | undefined
}

/** Options of {@link iterateConcurrent}. */
export interface IterateOptions<P extends AnyPolicy = PolicyLike> extends ConcurrencyOptions<P> {
  /** Items that may be started before the loop has taken their results. @default concurrency */
  readonly readAhead?: number | undefined
}

const limiterOrCount: Check = anyOf(
  { ...count(1), expected: 'a whole number from 1 up, Infinity' },
  { expected: 'a limiter', fault: (value) => (slotsOf(value) ? undefined : 'type') },
)

export const concurrencyChecks: Readonly<Record<keyof ConcurrencyOptions, Check>> = {
  concurrency: optional(limiterOrCount),
  ordered: optional(boolean),
  stopOnError: optional(boolean),
  settle: optional(boolean),
  signal: optional(abortSignal),
  policy: optional(withMethods('a policy', 'execute')),
  onProgress: optional(fn),
}

export const mapChecks: Readonly<Record<keyof MapOptions, Check>> = {
  ...concurrencyChecks,
  onStop: optional(fn),
}

export const iterateChecks: Readonly<Record<keyof IterateOptions, Check>> = {
  ...concurrencyChecks,
  readAhead: optional(positiveInteger),
}
