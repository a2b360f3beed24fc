/**
 * The threads of one service behind a bulkhead of their own. The bulkhead decides who runs, who waits and
 * who is refused; a resource pool makes, keeps and replaces the threads; a slot is given back when the
 * thread is free again, or has really gone.
 */
import { type Clock, nextTurn } from '../../core/clock.ts'
import { PoolClosedError } from '../../core/errors.ts'
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import type { Context } from '../../core/policy.ts'
import { stackless } from '../../core/stackless.ts'
import { type BulkheadOptions, BulkheadPolicy } from '../../policies/bulkhead.ts'
import type { CloseReport, Lease, Pool } from '../../resources/pool/contract.ts'
import { createPool } from '../../resources/pool/pool.ts'
import type { ThreadPoolStats } from './contract.ts'
import { ThreadStartError } from './errors.ts'
import { Pacer } from './pacer.ts'
import { performOn } from './run.ts'
import type { Job, Settings } from './settings.ts'
import { bringUp, StartFailure } from './starting.ts'
import { Thread } from './thread.ts'

export class ThreadPool {
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #slots: Slots
  readonly #threads: Pool<Thread>
  readonly #pacer: Pacer
  /** Every thread that has not gone, the starting ones included. */
  readonly #live = new Set<Thread>()
  readonly #starting = new Set<Thread>()
  #phase: 'open' | 'draining' | 'closed' = 'open'
  #crashed = 0
  #onIdle: (() => void)[] = []
  #closing: Promise<CloseReport> | undefined

  constructor(settings: Settings) {
    const { name, threads, maxQueue, maxWait, clock, random, restartBackoff } = settings
    this.#settings = settings
    this.#clock = clock
    this.#slots = new Slots({ name, maxConcurrent: threads, maxQueue, maxWait, clock })
    this.#pacer = new Pacer(clock, random, restartBackoff)
    const never = Number.POSITIVE_INFINITY
    this.#threads = createPool<Thread>({
      name,
      clock,
      random,
      create: ({ broken }) => this.#create(broken),
      destroy: (thread) => thread.end(),
      minSize: settings.minThreads,
      maxSize: threads,
      maxUses: settings.maxTasks,
      idleTimeout: settings.idleTimeout,
      createBackoff: restartBackoff,
      // The limits of these are kept here, where the messages can say more.
      acquireTimeout: never,
      createTimeout: never,
      maxLifetime: never,
      // A thread that does not go keeps its place: there are never more than `threads`.
      hookTimeout: never,
    })
  }

  run(job: Job): Promise<unknown> {
    if (this.#phase !== 'open') return Promise.reject(this.#refusal())
    return new Promise((resolve, reject) => {
      const begin = (context: Context): Promise<unknown> => this.#perform(job, context, reject)
      this.#slots.execute(begin, job.options).then(resolve, reject)
    })
  }

  async warmUp(): Promise<void> {
    try {
      // The start of each is bounded by `startTimeout`.
      await this.#threads.warmUp({ timeout: Number.POSITIVE_INFINITY })
    } catch (error) {
      throw this.#startError('', error)
    }
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    const stops = [this.#slots.subscribe(listener), this.#threads.subscribe(listener)]
    return () => {
      for (const stop of stops) stop()
    }
  }

  stats(): ThreadPoolStats {
    const { total, creating, idle, inUse, destroying, created, createFailed } =
      this.#threads.stats()
    const { threads: limit } = this.#settings
    return {
      ...this.#slots.stats(),
      maxConcurrent: limit,
      threads: {
        limit,
        total,
        starting: creating,
        idle,
        busy: inUse,
        ending: destroying,
        started: created,
        startFailed: createFailed,
        crashed: this.#crashed,
      },
    }
  }

  /** Takes nobody in any more; true if everybody was served in time. */
  async drain(timeout: number): Promise<boolean> {
    if (this.#phase === 'open') this.#phase = 'draining'
    if (this.#isIdle) return true
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(() => resolve(false), timeout)
      this.#onIdle.push(() => {
        timer.cancel()
        resolve(true)
      })
    })
  }

  close(timeout: number): Promise<CloseReport> {
    this.#closing ??= this.#close(timeout)
    return this.#closing
  }

  async #close(timeout: number): Promise<CloseReport> {
    this.#phase = 'closed'
    // Whoever stands in line is let in, and refused there: nobody waits for what will not come.
    const { queued } = this.#slots.stats()
    if (queued > 0) this.#slots.resize(this.#settings.threads + queued)
    this.#pacer.close()
    const closing = this.#threads.close({ timeout })
    for (const thread of this.#starting) void thread.end()
    const { forced } = await closing
    const left = [...this.#live].map((thread) => thread.end())
    await within(this.#clock, lastRespite, Promise.all(left))
    // Whatever waited for the last of them gets a moment to take note.
    await new Promise<void>(nextTurn)
    const why = `thread pool "${this.#settings.name}": a thread has not ended; it sits in native code`
    return { forced, errors: [...this.#live].map(() => new Error(why)) }
  }

  async #perform(job: Job, context: Context, early: (error: unknown) => void): Promise<unknown> {
    if (this.#phase === 'closed') throw this.#refusal()
    try {
      // Making a signal costs as much as the rest of this: only for those who can abort.
      const signal = job.abortable ? context.signal : undefined
      let lease = await this.#obtain(job, signal)
      // One that died on the way here has not seen the task, so the task may have another.
      while (!lease.resource.alive) {
        lease.destroy()
        lease = await this.#obtain(job, signal)
      }
      const value = await performOn(lease, job, this.#settings, signal, early)
      this.#pacer.healthy()
      return value
    } finally {
      // The slot is given back a moment after this.
      if (this.#phase !== 'open') nextTurn(this.#lookIdle)
    }
  }

  async #obtain(
    { name: task, since }: Job,
    signal: AbortSignal | undefined,
  ): Promise<Lease<Thread>> {
    const { maxWait } = this.#settings
    const acquired = this.#threads.acquire({ signal, deadline: since + maxWait })
    this.#pacer.hold()
    try {
      return await acquired
    } catch (error) {
      throw this.#startError(task, error)
    }
  }

  #startError(task: string, error: unknown): unknown {
    if (!(error instanceof StartFailure)) return error
    return new ThreadStartError(this.#settings.name, task, error.message, error.cause)
  }

  async #create(broken: (error?: unknown) => void): Promise<Thread> {
    await this.#pacer.pause()
    if (this.#phase === 'closed') throw this.#refusal()
    const thread = new Thread(this.#settings)
    let ready = false
    this.#live.add(thread)
    this.#starting.add(thread)
    thread.gone.then(({ fault, exitCode, ordered }) => {
      this.#live.delete(thread)
      if (!ready || ordered) return
      this.#crashed++
      this.#pacer.crashed()
      broken(fault ?? new Error(`the thread ended itself with exit code ${exitCode}`))
    })
    try {
      await bringUp(thread, this.#settings)
    } finally {
      this.#starting.delete(thread)
    }
    ready = true
    return thread
  }

  get #isIdle(): boolean {
    const { running, queued } = this.#slots.stats()
    return running + queued === 0
  }

  readonly #lookIdle = (): void => {
    if (this.#isIdle) for (const tell of this.#onIdle.splice(0)) tell()
  }

  #refusal(): PoolClosedError {
    return stackless(() => new PoolClosedError(this.#settings.name))
  }
}

/** What is refused or timed out behind it is told as that, and not as a failure of the task. */
class Slots extends BulkheadPolicy {
  constructor(options: BulkheadOptions) {
    super(options)
    this.engine.relays = true
  }
}

/** Time for the threads that were ended by force to go, in ms. */
const lastRespite = 1_000

function within(clock: Clock, limit: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(resolve, limit)
    work.then(() => {
      timer.cancel()
      resolve()
    })
  })
}
