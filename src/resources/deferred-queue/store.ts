/**
 * What an engine has to be able to do: keep jobs. Everything that must be the same on all engines
 * (checking, serialising, pacing, retrying, setting aside, stopping, telling) is done above it, once.
 */
import type {
  DeadReason,
  JobContext,
  JobError,
  JobState,
  ListOptions,
} from '../../core/deferred-queue.ts'
import type { QueueFacts } from '../../core/queue-errors.ts'

/** A job to be stored. */
export interface NewJob {
  readonly id: string
  /** JSON. */
  readonly payload: string
  readonly key: string | undefined
  readonly context: JobContext
  /** In wall-clock ms since 1970. */
  readonly enqueuedAt: number
  readonly dueAt: number
  /** Whether the caller named the moment; otherwise it is so long from `enqueuedAt`, whatever the wall clock does. */
  readonly isDueAtFixed: boolean
}

/** What became of a job that was to be stored. */
export type Added = 'added' | 'duplicate' | QueueFacts

/** Proof that a job is in somebody's hands. Only the store looks into `token`; a new one for each taking. */
export interface JobLease {
  readonly id: string
  readonly token: string
}

/** A job that was taken: its attempt is counted, its lease runs. */
export interface TakenJob extends JobLease {
  /** JSON, or undefined when it cannot be read. */
  readonly payload: string | undefined
  readonly key: string | undefined
  readonly context: JobContext
  /** Attempts that were begun, this one included. */
  readonly attempts: number
  readonly enqueuedAt: number
  readonly dueAt: number
  readonly errors: readonly JobError[]
}

/** What was taken. */
export interface Taken {
  readonly jobs: readonly TakenJob[]
  /** When looking again is worth while if nothing wakes the worker before, in ms from now; `Infinity` if nothing waits. */
  readonly lookAgain: number
}

/** How an attempt ended, as it is to be stored. */
export type Settlement =
  | { readonly kind: 'completed'; readonly at: number }
  | {
      readonly kind: 'again'
      readonly dueAt: number
      /** False when the attempt is not to count: postponed, or handed back. */
      readonly counts: boolean
      /** To be added to its errors, of which the last ten are kept. */
      readonly error: JobError | undefined
    }
  | {
      readonly kind: 'dead'
      readonly at: number
      /** False when the attempt was not made. */
      readonly counts: boolean
      readonly reason: DeadReason
      readonly error: JobError | undefined
    }

/** A job as it is stored. */
export interface StoredJob extends Omit<TakenJob, 'token'> {
  readonly state: JobState
  readonly endedAt: number | undefined
  readonly reason: DeadReason | undefined
}

/**
 * Keeps jobs.
 *
 * Each method is one atomic step, rejects with `QueueStoreError` when the store fails, and resolves when
 * what it did is durable. None is called after `close()`.
 */
export interface JobStore {
  /** Stores a job unless its id is known (waiting, active, dead, or completed and remembered) or all places are taken. */
  add(job: NewJob): Promise<Added>
  /**
   * Takes at most `limit` jobs that are due, those first that were due first: counts the attempt and begins a
   * lease. Jobs whose lease has run out are due, and get a `lostRecord` among their errors. Of each key at most one job is in somebody's hands, the
   * first that is not completed, dead or removed.
   */
  take(limit: number, leaseTime: number): Promise<Taken>
  /** Prolongs a lease to `leaseTime` from now; false when it was lost. */
  renew(lease: JobLease, leaseTime: number): Promise<boolean>
  /** Ends a lease; false, and nothing changed, when it was lost. */
  settle(lease: JobLease, end: Settlement): Promise<boolean>
  counts(): Promise<Readonly<Record<JobState, number>>>
  list(options: Required<Pick<ListOptions, 'limit'>> & ListOptions): Promise<{
    readonly jobs: readonly StoredJob[]
    readonly next: string | undefined
  }>
  get(id: string): Promise<StoredJob | undefined>
  /** Makes a dead job due at `dueAt` with no attempts made, behind all others of its key. */
  requeue(id: string, dueAt: number): Promise<boolean>
  /** Forgets a job that is in nobody's hands. */
  remove(id: string): Promise<boolean>
  /** Calls `wake` when there may be something to take, also from another process; returns how to stop it. */
  watch(wake: () => void): () => void
  /** Lets go of everything; bounded, also when the store is down. */
  close(): Promise<void>
}
