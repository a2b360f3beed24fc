/**
 * A durable queue over a store: what its users see, the same whatever keeps the jobs.
 * The engines are in `holdfast/sqlite` and `holdfast/bullmq`.
 */
import type {
  DeferredQueue,
  EnqueueOptions,
  JobHandler,
  JobList,
  JobRecord,
  JobWorker,
  ListOptions,
  ProcessOptions,
  QueueCloseReport,
  QueueCounts,
  Receipt,
  StopReport,
} from '../../core/deferred-queue.ts'
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { checkOption, fn } from '../../core/options.ts'
import { QueueClosedError, QueueFullError } from '../../core/queue-errors.ts'
import { uniqueId } from '../../core/random.ts'
import { stackless } from '../../core/stackless.ts'
import {
  checkId,
  type QueueSettings,
  readEnqueue,
  readList,
  readRequeue,
  readStop,
  settleProcess,
} from './options.ts'
import { parse, serialise } from './payload.ts'
import type { JobStore, StoredJob } from './store.ts'
import { Voice } from './voice.ts'
import { settlesWithin } from './waiting.ts'
import { Worker } from './worker.ts'
import type { Workplace } from './workplace.ts'

/** Puts the queue that users see on top of what an engine keeps. */
export function openQueue<P>(store: JobStore, settings: QueueSettings): DeferredQueue<P> {
  return new StoredQueue<P>(store, settings)
}

/** How long a queue that closes waits for what is on its way into the store, in ms. */
const BREATH = 1_000

class StoredQueue<P> implements DeferredQueue<P> {
  readonly name: string
  readonly #store: JobStore
  readonly #settings: QueueSettings
  readonly #voice: Voice
  readonly #workers = new Set<Worker>()
  /** What is on its way into the store. */
  readonly #adding = new Set<Promise<unknown>>()
  #isPaused = false
  #closing: Promise<QueueCloseReport> | undefined

  constructor(store: JobStore, settings: QueueSettings) {
    this.name = settings.name
    this.#store = store
    this.#settings = settings
    this.#voice = new Voice(settings.name, settings.clock)
  }

  async enqueue(payload: P, options?: EnqueueOptions): Promise<Receipt> {
    const store = this.#open()
    const { clock, maxPayloadBytes } = this.#settings
    const given = readEnqueue(options)
    const now = clock.wallTime()
    const id = given.id ?? uniqueId(now)
    const adding = store.add({
      id,
      payload: serialise(this.name, payload, maxPayloadBytes),
      key: given.key,
      context: given.context ?? {},
      enqueuedAt: now,
      dueAt: given.dueAt ?? now + (given.delay ?? 0),
      isDueAtFixed: given.dueAt !== undefined,
    })
    this.#adding.add(adding)
    const added = await adding.finally(() => this.#adding.delete(adding))
    if (typeof added === 'object') throw stackless(() => new QueueFullError(this.name, added))
    const duplicate = added === 'duplicate'
    this.#voice.tell({ change: duplicate ? 'duplicate' : 'enqueued', id })
    return { id, duplicate }
  }

  process(handler: JobHandler<P>, options?: ProcessOptions<P>): JobWorker {
    const store = this.#open()
    checkOption(`queue "${this.name}": process`, 'handler', handler, fn)
    const place: Workplace = {
      store,
      voice: this.#voice,
      queue: this.#settings,
      isPaused: () => this.#isPaused,
    }
    const worker = new Worker(place, handler as JobHandler, settleProcess(options), () =>
      this.#workers.delete(worker),
    )
    this.#workers.add(worker)
    worker.look()
    return worker
  }

  async counts(): Promise<QueueCounts> {
    const counts = await this.#open().counts()
    const { waiting, delayed, blocked, active, dead } = counts
    const { maxSize } = this.#settings
    return { ...counts, size: waiting + delayed + blocked + active + dead, maxSize }
  }

  async list(options?: ListOptions): Promise<JobList<P>> {
    const { jobs, next } = await this.#open().list(readList(options))
    return { jobs: jobs.map(recordOf<P>), next }
  }

  async get(id: string): Promise<JobRecord<P> | undefined> {
    checkId('get', id)
    const job = await this.#open().get(id)
    return job && recordOf<P>(job)
  }

  async requeue(id: string, options?: { readonly delay?: number | undefined }): Promise<boolean> {
    checkId('requeue', id)
    const dueAt = this.#settings.clock.wallTime() + readRequeue(options)
    const isDone = await this.#open().requeue(id, dueAt)
    if (isDone) this.#voice.tell({ change: 'requeued', id })
    return isDone
  }

  async remove(id: string): Promise<boolean> {
    checkId('remove', id)
    const isDone = await this.#open().remove(id)
    if (isDone) this.#voice.tell({ change: 'removed', id })
    return isDone
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const worker of this.#workers) worker.look()
  }

  async close(options?: { readonly timeout?: number | undefined }): Promise<QueueCloseReport> {
    const timeout = readStop('queue.close', options)
    const stopped = [...this.#workers].map((worker) => worker.stop({ timeout }))
    this.#closing ??= this.#close(stopped)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    return this.#voice.emitter.subscribe(listener)
  }

  #open(): JobStore {
    if (this.#closing !== undefined) throw stackless(() => new QueueClosedError(this.name))
    return this.#store
  }

  async #close(stopped: readonly Promise<StopReport>[]): Promise<QueueCloseReport> {
    const errors: unknown[] = []
    const note = (error: unknown): undefined => void errors.push(error)
    const reports = await Promise.all(stopped.map((report) => report.catch(note)))
    if (this.#adding.size > 0) {
      const { clock } = this.#settings
      await settlesWithin(clock, Promise.allSettled(this.#adding), BREATH)
    }
    await this.#store.close().catch(note)
    const handedBack = reports.reduce((sum, report) => sum + (report?.handedBack ?? 0), 0)
    return { handedBack, errors }
  }
}

function recordOf<P>(job: StoredJob): JobRecord<P> {
  const { payload, ...facts } = job
  return { ...facts, payload: parse(payload)?.payload as P | undefined }
}
