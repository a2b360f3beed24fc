/**
 * What a stale cache can do, what it counts, and what a store of the user's own has to be.
 */
import type { Context, Policy, Stats } from '../../core/policy.ts'

/** Where values are kept, if not in memory: three methods, sync or async. */
export interface CacheStore {
  /** What was set under this key, or undefined or null. */
  get(key: string): unknown
  /** Keeps `value`, which JSON can say if the values of the cache can, for `ttl` ms. */
  set(key: string, value: StoredValue, ttl: number): unknown
  delete(key: string): unknown
}

/** What is put into a store. Its times are what counts: a store that keeps it for longer does no harm. */
export interface StoredValue {
  /** The version of this shape. */
  readonly v: 1
  readonly value?: unknown
  /** When it was made, in ms since 1970. */
  readonly at: number
  /** How long it is fresh, in ms. */
  readonly fresh: number
  /** How long it may be served at all, in ms. */
  readonly stale: number
  /** How long it took to make, in ms. */
  readonly took: number
}

/** How the calls of a stale cache ended, and who answered. */
export interface StaleCacheStats extends Stats {
  /** Calls that were answered with a fresh value, without calling the function. */
  readonly fresh: number
  /** Calls that were answered with a stale value. They count as succeeded too. */
  readonly stale: number
  /** Calls that waited for the call of another caller with the same key. */
  readonly joined: number
  /** Calls of the function that a caller waited for when they began. */
  readonly loads: number
  /** Calls of the function in the background, for callers that had already been answered. */
  readonly refreshes: number
  /** Loads and refreshes that failed. */
  readonly failures: number
  /** Loads and refreshes under way now. */
  readonly running: number
  /** Values in memory; 0 with a store. */
  readonly entries: number
  /** Their size in bytes, by estimate. */
  readonly bytes: number
  /** Values that had to make room, or were too large themselves. */
  readonly evicted: number
  /** What the store failed at: errors, answers that came too late or cannot be read. */
  readonly storeErrors: number
  /** The store is being left alone, because it failed. */
  readonly storeDown: boolean
}

/** A step of a `fallback`. */
export interface LastKnownGood<T> {
  /** That of the cache: it is the `source` of what it answers. */
  readonly name: string
  readonly run: (error: unknown, context: Context) => T | Promise<T>
}

/** Keeps the last good value of each key, and answers with it when there is nothing better. */
export interface StaleCache<T = unknown> extends Policy {
  /**
   * A step for `fallback`: answers with the last good value of the call's key, and fails if there is none
   * within `staleFor`.
   */
  readonly lastKnownGood: LastKnownGood<T>
  /** Keeps `value` under `key`, as if a call had just answered it. A call under way does not undo it. */
  set(key: string, value: T): void
  /**
   * Forgets the value of `key`. A call under way does not bring it back.
   *
   * Rejects with the error of a store that failed to; then the value may still be there.
   */
  delete(key: string): Promise<void>
  stats(): StaleCacheStats
}
