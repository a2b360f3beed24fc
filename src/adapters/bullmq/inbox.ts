/**
 * Stores jobs, those that arrive together in one go: three round trips for all instead of three for each.
 */
import { deferred } from '../../core/deferred.ts'
import type { Added, NewJob } from '../../resources/deferred-queue/store.ts'
import type { Lanes } from './lanes.ts'
import type { Link } from './link.ts'
import { bullId, type Envelope, machineTime, seal, unseal } from './record.ts'
import type { BulkEntry, BullJob } from './shapes.ts'

/** Jobs in one go. */
const MOST_AT_ONCE = 500

export interface InboxSettings {
  readonly maxSize: number
  readonly keepCompleted: number
  readonly uniqueId: () => string
}

interface Arrived {
  readonly job: NewJob
  readonly envelope: Envelope
  readonly resolve: (added: Added) => void
  readonly reject: (error: unknown) => void
}

export class Inbox {
  readonly #link: Link
  readonly #lanes: Lanes
  readonly #settings: InboxSettings
  #arrived: Arrived[] = []
  #isStoring = false

  constructor(link: Link, lanes: Lanes, settings: InboxSettings) {
    this.#link = link
    this.#lanes = lanes
    this.#settings = settings
  }

  async add(job: NewJob): Promise<Added> {
    const { promise, resolve, reject } = deferred<Added>()
    const arrived = { job, envelope: seal(job, this.#settings.uniqueId()), resolve, reject }
    this.#arrived.push(arrived)
    if (!this.#isStoring) void this.#storeAll()
    const unsent = (): 'no' | 'unknown' => {
      const at = this.#arrived.indexOf(arrived)
      if (at === -1) return 'unknown'
      this.#arrived.splice(at, 1)
      return 'no'
    }
    return this.#link.step('enqueue', unsent, () => promise)
  }

  async #storeAll(): Promise<void> {
    this.#isStoring = true
    // Those of the same turn come along.
    await Promise.resolve()
    while (this.#arrived.length > 0) {
      const batch = this.#nextBatch()
      const storing = this.#store(batch).catch((error: unknown) => {
        for (const { reject } of batch) reject(error)
      })
      // What is sent but never answered must not hold up what comes after it.
      await this.#link.settledInTime(storing)
    }
    this.#isStoring = false
  }

  /** Each id once: of two in one batch, neither could be told to be the first. */
  #nextBatch(): Arrived[] {
    const ids = new Set<string>()
    const batch: Arrived[] = []
    const rest: Arrived[] = []
    for (const one of this.#arrived) {
      if (batch.length < MOST_AT_ONCE && !ids.has(one.job.id)) batch.push(one)
      else rest.push(one)
      ids.add(one.job.id)
    }
    this.#arrived = rest
    return batch
  }

  async #store(batch: readonly Arrived[]): Promise<void> {
    const { backend } = this.#link
    const { maxSize } = this.#settings
    const [waiting = 0, delayed = 0, active = 0, dead = 0] = await backend.getCounts([
      'waiting',
      'delayed',
      'active',
      'failed',
    ])
    const size = waiting + delayed + active + dead
    const fitting = batch.slice(0, Math.max(0, maxSize - size))
    await this.#link.addJobs(fitting.map(bulkEntry))
    // BullMQ does not say whether an id was new: what lies there says whose it is.
    const found = await Promise.all(batch.map(({ job }) => backend.getJobData(bullId(job.id))))
    const facts = { size: Math.min(size, maxSize), maxSize, dead }
    const again: Arrived[] = []
    // Those of one key one after the other, so that their order is that of their arrival.
    const turns = new Map<string, Promise<void>>()
    for (const [at, one] of batch.entries()) {
      const there = found[at]
      if (this.#isForgotten(there)) {
        await backend.remove(bullId(one.job.id), false)
        again.push(one)
      } else if (at >= fitting.length && there === undefined) one.resolve(facts)
      else {
        const turn = one.job.key === undefined ? one.job.id : `key ${one.job.key}`
        const before = turns.get(turn) ?? Promise.resolve()
        const accepted = before.then(() => this.#accept(one, there)).then(one.resolve)
        // It may fail while others are still being looked after; `Promise.all` tells.
        accepted.catch(() => {})
        turns.set(turn, accepted)
      }
    }
    this.#arrived.unshift(...again)
    await Promise.all(turns.values())
  }

  /** Nothing is acknowledged before its place in the order is stored, neither the job nor its duplicate. */
  async #accept(arrived: Arrived, there: BullJob | undefined): Promise<Added> {
    if (isOf(there, arrived)) {
      await this.#lanes.append(arrived.envelope)
      return 'added'
    }
    const known = there === undefined ? undefined : unseal(there)
    if (known !== undefined && there?.finishedOn === undefined) await this.#lanes.append(known)
    return 'duplicate'
  }

  /** Completed so long ago that its id is free again; BullMQ clears such away only now and then. */
  #isForgotten(job: BullJob | undefined): boolean {
    const { keepCompleted } = this.#settings
    if (job?.finishedOn === undefined) return false
    return job.failedReason === undefined && job.finishedOn + keepCompleted < machineTime()
  }
}

/** Gone already means that a worker was quicker than our look, so it was stored. */
function isOf(there: BullJob | undefined, { envelope }: Arrived): boolean {
  return there === undefined || unseal(there)?.nonce === envelope.nonce
}

function bulkEntry({ envelope }: Arrived): BulkEntry {
  const { id, enqueuedAt, dueAt } = envelope
  const now = machineTime()
  const delay = Math.max(0, Math.ceil(dueAt - now))
  const opts = { jobId: bullId(id), timestamp: Math.floor(enqueuedAt), delay, attempts: 1 }
  return { name: 'job', data: envelope, opts: delay > 0 ? { ...opts, timestamp: now } : opts }
}
