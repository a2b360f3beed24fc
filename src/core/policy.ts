/**
 * The contract: what a policy is, what it hands to the function that it protects, and what it tells.
 * Everything else in the library either fulfils this page or is fulfilled by it.
 */
import type { HoldfastEvent, Listener } from './events.ts'

/** What the protected function is given. Reading a property costs nothing until you read it. */
export interface Context {
  /**
   * Aborted when this attempt is over before it ended: a timeout, the caller's abort. Pass it on.
   * Made when first read; each attempt has its own.
   */
  readonly signal: AbortSignal
  /** Which call of the function this is within one `execute`, counted from 1. */
  readonly attempt: number
  /** When the nearest limit ends, in ms of the clock (`performance.now()`); `Infinity` without one, or when the call has ended. */
  readonly deadline: number
  /** Time left until `deadline`, in ms, never below 0; `Infinity` without a limit. */
  readonly remaining: number
  /** The arguments of a wrapped or decorated function; empty for a bare `execute`. */
  readonly args: readonly unknown[]
}

/** A function that a policy may call. It may return a value, a promise or a thenable. */
export type Operation<T> = (context: Context) => T | PromiseLike<T>

/** What one call may bring along. A `Context` fits, so nested calls inherit by passing it on. */
export interface ExecuteOptions {
  /** The caller's own signal. When it aborts, the call rejects at once with exactly `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Latest moment for an answer, in ms of the clock (`performance.now()`). The smaller limit wins. */
  readonly deadline?: number | undefined
  /** Place in the queue of whatever has one: larger is served first, whole number from -10 to 10. @default 0 */
  readonly priority?: number | undefined
  /** What the call is about, for fallback steps and hooks: they find it in `context.args`. @default [] */
  readonly args?: readonly unknown[] | undefined
}

/** An answer together with how it came about. */
export interface Detailed<T> {
  readonly value: T
  /** `'primary'`, or the name of the fallback step or of the cache that answered. */
  readonly source: string
  /** Whether a fallback, or a stale value, answered instead of the function. */
  readonly degraded: boolean
  /** How often the function was called, 0 if it never was. */
  readonly attempts: number
  /** Time from the call to the answer, in ms. */
  readonly duration: number
  /** What went wrong on the way, oldest first; empty when the first attempt succeeded. */
  readonly errors: readonly unknown[]
  /** How old the answer is, in ms, when a cache gave it. */
  readonly age?: number
}

/** How the calls of a policy or pipeline ended, as plain JSON. */
export interface Stats {
  readonly name: string
  /** Calls that have ended, one way or another. */
  readonly calls: number
  /** Ran and gave a result (with a fallback: possibly a degraded one). */
  readonly succeeded: number
  /** Ran and failed. */
  readonly failed: number
  /** Stopped waiting; the function may still have been running. */
  readonly timedOut: number
  /** Not run: refused by this policy or by one inside it. */
  readonly rejected: number
  /** The caller changed its mind. */
  readonly aborted: number
  /** Calls inside the policy at this moment. */
  readonly inFlight: number
  /** Latency of the ended calls in ms, with `latency: true` or while somebody listens; otherwise null. */
  readonly latency: LatencyStats | null
}

/** Percentiles from a fixed-size histogram, in ms; each at most 3.2 % above the true value. */
export interface LatencyStats {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** What a policy is made of, as plain JSON: its kind, its name and its options. */
export interface Description {
  readonly policy: string
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** The policies of a pipeline, outermost first. */
  readonly policies?: readonly Description[]
}

/** Type-level mark of the values that a policy may answer instead of the function's own. */
export declare const ALTERNATIVE: unique symbol

/**
 * What a pipeline needs of a policy, and all that you need to write one of your own:
 * call `operation` as often as you see fit, hand it what you were given, return its answer.
 *
 * @example A policy of your own
 * ```ts
 * import { pipeline, retry, type PolicyLike } from 'holdfast'
 *
 * const seen: string[] = []
 * const audit: PolicyLike = {
 *   name: 'audit',
 *   async execute(operation, options) {
 *     seen.push('called')
 *     return operation(options)
 *   },
 * }
 * await pipeline('orders', retry(), audit).execute(() => 'done') // => 'done'
 * seen // => ['called']
 * ```
 */
export interface PolicyLike<Alt = never> {
  readonly name?: string
  readonly [ALTERNATIVE]?: Alt
  execute<T>(
    operation: (inherit?: ExecuteOptions) => T | PromiseLike<T>,
    options?: ExecuteOptions,
  ): Promise<T | Alt>
}

/** What every policy of this library, and every pipeline of them, can do. */
export interface Policy<Alt = never> extends PolicyLike<Alt> {
  /** Names the policy in errors, events and statistics. */
  readonly name: string
  /**
   * Calls `operation` under this policy.
   *
   * Rejects with what the function threw, with the caller's own `signal.reason`, or with a
   * `ResilienceError`: a `RejectedError` says that the function was not called, a `TimeoutError` that it
   * may have been.
   */
  execute<T>(operation: Operation<T>, options?: ExecuteOptions): Promise<T | Alt>
  /** As `execute`, and tells how the answer came about: source, attempts, duration, errors on the way. */
  executeDetailed<T>(operation: Operation<T>, options?: ExecuteOptions): Promise<Detailed<T | Alt>>
  /** The same function under this policy: same arguments, same `this`, an answer that is a promise. */
  wrap<This, Args extends readonly unknown[], T>(
    fn: (this: This, ...args: Args) => T | PromiseLike<T>,
  ): (this: This, ...args: Args) => Promise<T | Alt>
  /** Hands every event to `listener` until the returned function is called. A throwing listener changes nothing. */
  subscribe(listener: Listener<HoldfastEvent>): () => void
  /** How its calls have ended so far, as plain JSON. */
  stats(): Stats
  /** What it is made of, as plain JSON. */
  describe(): Description
}

/** The values that a policy may answer instead of the function's own. */
export type AlternativeOf<P> = typeof ALTERNATIVE extends keyof P
  ? Exclude<P[typeof ALTERNATIVE], undefined>
  : never
