/**
 * The connection to BullMQ: its objects, their errors, and a limit on how long each step may take.
 * Clients of Redis queue commands while they are cut off, for ever if nobody limits it.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { QueueStoreError } from '../../core/queue-errors.ts'
import type { BulkEntry, BullBackend, BullMQ, BullQueue, BullWorker } from './shapes.ts'

/** What is needed to reach the store. */
export interface LinkSettings {
  readonly bullmq: BullMQ
  readonly name: string
  readonly connection: unknown
  readonly backend: unknown
  readonly prefix: string | undefined
  readonly storeTimeout: number
  readonly clock: Clock
}

/** How long `close` waits for a good-bye, in ms. */
const GOOD_BYE = 1_000

type QueueMaker = new (name: string, options: object, backend: unknown) => BullQueue
type WorkerMaker = new (
  name: string,
  processor: null,
  options: object,
  backend: unknown,
) => BullWorker

export class Link {
  readonly queue: BullQueue
  readonly name: string
  readonly #settings: LinkSettings
  readonly #workers = new Map<number, BullWorker>()
  #lastError: unknown

  constructor(settings: LinkSettings) {
    this.#settings = settings
    this.name = settings.name
    const make = settings.bullmq.Queue as unknown as QueueMaker
    this.queue = new make(settings.name, this.#options(), settings.backend)
    this.queue.on('error', this.#note)
  }

  get backend(): BullBackend {
    return this.queue.getBackend()
  }

  /**
   * Stores jobs. To Redis they go one by one, pipelined by the client: BullMQ's bulk is a transaction of
   * scripts by their hashes, and after a restart of Redis, which has forgotten them, it fails for ever
   * with node-redis. To PostgreSQL a bulk is one statement and one commit.
   */
  async addJobs(jobs: readonly BulkEntry[]): Promise<void> {
    if (this.#settings.backend === undefined) {
      await Promise.all(jobs.map(({ name, data, opts }) => this.queue.add(name, data, opts)))
    } else if (jobs.length > 0) await this.queue.addBulk(jobs)
  }

  /** Who takes jobs for so long. BullMQ sets the length of leases per worker. */
  worker(leaseTime: number): BullWorker {
    const known = this.#workers.get(leaseTime)
    if (known !== undefined) return known
    const { bullmq, backend } = this.#settings
    const make = bullmq.Worker as unknown as WorkerMaker
    const options = {
      ...this.#options(),
      autorun: false,
      lockDuration: leaseTime,
      stalledInterval: checkInterval(leaseTime),
      // Who is given up is decided by attempts, above.
      maxStalledCount: 1_000_000_000,
    }
    const worker = new make(this.name, null, options, backend)
    worker.on('error', this.#note)
    this.#workers.set(leaseTime, worker)
    return worker
  }

  /** Does one step within the limit. `late` gets what comes after it. */
  async step<T>(
    what: string,
    stored: 'no' | 'unknown' | (() => 'no' | 'unknown'),
    run: () => Promise<T>,
    late: (value: T) => void = nothing,
  ): Promise<T> {
    const { storeTimeout, clock, name } = this.#settings
    const began = clock.now()
    let over = false
    const running = run()
    const limit = new Promise<never>((_, reject) => {
      const timer = clock.setTimer(() => {
        over = true
        const last =
          this.#lastError === undefined ? '' : `; last: ${describeError(this.#lastError)}`
        reject(new Error(`no answer within ${storeTimeout} ms${last}`))
      }, storeTimeout)
      const stop = (): void => timer.cancel()
      running.then(stop, stop)
    })
    running.then((value) => over && late(value), nothing)
    try {
      const value = await Promise.race([running, limit])
      this.#lastError = undefined
      return value
    } catch (cause) {
      if (cause instanceof QueueStoreError) throw cause
      const took = Math.round(clock.now() - began)
      const advice = over ? `it goes on by itself when the store answers (waited ${took} ms)` : ''
      const outcome = typeof stored === 'function' ? stored() : stored
      throw new QueueStoreError(name, what, outcome, cause, advice)
    }
  }

  /** Resolves when it has settled, or when one step may take no longer. */
  async settledInTime(
    running: Promise<unknown>,
    limit: number = this.#settings.storeTimeout,
  ): Promise<boolean> {
    let timer: Timer | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = this.#settings.clock.setTimer(() => resolve(false), limit)
    })
    const inTime = running.then(
      () => true,
      () => true,
    )
    const answer = await Promise.race([inTime, late])
    timer?.cancel()
    return answer
  }

  /** Ends what was opened here. The user's own client stays open. */
  async close(): Promise<void> {
    const all = [...this.#workers.values(), this.queue]
    await Promise.all(all.map((object) => this.#closeOne(object)))
  }

  async #closeOne(object: BullQueue | BullWorker): Promise<void> {
    const isClosed = await this.settledInTime(object.close(true), GOOD_BYE)
    if (!isClosed) void object.disconnect().catch(nothing)
  }

  #options(): object {
    const { connection, prefix } = this.#settings
    return { connection, ...(prefix === undefined ? {} : { prefix }) }
  }

  /** Without a listener an 'error' event ends the process; what it says is told with the next step that fails. */
  #note = (error: unknown): void => {
    this.#lastError = error
  }
}

/** How often jobs are looked for whose lease has run out, in ms: soon, but not for every lease. */
export function checkInterval(leaseTime: number): number {
  return Math.min(Math.max(50, Math.round(leaseTime / 4)), 2_000)
}

function nothing(): void {}
