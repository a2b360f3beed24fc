/**
 * What a batcher is: options, members, numbers.
 */
import { signalsOf } from '../../core/ambient.ts'
import type { Clock } from '../../core/clock.ts'
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import {
  abortSignal,
  anyOf,
  boolean,
  type Check,
  clock,
  count,
  duration,
  fn,
  optional,
  positiveInteger,
  readOptions,
  string,
  withMethods,
} from '../../core/options.ts'
import type { PolicyLike } from '../../core/policy.ts'

/** What the batch function is given beside its keys. */
export interface BatchContext {
  /** Aborted when nobody waits for any key of this batch any more. Made when first read. Pass it on. */
  readonly signal: AbortSignal
}

/** The answers, by position, or by key as a `Map` or plain object. An `Error` is the failure of one key. */
export type BatchAnswers<K, V> =
  | readonly (V | Error)[]
  | ReadonlyMap<K, V | Error>
  | Readonly<Record<string, V | Error>>

/** Loads many keys with one call. */
export type LoadMany<K, V> = (
  keys: readonly K[],
  context: BatchContext,
) => BatchAnswers<K, V> | PromiseLike<BatchAnswers<K, V>>

/** Options of the cache of a {@link batcher}. */
export interface CacheOptions {
  /** How long an answer is good for, in ms, above 0. @default Infinity */
  readonly ttl?: number | undefined
  /** Most answers kept; the least recently used go first. @default 10_000 */
  readonly maxSize?: number | undefined
}

/** Options of {@link batcher}. */
export interface BatcherOptions<K = unknown, V = unknown> {
  /** Most keys in one batch. @default 1_000 */
  readonly maxBatchSize?: number | undefined
  /** Longest time a key waits for others, in ms; 0 sends at the end of this turn of the event loop. @default 0 */
  readonly maxWait?: number | undefined
  /** Batches under way at a time; the others wait, and go on filling. @default Infinity */
  readonly maxConcurrentBatches?: number | undefined
  /** Keys that may wait to be sent; further ones are rejected. @default 100_000 */
  readonly maxQueue?: number | undefined
  /** Remembers answers, never errors: `true`, or how many for how long. @default false */
  readonly cache?: boolean | CacheOptions | undefined
  /** One load per key in a batch. `false` for commands: each is sent, in order. @default true */
  readonly dedupe?: boolean | undefined
  /** What makes two keys the same, for keys that are objects. @default the key itself */
  readonly key?: ((key: K) => unknown) | undefined
  /** What a key is worth that an answer by key leaves out. @default none: KeyMissingError */
  readonly missing?: ((key: K) => V) | undefined
  /** The batch function runs under it. @default none */
  readonly policy?: PolicyLike<unknown> | undefined
  /** Names it in errors, events and statistics. @default batcher */
  readonly name?: string | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
}

/** What one load may bring along. */
export interface LoadOptions {
  /** When it aborts, this load rejects at once with exactly `signal.reason`; nobody else is touched. */
  readonly signal?: AbortSignal | undefined
}

/** What a batcher has done, as plain JSON. */
export interface BatcherStats {
  readonly name: string
  /** Keys that were asked for. */
  readonly loads: number
  /** Of these, answered from the cache, or by a load of the same key under way. */
  readonly hits: number
  /** Batches sent, and keys in them. */
  readonly batches: number
  readonly keys: number
  /** Batches that failed as a whole. */
  readonly failed: number
  /** Keys that wait to be sent. */
  readonly queued: number
  /** Batches under way. */
  readonly running: number
  /** Answers in the cache. */
  readonly cached: number
}

/** Collects loads and sends them together. */
export interface Batcher<K, V> {
  readonly name: string
  /** The value of one key. */
  load(key: K, options?: LoadOptions): Promise<V>
  /**
   * The values of many keys, in order; an `Error` stands where one failed. Rejects, and sends none of them,
   * when the option `key` throws for one.
   */
  loadMany(keys: readonly K[], options?: LoadOptions): Promise<(V | Error)[]>
  /** Forgets a key: the next load asks again, and a load under way is not remembered. */
  clear(key: K): void
  clearAll(): void
  /** Remembers a value in place of what was known. Needs a cache. */
  prime(key: K, value: V): void
  /** Sends what waits, now; resolves when all that was asked for until now is answered. */
  flush(): Promise<void>
  /**
   * Takes nothing more, sends what waits, and resolves when all is answered. When `signal` aborts
   * before, all that is left rejects with exactly its reason.
   */
  close(options?: LoadOptions): Promise<void>
  stats(): BatcherStats
  subscribe(listener: Listener<HoldfastEvent>): () => void
}

export const batcherChecks: Readonly<Record<keyof BatcherOptions, Check>> = {
  maxBatchSize: optional(count(1)),
  maxWait: optional(duration()),
  maxConcurrentBatches: optional(count(1)),
  maxQueue: optional(count(1)),
  cache: optional(anyOf(boolean, { expected: 'its options', fault: objectFault })),
  dedupe: optional(boolean),
  key: optional(fn),
  missing: optional(fn),
  policy: optional(withMethods('a policy', 'execute')),
  name: optional(string),
  clock: optional(clock),
}

export const cacheChecks: Readonly<Record<keyof CacheOptions, Check>> = {
  ttl: optional(duration({ zero: false, infinite: true })),
  maxSize: optional(positiveInteger),
}

export const loadChecks: Readonly<Record<keyof LoadOptions, Check>> = {
  signal: optional(abortSignal),
}

/** What calls a load off; throws if it has happened. */
export function signalsFrom(options: LoadOptions | undefined): readonly AbortSignal[] {
  const signals = signalsOf(readOptions('batcher', options, loadChecks).signal)
  for (const { aborted, reason } of signals) if (aborted) throw reason
  return signals
}

function objectFault(value: unknown): 'type' | undefined {
  return typeof value === 'object' && value !== null ? undefined : 'type'
}
