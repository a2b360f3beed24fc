/** What thread pools can do for their users, what a module of tasks is to the compiler, and what is told. */

/// <reference lib="esnext.disposable" preserve="true" />
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import type { BulkheadStats } from '../../policies/bulkhead.ts'
import type { CloseReport } from '../../resources/pool/contract.ts'
import type { TaskOptions } from './options.ts'

/** What a function of a module takes as its task. */
export type TaskInput<M, Name extends string> = unknown extends M
  ? unknown
  : Name extends keyof M
    ? M[Name] extends (...args: infer Args) => unknown
      ? Args[0]
      : never
    : never

/** What a function of a module answers. */
export type TaskResult<M, Name extends string> = unknown extends M
  ? unknown
  : Name extends keyof M
    ? M[Name] extends (...args: never[]) => infer R
      ? Awaited<R>
      : never
    : never

/** Who is where in one pool, as plain JSON: a bulkhead, and the threads behind it. */
export interface ThreadPoolStats extends BulkheadStats {
  readonly threads: {
    /** How many there may be. */
    readonly limit: number
    /** Those that exist: the sum of the next four. */
    readonly total: number
    readonly starting: number
    readonly idle: number
    readonly busy: number
    readonly ending: number
    /** Threads that became ready, so far. */
    readonly started: number
    /** Threads that did not, so far. */
    readonly startFailed: number
    /** Threads that ended without being told to, so far. */
    readonly crashed: number
  }
}

/** One thread pool for each service. `Modules` says for each name what its module exports. */
export interface ThreadPools<Modules> extends AsyncDisposable {
  /**
   * Runs a task in a thread of the pool: calls a function of its module with `task`.
   *
   * Rejects with what the function threw, with its name, code, cause and stack; with exactly
   * `signal.reason`; or with one of the errors below.
   *
   * @throws BulkheadFullError, AcquireTimeoutError, PoolClosedError, ThreadStartError: it was not run.
   * @throws TimeoutError, ThreadEndedError: it was, and may have taken effect in part.
   * @throws TypeError if task or result cannot be cloned, or for a name or an option that does not exist.
   */
  run<Name extends string & keyof Modules, Fn extends string = 'default'>(
    pool: Name,
    task: TaskInput<Modules[Name], Fn>,
    options?: TaskOptions<Fn>,
  ): Promise<TaskResult<Modules[Name], Fn>>
  /** Starts the `minThreads` of every pool. Rejects with ThreadStartError when one cannot be started. */
  warmUp(): Promise<void>
  /** Takes no task in any more and runs those that are; true if all ended within `timeout` (10_000 ms). */
  drain(options?: { readonly timeout?: number | undefined }): Promise<boolean>
  /**
   * Refuses every task from now on, those in the queue too, and ends the threads: the idle at once, the others
   * when their task ends or, at the latest, when `timeout` (10_000 ms) is over. Further calls share the report.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<CloseReport>
  /** Who is where in each pool, and how its tasks have ended so far. */
  stats(): { readonly [Name in keyof Modules]: ThreadPoolStats }
  /** Hands every event of every pool to `listener` until the returned function is called. */
  subscribe(listener: Listener<HoldfastEvent>): () => void
}
