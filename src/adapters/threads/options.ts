/** What thread pools are made with, and what one task may bring along. */
import type { Backoff } from '../../core/backoff.ts'
import type { Clock } from '../../core/clock.ts'
import type { RandomSource } from '../../core/random.ts'
import type { PiscinaClass } from './piscina.ts'

declare const TASKS: unique symbol

/** Where a module is, and what it exports: what `taskModule` gives. */
export interface TaskModule<M> {
  readonly href: string
  readonly [TASKS]?: M
}

/** Options of one pool of {@link threadPools}. */
export interface ThreadPoolOptions<M = unknown> {
  /** The module whose functions are the tasks: `taskModule(…)`, a URL, or an absolute path. */
  readonly module: TaskModule<M> | string
  /** Threads at most: so many tasks run at the same time. */
  readonly threads: number
  /** Threads that are kept although idle, from the first task on. @default 0 */
  readonly minThreads?: number | undefined
  /** Tasks that may wait in the queue for a thread; 0 refuses at once. @default 10 for each thread */
  readonly maxQueue?: number | undefined
  /** Longest time before a task begins to run, in ms: line, pause and start of a thread together. @default 30_000 */
  readonly maxWait?: number | undefined
  /** Longest time that a task may run, in ms; its thread is ended then. @default 30_000 */
  readonly timeout?: number | undefined
  /** Time for an aborted task to end by itself before its thread is ended, in ms. @default 0 */
  readonly abortGrace?: number | undefined
  /** Heap of one thread (old generation), in MB. A thread that needs more dies alone. @default that of the process */
  readonly memoryLimitMb?: number | undefined
  /** Longest time for a thread to start and to load its module, in ms. @default 30_000 */
  readonly startTimeout?: number | undefined
  /** A thread that had nothing to do for so long is ended, in ms, down to `minThreads`. @default 60_000 */
  readonly idleTimeout?: number | undefined
  /** A thread is replaced after so many tasks, against what leaks in a module. @default Infinity */
  readonly maxTasks?: number | undefined
  /** Pauses before threads that crashed, or could not be started, are replaced. @default exponential, 100 ms to 5 s */
  readonly restartBackoff?: Backoff | undefined
  /** Environment variables of the threads. @default a copy of the process's */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Flags of Node for the threads, such as `--import`. @default those of the process */
  readonly execArgv?: readonly string[] | undefined
}

/** What all pools of one {@link threadPools} share. */
export interface ThreadPoolsOptions {
  /** The class of the package `piscina` that you have installed. */
  readonly Piscina: PiscinaClass
  /** Where the worker side of this library is, if a bundler has moved it. @default beside this module */
  readonly entry?: { readonly href: string } | string | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
  /** Where chance comes from. @default systemRandom */
  readonly random?: RandomSource | undefined
}

/** What one task may bring along. A `Context` fits, so nested calls inherit by passing it on. */
export interface TaskOptions<Fn extends string = string> {
  /** Which function of the module. @default default */
  readonly name?: Fn | undefined
  /** Longest time that it may run, in ms, in place of the pool's. @default the pool's */
  readonly timeout?: number | undefined
  /** What moves to the thread instead of being copied: ArrayBuffers, ports. @default nothing */
  readonly transfer?: readonly object[] | undefined
  /** The caller's own signal. When it aborts, the call rejects at once with exactly `signal.reason`. @default none */
  readonly signal?: AbortSignal | undefined
  /** Latest moment for an answer, in ms of the clock (`performance.now()`). The smaller limit wins. @default Infinity */
  readonly deadline?: number | undefined
  /** Place in line: larger is served first, whole number from -10 to 10. @default 0 */
  readonly priority?: number | undefined
}
