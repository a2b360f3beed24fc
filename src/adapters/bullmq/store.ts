/**
 * Jobs in BullMQ: its states, its locks and its counters, moved by its own steps.
 *
 * BullMQ counts an attempt in the step that ends it (`attemptsMade`), and a lease that ran out in the step
 * that finds it (`stalledCounter`). Together with the one under way they are the attempts of a job: counted
 * before the run, because a job that is taken ends in one of the two, whoever dies.
 */
import type { JobState, ListOptions } from '../../core/deferred-queue.ts'
import type {
  Added,
  JobLease,
  JobStore,
  NewJob,
  Settlement,
  StoredJob,
  Taken,
  TakenJob,
} from '../../resources/deferred-queue/store.ts'
import { Bell } from './bell.ts'
import { endAttempt, type InHand, isLost, type Keep } from './endings.ts'
import { Inbox } from './inbox.ts'
import { Lanes } from './lanes.ts'
import { checkInterval, type Link } from './link.ts'
import { listJobs, STATES } from './listing.ts'
import {
  bullId,
  type Envelope,
  errorsOf,
  ledgerOf,
  machineTime,
  storedJob,
  unseal,
} from './record.ts'
import type { BullBackend, BullJob } from './shapes.ts'

export class BullStore implements JobStore {
  readonly #link: Link
  readonly #keep: Keep
  readonly #inbox: Inbox
  readonly #lanes: Lanes
  readonly #bell: Bell
  readonly #uniqueId: () => string
  readonly #inHand = new Map<string, InHand>()
  #checkedAt = Number.NEGATIVE_INFINITY

  constructor(
    link: Link,
    settings: { readonly maxSize: number; readonly keepCompleted: number },
    uniqueId: () => string,
  ) {
    this.#link = link
    this.#uniqueId = uniqueId
    const { keepCompleted, maxSize } = settings
    this.#keep = keepCompleted === 0 ? true : { age: Math.ceil(keepCompleted / 1000) }
    this.#lanes = new Lanes(link, uniqueId)
    this.#inbox = new Inbox(link, this.#lanes, { maxSize, keepCompleted, uniqueId })
    this.#bell = new Bell()
  }

  add(job: NewJob): Promise<Added> {
    return this.#inbox.add(job)
  }

  async take(limit: number, leaseTime: number): Promise<Taken> {
    const taken = await this.#link.step(
      'taking jobs',
      'no',
      () => this.#take(limit, leaseTime),
      // Nobody waits for them any more: they go back as if they had not been taken.
      ({ jobs }) => void this.#handBack(jobs),
    )
    if (taken.jobs.length < limit) this.#bell.listen(this.#link.worker(leaseTime))
    return taken
  }

  renew({ token }: JobLease, leaseTime: number): Promise<boolean> {
    return this.#link.step('renewing a lease', 'unknown', async () => {
      const held = this.#inHand.get(token)
      if (held === undefined) return false
      const until = machineTime() + leaseTime
      const isOurs = (await held.backend.extendLock(held.bullId, token, leaseTime)) === 1
      // One that was lost stays in mind for a while: it may have been ended by a step without an answer.
      if (isOurs) held.heldUntil = until
      return isOurs
    })
  }

  settle(lease: JobLease, end: Settlement): Promise<boolean> {
    return this.#link.step('ending a job', 'unknown', () => this.#settle(lease, end))
  }

  counts(): Promise<Readonly<Record<JobState, number>>> {
    return this.#link.step('counting jobs', 'no', async () => {
      const [wait = 0, delayed = 0, active = 0, dead = 0, completed = 0] =
        await this.#link.backend.getCounts(['waiting', 'delayed', 'active', 'failed', 'completed'])
      const blocked = await this.#lanes.countBlocked()
      const waiting = wait - blocked.waiting
      const later = delayed - blocked.delayed
      const total = blocked.waiting + blocked.delayed
      return { waiting, delayed: later, blocked: total, active, dead, completed }
    })
  }

  list(options: Required<Pick<ListOptions, 'limit'>> & ListOptions): ReturnType<JobStore['list']> {
    return this.#link.step('listing jobs', 'no', () => listJobs(this.#link, this.#lanes, options))
  }

  get(id: string): Promise<StoredJob | undefined> {
    return this.#link.step('reading a job', 'no', async () => {
      const { backend } = this.#link
      const [job, state] = await Promise.all([
        backend.getJobData(bullId(id)),
        backend.getState(bullId(id)),
      ])
      const known = STATES.get(state)
      if (job === undefined || known === undefined) return undefined
      return this.#lanes.withBlocked(storedJob(job, bullId(id), known), unseal(job))
    })
  }

  requeue(id: string, dueAt: number): Promise<boolean> {
    return this.#link.step('requeueing a job', 'unknown', () => this.#requeue(id, dueAt))
  }

  remove(id: string): Promise<boolean> {
    return this.#link.step('removing a job', 'unknown', async () => {
      const { backend } = this.#link
      const job = await backend.getJobData(bullId(id))
      if (job === undefined) return false
      // BullMQ removes none whose lease holds.
      if ((await backend.remove(bullId(id), false)) !== 1) return false
      await this.#lanes.advance(unseal(job))
      return true
    })
  }

  watch(wake: () => void): () => void {
    return this.#bell.watch(wake)
  }

  async close(): Promise<void> {
    this.#bell.close()
    await this.#link.close()
  }

  async #take(limit: number, leaseTime: number): Promise<Taken> {
    const backend = this.#link.worker(leaseTime).getBackend()
    await this.#reviveStalled(backend, leaseTime)
    await this.#lanes.settleDebts()
    const jobs: TakenJob[] = []
    let lookAgain = checkInterval(leaseTime)
    // What is pushed back (blocked, or not due yet) is not to be met again in the same round.
    for (let pushed = 0; jobs.length < limit && pushed < 1_000; ) {
      const wanted = jobs.length === 0 ? 1 : limit - jobs.length
      const rounds = await Promise.all(
        Array.from({ length: wanted }, () => this.#takeOne(backend, leaseTime)),
      )
      let isEmpty = false
      for (const one of rounds) {
        if (one === 'pushed') pushed++
        else if (typeof one === 'number') {
          isEmpty = true
          lookAgain = Math.min(lookAgain, one)
        } else jobs.push(one)
      }
      if (isEmpty) break
    }
    return { jobs, lookAgain }
  }

  /** A job, or that one was met that must not run now, or in how many ms there may be one. */
  async #takeOne(backend: BullBackend, leaseTime: number): Promise<TakenJob | 'pushed' | number> {
    const token = this.#uniqueId()
    const heldUntil = machineTime() + leaseTime
    const [job, id, limited = 0, delayedUntil = 0] = await backend.moveToActive(token)
    if (!job || id === undefined || id === '') {
      const until = delayedUntil > 0 ? delayedUntil - machineTime() : Number.POSITIVE_INFINITY
      return Math.max(limited, until, 1)
    }
    const envelope = unseal(job)
    const wait = await this.#waitOf(job, envelope)
    if (wait > 0) {
      await backend.moveToDelayed(id, machineTime(), wait, token, { skipAttempt: true })
      return 'pushed'
    }
    const held = { bullId: id, token, job, envelope, backend, heldUntil, isUncertain: false }
    this.#inHand.set(token, held)
    const { state: _state, endedAt: _end, reason: _reason, ...taken } = storedJob(job, id, 'active')
    return { ...taken, token }
  }

  /** How long the job must not run yet, in ms. */
  async #waitOf(job: BullJob, envelope: Envelope | undefined): Promise<number> {
    if (envelope === undefined) return 0
    // BullMQ lets a requeued job wait without a delay of its own.
    const early = (ledgerOf(job, envelope).dueAt ?? envelope.dueAt) - machineTime()
    return early > 0 ? early : this.#lanes.parking(envelope)
  }

  /** Lets jobs of owners that gave no sign of life be taken again. BullMQ keeps a fleet from asking too often. */
  async #reviveStalled(backend: BullBackend, leaseTime: number): Promise<void> {
    const now = machineTime()
    if (now - this.#checkedAt < checkInterval(leaseTime)) return
    this.#checkedAt = now
    // Nobody ends a job whose lease could not be renewed; it is not to be remembered for ever.
    for (const [token, { heldUntil }] of this.#inHand) {
      if (heldUntil + leaseTime < now) this.#inHand.delete(token)
    }
    await backend.moveStalledJobsToWait()
  }

  async #settle({ token }: JobLease, end: Settlement): Promise<boolean> {
    const held = this.#inHand.get(token)
    if (held === undefined) return false
    const { envelope, backend, bullId: id } = held
    const isOurs = await endAttempt(held, end, this.#keep)
    this.#inHand.delete(token)
    if (!isOurs || end.kind === 'again') return isOurs
    // It is over. What is left to do is not worth a failure: it is made up for when somebody comes by.
    await this.#lanes.advance(envelope)
    if (end.kind === 'completed' && envelope !== undefined && this.#keep !== true) {
      const { payload: _payload, ...rest } = envelope
      await backend.updateData({ id, opts: {} }, rest).catch(nothing)
    }
    return true
  }

  async #requeue(id: string, dueAt: number): Promise<boolean> {
    const { backend } = this.#link
    const ended = { id: bullId(id), opts: {} }
    const job = await backend.getJobData(ended.id)
    if (job === undefined || (await backend.getState(ended.id)) !== 'failed') return false
    const envelope = unseal(job)
    if (envelope === undefined) return false
    const errors = errorsOf(job, envelope)
    const forgiven = job.stalledCounter ?? 0
    const renewed = { ...envelope, nonce: this.#uniqueId(), dueAt, errors, forgiven }
    await backend.updateData(ended, renewed)
    try {
      const reset = { resetAttemptsMade: true, resetAttemptsStarted: true }
      await backend.retryFinishedJob(ended, 'failed', reset)
    } catch (error) {
      if (isLost(error)) return false
      throw error
    }
    await this.#lanes.append(renewed)
    return true
  }

  async #handBack(jobs: readonly TakenJob[]): Promise<void> {
    const dueAt = machineTime()
    const end = { kind: 'again', dueAt, counts: false, error: undefined } as const
    // Whatever is not handed back comes back by itself when its lease runs out.
    await Promise.all(jobs.map((job) => this.#settle(job, end).catch(nothing)))
  }
}

function nothing(): void {}
