/**
 * The front door of Holdfast.
 */

// Pauses between retries, and what a breaker looks back on.
export {
  type Backoff,
  type BackoffDescription,
  type BackoffState,
  type ConstantOptions,
  constant,
  type DescribedBackoff,
  delays,
  type ExponentialOptions,
  exponential,
  fibonacci,
  type GrowingOptions,
  type Jitter,
  type LinearOptions,
  linear,
  type PlainJitter,
} from './core/backoff.ts'
// Time and chance.
export { type Clock, systemClock, type Timer } from './core/clock.ts'
// Work that is accepted now and done later.
export type {
  DeadReason,
  DeferredQueue,
  EnqueueOptions,
  Job,
  JobBudget,
  JobContext,
  JobError,
  JobHandler,
  JobList,
  JobRecord,
  JobState,
  JobWorker,
  ListOptions,
  ProcessOptions,
  QueueCloseReport,
  QueueCounts,
  RateLimit,
  Receipt,
  StopReport,
} from './core/deferred-queue.ts'
// Errors: was the function called?
export {
  AcquireTimeoutError,
  type BulkheadFacts,
  BulkheadFullError,
  CircuitOpenError,
  FallbackExhaustedError,
  isResilienceError,
  PoolClosedError,
  type PoolFacts,
  PoolFullError,
  RejectedError,
  ResilienceError,
  TimeoutError,
} from './core/errors.ts'
// The contract, and what can be observed.
export type {
  Abandoned,
  BatchEnded,
  CacheAnswered,
  CacheFilled,
  CacheStoreChanged,
  CallEnded,
  Ending,
  FellBack,
  GaveUp,
  Hedged,
  HoldfastEvent,
  Joined,
  LimitChanged,
  Listener,
  PoolChanged,
  QueueStoreChanged,
  Rejected,
  RetryScheduled,
  StateChanged,
  TimedOut,
  Warned,
} from './core/events.ts'
export { type RateFacts, RateLimitedError, ThrottledError } from './core/load-errors.ts'
export type {
  AlternativeOf,
  Context,
  Description,
  Detailed,
  ExecuteOptions,
  LatencyStats,
  Operation,
  Policy,
  PolicyLike,
  Stats,
} from './core/policy.ts'
export {
  LeaseLostError,
  PayloadNotSerialisableError,
  PayloadTooLargeError,
  QueueClosedError,
  type QueueFacts,
  QueueFullError,
  QueueStoreError,
} from './core/queue-errors.ts'
export { type RandomSource, systemRandom } from './core/random.ts'
export {
  type RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetStats,
  retryBudget,
} from './core/retry-budget.ts'
export type { CommonOptions } from './core/step-policy.ts'
export {
  type CountSnapshot,
  type CountWindow,
  countWindow,
  type TimeSnapshot,
  type TimeWindow,
  timeWindow,
  type WindowDescription,
  type WindowSnapshot,
} from './core/window.ts'
// Composition: several policies as one, one per key, one per method.
export type { Finding, FindingCode } from './pipeline/check.ts'
export { type Keyed, type KeyedOptions, keyed, OVERFLOW_KEY } from './pipeline/keyed.ts'
export { type Pipeline, type PipelineOptions, pipeline } from './pipeline/pipeline.ts'
export { type MethodProtection, protect } from './pipeline/protect.ts'
export type { WorstCase } from './pipeline/worst-case.ts'
// Policies: each guards one call.
export {
  type AdaptiveConcurrency,
  type AdaptiveConcurrencyStats,
  adaptiveConcurrency,
} from './policies/adaptive-concurrency/adaptive-concurrency.ts'
export type {
  AdaptiveConcurrencyOptions,
  ConcurrencyAlgorithm,
} from './policies/adaptive-concurrency/options.ts'
export {
  type AdaptiveThrottle,
  type AdaptiveThrottleOptions,
  type AdaptiveThrottleStats,
  adaptiveThrottle,
} from './policies/adaptive-throttle.ts'
export {
  type Bulkhead,
  type BulkheadOptions,
  type BulkheadStats,
  bulkhead,
} from './policies/bulkhead.ts'
export { circuitBreaker } from './policies/circuit-breaker/circuit-breaker.ts'
export type {
  CircuitBreaker,
  CircuitBreakerStats,
  CircuitState,
} from './policies/circuit-breaker/contract.ts'
export type {
  CircuitBreakerMode,
  CircuitBreakerOptions,
  Classification,
} from './policies/circuit-breaker/options.ts'
export type { CircuitSnapshot } from './policies/circuit-breaker/snapshot.ts'
export type { TripSnapshot } from './policies/circuit-breaker/trip-rules.ts'
export {
  type Coalesce,
  type CoalesceOptions,
  type CoalesceStats,
  coalesce,
} from './policies/coalesce.ts'
export {
  type AnswerOf,
  type Fallback,
  type FallbackAlternative,
  type FallbackFunction,
  type FallbackOptions,
  type FallbackStats,
  type FallbackStep,
  fallback,
  type WithFallback,
  withFallback,
} from './policies/fallback.ts'
export { type Hedge, type HedgeStats, hedge } from './policies/hedge/hedge.ts'
export type { HedgeOptions } from './policies/hedge/options.ts'
export {
  type DrainOptions,
  drainQueue,
  type QueueDrain,
} from './policies/queue-for-later/drain-queue.ts'
export {
  type EnqueueTarget,
  isQueued,
  type QueuedReceipt,
  type QueueForLater,
  type QueueForLaterOptions,
  queueForLater,
} from './policies/queue-for-later/queue-for-later.ts'
export type { Circuit } from './policies/queue-for-later/ramp.ts'
export type {
  RateAlgorithm,
  RateLimiterOptions,
  RateOptions,
} from './policies/rate-limiter/options.ts'
export {
  type RateLimiter,
  type RateLimiterStats,
  rateLimiter,
} from './policies/rate-limiter/rate-limiter.ts'
export type { RetryInfo, RetryOptions } from './policies/retry/options.ts'
export { type Retry, type RetryStats, retry } from './policies/retry/retry.ts'
export type {
  CacheStore,
  LastKnownGood,
  StaleCache,
  StaleCacheStats,
  StoredValue,
} from './policies/stale-cache/contract.ts'
export type { StaleCacheOptions } from './policies/stale-cache/options.ts'
export { staleCache } from './policies/stale-cache/stale-cache.ts'
export { type Timeout, type TimeoutOptions, timeout } from './policies/timeout.ts'
// Many keys with one call.
export { batcher } from './resources/batcher/batcher.ts'
export type {
  BatchAnswers,
  BatchContext,
  Batcher,
  BatcherOptions,
  BatcherStats,
  CacheOptions,
  LoadMany,
  LoadOptions,
} from './resources/batcher/contract.ts'
export {
  BatcherClosedError,
  BatcherFullError,
  KeyMissingError,
} from './resources/batcher/errors.ts'
// Many at a time: lists, streams, addresses, ad-hoc work.
export { LimiterFullError } from './resources/concurrency/errors.ts'
export { type Fetch, type FetchAllOptions, fetchAll } from './resources/concurrency/fetch-all.ts'
export { iterateConcurrent } from './resources/concurrency/iterate.ts'
export {
  type Limiter,
  type LimiterOptions,
  type LimiterStats,
  type LimitOptions,
  limiter,
} from './resources/concurrency/limiter.ts'
export { mapConcurrent } from './resources/concurrency/map.ts'
export type {
  AnyPolicy,
  ConcurrencyOptions,
  ItemContext,
  IterateOptions,
  MapOptions,
  MapProgress,
  Mapper,
  MapReport,
} from './resources/concurrency/options.ts'
export type { Items } from './resources/concurrency/source.ts'
// Work that is accepted now and done later, kept in memory.
export { memoryQueue } from './resources/deferred-queue/memory-queue.ts'
export type { QueueOptions } from './resources/deferred-queue/options.ts'
// Resources: shared by many calls.
export type {
  AcquireOptions,
  CloseReport,
  Lease,
  Pool,
  PoolStats,
} from './resources/pool/contract.ts'
export type { HookContext } from './resources/pool/hook.ts'
export type { CreateContext, PoolOptions } from './resources/pool/options.ts'
export { createPool } from './resources/pool/pool.ts'
