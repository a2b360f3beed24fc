/** What a pool can do for its users, what it lends, and what it reports of itself. */

/// <reference lib="esnext.disposable" preserve="true" />
import type { HoldfastEvent, Listener } from '../../core/events.ts'

/** What one acquire may bring along. */
export interface AcquireOptions {
  /** The caller's own signal. When it aborts, the wait rejects at once with exactly `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Latest moment for a resource, in ms of the clock. The smaller of this and `acquireTimeout` wins. @default Infinity */
  readonly deadline?: number | undefined
}

/** A resource in somebody's hands. */
export interface Lease<R> extends AsyncDisposable {
  /** The resource. Throws a TypeError when the loan has ended: it may be somebody else's by now. */
  readonly resource: R
  /**
   * Gives the resource back.
   *
   * @throws TypeError if this loan has ended already; nobody else's loan is touched.
   */
  release(): void
  /**
   * Gives up a resource that is of no use any more: it is destroyed, not lent again.
   *
   * @throws TypeError if this loan has ended already.
   */
  destroy(): void
  /** Gives the resource back unless that has happened. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Who is where in a pool, as plain JSON. */
export interface PoolStats {
  readonly name: string
  /** Resources that take a place: the sum of the next five. */
  readonly total: number
  readonly creating: number
  readonly idle: number
  /** In the hands of `validate`, `keepalive` or `reset`. */
  readonly validating: number
  readonly inUse: number
  readonly destroying: number
  /** Acquires in the queue. */
  readonly waiting: number
  readonly minSize: number
  readonly maxSize: number
  /** Loans so far. */
  readonly acquired: number
  /** Acquires that ended with `AcquireTimeoutError`. */
  readonly timedOut: number
  /** Acquires that were refused: `PoolFullError`, `PoolClosedError`, or a failure of `create`. */
  readonly rejected: number
  readonly created: number
  readonly createFailed: number
  readonly destroyed: number
  /** Loans that lasted longer than `leakTimeout`. */
  readonly leaked: number
}

/** How a pool was closed. */
export interface CloseReport {
  /** Loans that had not ended in time: their resources were destroyed in their borrowers' hands. */
  readonly forced: number
  /** What went wrong when resources were destroyed, one each; those that did not end in time included. */
  readonly errors: readonly unknown[]
}

/** Resources that are expensive to make, shared by many. */
export interface Pool<R> extends AsyncDisposable {
  readonly name: string
  /**
   * Calls `fn` with a resource, which comes back when its work has ended. The way to use a pool.
   *
   * When `fn` fails, the resource is destroyed unless `isBroken` says otherwise; the caller gets its error
   * unchanged. An abort rejects at once; the resource comes back when the work has ended.
   *
   * @throws AcquireTimeoutError, PoolFullError, PoolClosedError: `fn` was not called.
   */
  use<T>(fn: (resource: R) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T>
  /**
   * Lends a resource until `release()` or `destroy()` is called.
   *
   * @throws AcquireTimeoutError, PoolFullError, PoolClosedError, or what `create` failed with.
   */
  acquire(options?: AcquireOptions): Promise<Lease<R>>
  /** Lends a resource if one can be lent at once, without looking at it; otherwise undefined. */
  tryAcquire(): Lease<R> | undefined
  /**
   * Makes resources until there are `minSize`; `acquireTimeout` has no part in it. Rejects with what
   * `create` failed with, after `createRetries`.
   *
   * @throws TimeoutError when that takes longer than `timeout` (30_000 ms); `cause` is the last failure of
   * `create`. PoolClosedError.
   */
  warmUp(options?: { readonly timeout?: number | undefined }): Promise<void>
  /** Destroys every resource that exists now: the idle at once, the others when they come back. */
  evictAll(): void
  /** Lends nothing until `resume()`; later acquires wait in the queue. */
  suspend(): void
  resume(): void
  /** Takes nobody in any more and serves those who are; true if all came back within `timeout` (10_000 ms). */
  drain(options?: { readonly timeout?: number | undefined }): Promise<boolean>
  /**
   * Refuses everybody from now on, those in the queue too, and destroys all: the idle at once, the others when
   * they come back or, at the latest, when `timeout` (10_000 ms) is over. Further calls share the report.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<CloseReport>
  /** Who is where, and what has happened so far. */
  stats(): PoolStats
  /** Hands every event to `listener` until the returned function is called. */
  subscribe(listener: Listener<HoldfastEvent>): () => void
}
