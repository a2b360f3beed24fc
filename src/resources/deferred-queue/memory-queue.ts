/**
 * A deferred queue in memory: for tests, and for work that may be lost with the process.
 * It passes the same suite as the engines that keep their jobs.
 */
import type {
  DeferredQueue,
  JobContext,
  JobError,
  JobState,
  ListOptions,
} from '../../core/deferred-queue.ts'
import { readOptions } from '../../core/options.ts'
import { type QueueOptions, type QueueSettings, queueChecks, settleQueue } from './options.ts'
import { openQueue } from './queue.ts'
import type { Added, JobLease, JobStore, NewJob, Settlement, StoredJob, Taken } from './store.ts'
import { lostRecord } from './verdict.ts'

/**
 * Makes a queue whose jobs live in memory: everything that a durable queue does, but a restart forgets them.
 *
 * **Use it** in tests, with a `virtualClock`, where the real one has a durable queue.
 * **Not for** what must not be lost: take `holdfast/sqlite` or `holdfast/bullmq`.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { memoryQueue } from 'holdfast'
 *
 * const mails = memoryQueue<{ to: string }>({ name: 'mails' })
 * const sent: string[] = []
 * const done = new Promise<void>((resolve) => {
 *   mails.process((job) => { sent.push(job.payload.to); resolve() })
 * })
 * await mails.enqueue({ to: 'ada@example.org' })
 * await done
 * sent // => ['ada@example.org']
 * await mails.close()
 * ```
 */
export function memoryQueue<P = unknown>(options: QueueOptions = {}): DeferredQueue<P> {
  const settings = settleQueue(readOptions('memoryQueue', options, queueChecks))
  return openQueue<P>(new MemoryStore(settings), settings)
}

/** What the jobs of several queues can be kept in, as several processes share a server. */
export class MemoryJobs {
  readonly jobs: Map<string, Entry> = new Map()
  readonly wakes: Set<() => void> = new Set()
  leases = 0
  places = 0
}

interface Entry {
  readonly id: string
  payload: string | undefined
  readonly key: string | undefined
  readonly context: JobContext
  readonly enqueuedAt: number
  state: 'queued' | 'active' | 'dead' | 'completed'
  dueAt: number
  /** Its place among the jobs of its key. */
  place: number
  attempts: number
  errors: readonly JobError[]
  token: string | undefined
  leaseUntil: number
  endedAt: number | undefined
  reason: StoredJob['reason']
}

const MOST_ERRORS = 10

export class MemoryStore implements JobStore {
  readonly #settings: QueueSettings
  readonly #all: MemoryJobs

  constructor(settings: QueueSettings, all: MemoryJobs = new MemoryJobs()) {
    this.#settings = settings
    this.#all = all
  }

  async add(job: NewJob): Promise<Added> {
    this.#forget()
    const { jobs } = this.#all
    if (jobs.has(job.id)) return 'duplicate'
    const { maxSize } = this.#settings
    const taking = [...jobs.values()].filter(({ state }) => state !== 'completed')
    if (taking.length >= maxSize) {
      const dead = taking.filter(({ state }) => state === 'dead').length
      return { size: taking.length, maxSize, dead }
    }
    const start = { state: 'queued', attempts: 0, errors: [], leaseUntil: 0 } as const
    const open = { token: undefined, endedAt: undefined, reason: undefined }
    jobs.set(job.id, { ...job, ...start, ...open, place: this.#all.places++ })
    this.#wake()
    return 'added'
  }

  async take(limit: number, leaseTime: number): Promise<Taken> {
    const now = this.#now
    const ready = [...this.#all.jobs.values()]
      .filter((job) => this.#isDue(job, now) && !this.#isBlocked(job))
      .sort((one, other) => one.dueAt - other.dueAt || one.place - other.place)
      .slice(0, limit)
    const jobs = ready.map((job) => {
      if (job.state === 'active') job.errors = noted(job.errors, lostRecord(job.attempts, now))
      job.state = 'active'
      job.attempts++
      job.token = String(++this.#all.leases)
      job.leaseUntil = now + leaseTime
      return { ...this.#stored(job), token: job.token }
    })
    const times = [...this.#all.jobs.values()].flatMap((job) => this.#nextTime(job))
    return { jobs, lookAgain: Math.max(0, Math.min(...times) - now) }
  }

  async renew(lease: JobLease, leaseTime: number): Promise<boolean> {
    const job = this.#held(lease)
    if (job === undefined) return false
    job.leaseUntil = this.#now + leaseTime
    return true
  }

  async settle(lease: JobLease, end: Settlement): Promise<boolean> {
    const job = this.#held(lease)
    if (job === undefined) return false
    job.token = undefined
    if (end.kind !== 'completed') {
      if (!end.counts) job.attempts--
      if (end.error !== undefined) job.errors = noted(job.errors, end.error)
    }
    if (end.kind === 'again') {
      job.state = 'queued'
      job.dueAt = end.dueAt
    } else {
      job.state = end.kind
      job.endedAt = end.at
      if (end.kind === 'dead') job.reason = end.reason
      else job.payload = undefined
    }
    this.#wake()
    return true
  }

  async counts(): Promise<Readonly<Record<JobState, number>>> {
    this.#forget()
    const counts = { waiting: 0, delayed: 0, blocked: 0, active: 0, dead: 0, completed: 0 }
    for (const job of this.#all.jobs.values()) counts[this.#stateOf(job)]++
    return counts
  }

  async list({ state, limit, after }: ListOptions): ReturnType<JobStore['list']> {
    this.#forget()
    const from = after === undefined ? -1 : Number(after)
    const found = [...this.#all.jobs.values()]
      .filter((job) => job.place > from)
      .filter((job) => state === undefined || this.#stateOf(job) === state)
      .sort((one, other) => one.place - other.place)
    const page = found.slice(0, limit)
    const next = found.length > page.length ? String(page.at(-1)?.place) : undefined
    return { jobs: page.map((job) => this.#stored(job)), next }
  }

  async get(id: string): Promise<StoredJob | undefined> {
    this.#forget()
    const job = this.#all.jobs.get(id)
    return job && this.#stored(job)
  }

  async requeue(id: string, dueAt: number): Promise<boolean> {
    const job = this.#all.jobs.get(id)
    if (job?.state !== 'dead') return false
    const place = this.#all.places++
    Object.assign(job, { state: 'queued', dueAt, place, attempts: 0 })
    Object.assign(job, { endedAt: undefined, reason: undefined })
    this.#wake()
    return true
  }

  async remove(id: string): Promise<boolean> {
    const job = this.#all.jobs.get(id)
    if (job === undefined || this.#stateOf(job) === 'active') return false
    this.#all.jobs.delete(id)
    this.#wake()
    return true
  }

  watch(wake: () => void): () => void {
    this.#all.wakes.add(wake)
    return () => {
      this.#all.wakes.delete(wake)
    }
  }

  async close(): Promise<void> {}

  get #now(): number {
    return this.#settings.clock.wallTime()
  }

  #wake(): void {
    for (const wake of [...this.#all.wakes]) wake()
  }

  #held({ id, token }: JobLease): Entry | undefined {
    const job = this.#all.jobs.get(id)
    return job?.token === token && job.leaseUntil > this.#now ? job : undefined
  }

  #isDue(job: Entry, now: number): boolean {
    return job.state === 'queued' ? job.dueAt <= now : this.#isAbandoned(job, now)
  }

  /** Its owner gave no sign of life. */
  #isAbandoned(job: Entry, now: number): boolean {
    return job.state === 'active' && job.leaseUntil <= now
  }

  #isBlocked({ key, place }: Entry): boolean {
    if (key === undefined) return false
    return [...this.#all.jobs.values()].some(
      (other) => other.key === key && other.place < place && isUnfinished(other),
    )
  }

  #nextTime(job: Entry): number[] {
    if (job.state === 'queued') return this.#isBlocked(job) ? [] : [job.dueAt]
    return job.state === 'active' ? [job.leaseUntil] : []
  }

  #stateOf(job: Entry): JobState {
    const now = this.#now
    if (job.state === 'dead' || job.state === 'completed') return job.state
    if (job.state === 'active' && !this.#isAbandoned(job, now)) return 'active'
    if (this.#isBlocked(job)) return 'blocked'
    return job.state === 'active' || job.dueAt <= now ? 'waiting' : 'delayed'
  }

  #stored(job: Entry): StoredJob {
    const { id, payload, key, context, enqueuedAt, dueAt, attempts, errors, endedAt, reason } = job
    const state = this.#stateOf(job)
    const facts = { id, state, payload, key, context, attempts, enqueuedAt, dueAt }
    return { ...facts, errors, endedAt, reason }
  }

  #forget(): void {
    const before = this.#now - this.#settings.keepCompleted
    for (const [id, { state, endedAt = 0 }] of this.#all.jobs) {
      if (state === 'completed' && endedAt <= before) this.#all.jobs.delete(id)
    }
  }
}

function noted(errors: readonly JobError[], error: JobError): readonly JobError[] {
  return [...errors, error].slice(-MOST_ERRORS)
}

function isUnfinished({ state }: Entry): boolean {
  return state === 'queued' || state === 'active'
}
