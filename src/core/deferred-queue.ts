/**
 * The port of durable queues: work that is accepted now and done later, by whoever is alive then.
 *
 * What every engine promises, and one conformance suite checks:
 * - acknowledged means durable: when `enqueue` has resolved, the job survives what the engine says it survives;
 * - at least once: a job runs until one run has ended well and been stored, and not again after that;
 * - an attempt is counted before the run, so a job that kills its process cannot do so for ever;
 * - a lease that was lost is refused: whoever holds it is told by its signal, and cannot end the job.
 */

/// <reference lib="esnext.disposable" preserve="true" />
import type { Backoff } from './backoff.ts'
import type { HoldfastEvent, Listener } from './events.ts'
import type { ExecuteOptions } from './policy.ts'

/** What a job brings along from the call that it stands for. */
export interface JobContext {
  /** It is not begun after this moment, in wall-clock ms since 1970, but set aside as `'expired'`. */
  readonly deadline?: number | undefined
  /** How often the call had been tried before it was queued. @default 0 */
  readonly attempts?: number | undefined
  /** Names and values that let its run be found: `{ traceparent: '00-…' }`. */
  readonly trace?: Readonly<Record<string, string>> | undefined
}

/** What goes with one job. */
export interface EnqueueOptions {
  /** Its idempotency key: a job whose id is known to the queue is not stored again. @default a random one */
  readonly id?: string | undefined
  /** Not before so long from now, in ms. @default 0 */
  readonly delay?: number | undefined
  /** Not before this moment, in wall-clock ms since 1970; instead of `delay`. @default now */
  readonly dueAt?: number | undefined
  /** Jobs of one key run one at a time, in the order in which they were accepted. @default none */
  readonly key?: string | undefined
  /** What it brings along. @default none */
  readonly context?: JobContext | undefined
}

/** Says that a job is stored. */
export interface Receipt {
  readonly id: string
  /** Whether the queue knew this id already: nothing was stored, the job is the earlier one. */
  readonly duplicate: boolean
}

/**
 * Where a job is.
 *
 * - `'waiting'`: due, for a free worker
 * - `'delayed'`: until its time comes: by request, before a retry, or postponed
 * - `'blocked'`: behind an earlier job of its key
 * - `'active'`: in the hands of a worker
 * - `'dead'`: set aside with its errors, until somebody requeues or removes it
 * - `'completed'`: done; its id is remembered for a while, its payload is not
 */
export type JobState = 'waiting' | 'delayed' | 'blocked' | 'active' | 'dead' | 'completed'

/** Why a job was set aside. */
export type DeadReason = 'max-attempts' | 'not-retryable' | 'expired' | 'unreadable'

/** One attempt that did not end well, as plain JSON. */
export interface JobError {
  /** Which attempt it was, from 1. */
  readonly attempt: number
  /** When it ended, in wall-clock ms since 1970. */
  readonly at: number
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
}

/** A job as it lies in the queue, as plain JSON. */
export interface JobRecord<P = unknown> {
  readonly id: string
  readonly state: JobState
  /** Undefined once it is completed, or when what is stored cannot be read. */
  readonly payload: P | undefined
  readonly key: string | undefined
  readonly context: JobContext
  /** Attempts that were begun, including one that is under way. */
  readonly attempts: number
  /** In wall-clock ms since 1970, like the next two. */
  readonly enqueuedAt: number
  readonly dueAt: number
  /** When it was completed or set aside. */
  readonly endedAt: number | undefined
  /** Why it was set aside, if it is dead. */
  readonly reason: DeadReason | undefined
  /** Its last failures, oldest first; at most ten. */
  readonly errors: readonly JobError[]
}

/** A job in the hands of its handler. Pass it on: `pipeline.execute(fn, job)` inherits signal and deadline. */
export interface Job<P = unknown> extends ExecuteOptions {
  readonly id: string
  readonly payload: P
  readonly key: string | undefined
  readonly context: JobContext
  /** Which attempt this is, from 1; stored before the handler was called. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly enqueuedAt: number
  readonly dueAt: number
  /** What the attempts before it failed with, oldest first; at most the last ten. */
  readonly errors: readonly JobError[]
  /** Aborted when the lease is lost (`LeaseLostError`), and when the worker cannot wait any longer to stop. */
  readonly signal: AbortSignal
  /** `context.deadline` in ms of the queue's clock; `Infinity` without one. */
  readonly deadline: number
}

/** Does a job. The job is done when it has returned, or its promise has resolved. */
export type JobHandler<P = unknown> = (job: Job<P>) => unknown

/** The part of a retry budget that a worker needs; a `retryBudget` fits. */
export interface JobBudget {
  deposit(): void
  tryWithdraw(): boolean
}

/** So many in so long. */
export interface RateLimit {
  /** Jobs that may be begun per interval. */
  readonly limit: number
  /** In ms. */
  readonly interval: number
}

/** How jobs are worked off. */
export interface ProcessOptions<P = unknown> {
  /** Jobs under way at a time, in this worker, from 1 to 10,000; a function is asked before jobs are taken. @default 10 */
  readonly maxConcurrent?: number | (() => number) | undefined
  /** Jobs that this worker begins in a time, evenly: `{ limit: 50, interval: 1_000 }`. @default none */
  readonly rateLimit?: RateLimit | undefined
  /** How long a job stays with a worker that gives no sign of life, in ms from 100; renewed meanwhile. @default 30_000 */
  readonly leaseTime?: number | undefined
  /** Attempts before a job is set aside as dead. @default 25 */
  readonly maxAttempts?: number | undefined
  /** Pause before the n-th retry of a job, in ms. @default exponential, 1 s to 15 min */
  readonly backoff?: Backoff | undefined
  /** Whether a failure is worth another attempt; otherwise the job is dead at once. @default always */
  readonly shouldRetry?: ((error: unknown, job: Job<P>) => boolean) | undefined
  /** Whether a failure says "not now": the attempt does not count, and the worker pauses. @default rejections */
  readonly shouldPostpone?: ((error: unknown, job: Job<P>) => boolean) | undefined
  /** Asked before jobs are taken: true, false, or in how many ms to ask again. @default always */
  readonly ready?: (() => boolean | number) | undefined
  /** Retries of jobs draw on it; without an allowance they wait. @default none */
  readonly budget?: JobBudget | undefined
  /** When it aborts, the worker stops as by `stop()`. */
  readonly signal?: AbortSignal | undefined
  /** How long `stop()` and `close()` wait for running jobs before they are handed back, in ms. @default 10_000 */
  readonly stopTimeout?: number | undefined
}

/** How a worker stopped. */
export interface StopReport {
  /** Jobs whose handlers had not ended in time; they were handed back and will run again. */
  readonly handedBack: number
}

/** A worker of a queue, until it is stopped. */
export interface JobWorker extends AsyncDisposable {
  /** Jobs in its hands now. */
  readonly running: number
  /** Takes no job any more until `resume()`; those under way go on. */
  pause(): void
  resume(): void
  /**
   * Takes no job any more, waits for those under way, and hands back those that do not end in time.
   * Further calls share the report; of several limits the shortest counts.
   */
  stop(options?: { readonly timeout?: number | undefined }): Promise<StopReport>
}

/** How many jobs are where, as plain JSON. */
export type QueueCounts = Readonly<Record<JobState, number>> & {
  /** Jobs that take a place: all but the completed. */
  readonly size: number
  readonly maxSize: number
}

/** Which jobs to list. */
export interface ListOptions {
  /** Only these. @default all */
  readonly state?: JobState | undefined
  /** Most of them, from 1 to 1,000. @default 100 */
  readonly limit?: number | undefined
  /** Only those behind this place: `next` of the list before. */
  readonly after?: string | undefined
}

/** A part of the jobs, oldest first. */
export interface JobList<P = unknown> {
  readonly jobs: readonly JobRecord<P>[]
  /** Where the list goes on; undefined at its end. */
  readonly next: string | undefined
}

/** How a queue was closed. */
export interface QueueCloseReport extends StopReport {
  /** What went wrong on the way. */
  readonly errors: readonly unknown[]
}

/** Work that is accepted now and done later. */
export interface DeferredQueue<P = unknown> extends AsyncDisposable {
  readonly name: string
  /**
   * Stores a job, and resolves when it is durable.
   *
   * @throws QueueFullError, PayloadTooLargeError, PayloadNotSerialisableError, QueueClosedError: not stored.
   * @throws QueueStoreError when the store failed; `stored` says whether the job may be there all the same.
   */
  enqueue(payload: P, options?: EnqueueOptions): Promise<Receipt>
  /** Calls `handler` with each job that is due, until the worker is stopped. */
  process(handler: JobHandler<P>, options?: ProcessOptions<P>): JobWorker
  counts(): Promise<QueueCounts>
  list(options?: ListOptions): Promise<JobList<P>>
  get(id: string): Promise<JobRecord<P> | undefined>
  /** Gives a dead job all its attempts again, behind the others of its key; false if no dead job has this id. */
  requeue(id: string, options?: { readonly delay?: number | undefined }): Promise<boolean>
  /** Forgets a job, whatever its state, unless a worker has it whose lease holds; false if there is none to forget. */
  remove(id: string): Promise<boolean>
  /** All workers of this object take no job any more until `resume()`; those under way go on. */
  pause(): void
  resume(): void
  /**
   * Stops its workers, then lets go of the store. The user's own handle or client stays open.
   * Bounded by the `stopTimeout` of its workers, or `timeout`; further calls share the report, and the shortest
   * limit counts.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<QueueCloseReport>
  /** Hands every event to `listener` until the returned function is called. */
  subscribe(listener: Listener<HoldfastEvent>): () => void
}
