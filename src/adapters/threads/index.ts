/**
 * Thread pools as bulkheads: work that fills a CPU runs in worker threads, in one pool for each service, so
 * that one service that hangs, leaks or crashes takes nothing from the others. Over the user's own piscina.
 */
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { nearestName } from '../../core/nearest-name.ts'
import { show } from '../../core/options.ts'
import type { CloseReport } from '../../resources/pool/contract.ts'
import type { ThreadPoolStats, ThreadPools } from './contract.ts'
import type { TaskModule, TaskOptions, ThreadPoolOptions, ThreadPoolsOptions } from './options.ts'
import { ThreadPool } from './pool.ts'
import { jobOf, readCloseTimeout, type Settings, settle } from './settings.ts'

export type {
  TaskInput,
  TaskResult,
  ThreadPoolStats,
  ThreadPools,
} from './contract.ts'
export {
  ThreadEndedError,
  type ThreadEndFacts,
  type ThreadEnding,
  ThreadStartError,
} from './errors.ts'
export type { TaskModule, TaskOptions, ThreadPoolOptions, ThreadPoolsOptions } from './options.ts'
export type { PiscinaClass, PiscinaLike, PiscinaOptionsLike, WorkerLike } from './piscina.ts'
export type { TaskContext } from './worker.ts'

/**
 * Makes a pool of worker threads for each service, over the piscina that you have installed.
 *
 * A task is a call of a function that the pool's module exports, with one argument. At most `threads` run
 * at the same time, `maxQueue` wait in a queue, the rest are refused with `BulkheadFullError`. `timeout`
 * counts the time that a task runs, `maxWait` the time before. On a timeout or an abort the thread is
 * ended, since nothing else stops what runs in it, and replaced when it is needed. A thread that crashes,
 * exits or runs out of memory rejects its own task with `ThreadEndedError`; no other task notices.
 *
 * **Use it** for work that keeps a CPU busy for more than a few milliseconds: rendering, parsing, hashing.
 * **Not for** waiting: a bulkhead holds a thousand calls that wait for the cost of one thread.
 *
 * **Watch out:** task and result are copied. Pass ArrayBuffers in `transfer`.
 *
 * @throws TypeError or RangeError at construction, naming pool, option, value and range.
 *
 * @example
 * ```ts no-run
 * import { type PiscinaClass, taskModule, threadPools } from 'holdfast/threads'
 *
 * declare const Piscina: PiscinaClass // import { Piscina } from 'piscina'
 * interface Invoices { render(order: { id: string }): Promise<Uint8Array> } // typeof import('./invoices.js')
 *
 * const pools = threadPools(
 *   { invoice: { module: taskModule<Invoices>(new URL('./invoices.js', import.meta.url)), threads: 2 } },
 *   { Piscina },
 * )
 * const pdf: Uint8Array = await pools.run('invoice', { id: '42' }, { name: 'render', timeout: 2_000 })
 * ```
 */
export function threadPools<Modules extends object>(
  pools: { readonly [Name in keyof Modules]: ThreadPoolOptions<Modules[Name]> },
  options: ThreadPoolsOptions,
): ThreadPools<Modules> {
  return new Compartments(settle(pools, options)) as unknown as ThreadPools<Modules>
}

/**
 * Says what a module exports, so that names, tasks and results are checked by the compiler:
 * `taskModule<typeof import('./invoices.js')>(new URL('./invoices.js', import.meta.url))`.
 */
export function taskModule<M>(module: { readonly href: string } | string): TaskModule<M> {
  return typeof module === 'string' ? { href: module } : { href: module.href }
}

class Compartments implements AsyncDisposable {
  readonly #pools = new Map<string, ThreadPool>()
  readonly #settings: ReadonlyMap<string, Settings>

  constructor(settings: ReadonlyMap<string, Settings>) {
    this.#settings = settings
    for (const [name, one] of settings) this.#pools.set(name, new ThreadPool(one))
  }

  async run(name: string, task: unknown, options?: TaskOptions): Promise<unknown> {
    const pool = this.#pools.get(name)
    const settings = this.#settings.get(name)
    if (pool === undefined || settings === undefined) throw this.#unknown(name)
    return pool.run(jobOf(settings, task, options))
  }

  async warmUp(): Promise<void> {
    await Promise.all(this.#all.map((pool) => pool.warmUp()))
  }

  async drain(options?: { readonly timeout?: number | undefined }): Promise<boolean> {
    const timeout = readCloseTimeout('threadPools.drain', options)
    const drained = await Promise.all(this.#all.map((pool) => pool.drain(timeout)))
    return drained.every(Boolean)
  }

  async close(options?: { readonly timeout?: number | undefined }): Promise<CloseReport> {
    const timeout = readCloseTimeout('threadPools.close', options)
    const reports = await Promise.all(this.#all.map((pool) => pool.close(timeout)))
    const forced = reports.reduce((sum, report) => sum + report.forced, 0)
    return { forced, errors: reports.flatMap((report) => report.errors) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  stats(): Readonly<Record<string, ThreadPoolStats>> {
    const all = [...this.#pools].map(([name, pool]) => [name, pool.stats()] as const)
    return Object.fromEntries(all)
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    const stops = this.#all.map((pool) => pool.subscribe(listener))
    return () => {
      for (const stop of stops) stop()
    }
  }

  get #all(): readonly ThreadPool[] {
    return [...this.#pools.values()]
  }

  #unknown(name: unknown): TypeError {
    const known = [...this.#pools.keys()]
    const nearest = typeof name === 'string' ? nearestName(name, known) : undefined
    const hint = nearest === undefined ? `pools: ${known.join(', ')}` : `did you mean "${nearest}"?`
    return new TypeError(`threadPools: there is no pool ${show(name)} (${hint}); not run`)
  }
}
