/** Jobs as rows of a SQLite file. Every change is one step of a transaction shared with its neighbours. */
import type { JobState, ListOptions } from '../../core/deferred-queue.ts'
import { uniqueId } from '../../core/random.ts'
import type { QueueSettings } from '../../resources/deferred-queue/options.ts'
import type {
  Added,
  JobLease,
  JobStore,
  NewJob,
  Settlement,
  StoredJob,
  Taken,
} from '../../resources/deferred-queue/store.ts'
import { lostRecord } from '../../resources/deferred-queue/verdict.ts'
import type { Journal } from './journal.ts'
import { Reader, type StoredJobs } from './reader.ts'
import { leaseOf, type Row, takenFrom, withError } from './rows.ts'
import { STATE } from './schema.ts'
import type { Statements } from './statements.ts'
import { Tally } from './tally.ts'
import { STEP, WallClock } from './wall-clock.ts'
import type { Watch } from './watch.ts'

/** What a store works with; the journal and the watch are shared by all queues on one handle. */
export interface StoreParts {
  readonly journal: Journal
  readonly statements: Statements
  readonly watch: Watch
  /** The queue's row. */
  readonly queue: number
  readonly settings: QueueSettings
  /** Lets go of what is shared. */
  readonly release: () => void
}

export class SqliteStore implements JobStore {
  readonly #journal: Journal
  readonly #sql: Statements
  readonly #watch: Watch
  readonly #queue: number
  readonly #settings: QueueSettings
  readonly #tally: Tally
  readonly #reader: Reader
  readonly #clock: WallClock
  readonly #release: () => void
  readonly #owner: string
  #takings = 0

  constructor({ journal, statements, watch, queue, settings, release }: StoreParts) {
    this.#journal = journal
    this.#sql = statements
    this.#watch = watch
    this.#queue = queue
    this.#settings = settings
    this.#release = release
    this.#tally = new Tally(statements, queue)
    this.#clock = new WallClock(settings.clock)
    this.#reader = new Reader(statements, queue, this.#clock, settings.keepCompleted)
    this.#owner = uniqueId(settings.clock.wallTime())
    journal.participants.add(this.#tally)
  }

  async add(job: NewJob): Promise<Added> {
    const added = await this.#write('enqueue', () => this.#add(job))
    if (added === 'added') this.#watch.wake()
    return added
  }

  async take(limit: number, leaseTime: number): Promise<Taken> {
    await this.#noticeStep()
    const lookAgain = await this.#read('looking for jobs', () => this.#nextLook())
    if (lookAgain > 0) return { jobs: [], lookAgain }
    return this.#write('taking jobs', () => this.#take(limit, leaseTime))
  }

  renew({ token }: JobLease, leaseTime: number): Promise<boolean> {
    return this.#write('renewing a lease', () => {
      const { seq, lease } = leaseOf(token)
      const until = this.#clock.now() + leaseTime
      return Number(this.#sql.renew.run(until, leaseTime, seq, lease).changes) === 1
    })
  }

  async settle({ token }: JobLease, end: Settlement): Promise<boolean> {
    const ended = await this.#write('storing the end of a job', () => this.#settle(token, end))
    if (ended === undefined) return false
    if (ended.mayFreeOthers) this.#watch.wake()
    return true
  }

  counts(): Promise<Readonly<Record<JobState, number>>> {
    return this.#read('counting', () => this.#reader.counts())
  }

  list(options: ListOptions & { readonly limit: number }): Promise<StoredJobs> {
    return this.#read('listing', () => this.#reader.list(options))
  }

  get(id: string): Promise<StoredJob | undefined> {
    return this.#read('reading a job', () => this.#reader.get(id))
  }

  async requeue(id: string, dueAt: number): Promise<boolean> {
    const isDone = await this.#write('requeueing', () => {
      const row = this.#reader.known(id)
      if (row === undefined || Number(row.state) !== STATE.dead) return false
      const state = this.#isKeyTaken(row.key) ? STATE.blocked : STATE.ready
      this.#sql.unbury.run(state, dueAt, this.#clock.now(), row.seq as number)
      return true
    })
    if (isDone) this.#watch.wake()
    return isDone
  }

  async remove(id: string): Promise<boolean> {
    await this.#noticeStep()
    const isDone = await this.#write('removing', () => {
      const row = this.#reader.known(id)
      if (row === undefined || this.#isHeld(row)) return false
      this.#sql.delete.run(row.seq as number)
      if (Number(row.state) !== STATE.completed) this.#tally.add(-1)
      this.#promote(row.key)
      return true
    })
    if (isDone) this.#watch.wake()
    return isDone
  }

  watch(wake: () => void): () => void {
    return this.#watch.add(wake)
  }

  async close(): Promise<void> {
    await this.#journal.settled(this.#settings.name)
    this.#journal.participants.delete(this.#tally)
    this.#release()
  }

  /** Before anything else: what happened to the file and to the wall clock since it was last used. */
  setUp(): void {
    this.#mend()
    this.#sql.mendStates.run(this.#queue)
    this.#sql.mendLanes.run(this.#queue)
    this.#tally.begin()
    this.#tally.recount()
    this.#tally.commit()
  }

  #add(job: NewJob): Added {
    const { size } = this.#tally
    const { maxSize } = this.#settings
    const isFull = size >= maxSize
    if (isFull || !this.#insert(job)) {
      if (this.#reader.known(job.id) !== undefined) return 'duplicate'
      if (isFull) return { size, maxSize, dead: this.#reader.dead }
      // Completed, and remembered for long enough.
      const old = this.#reader.find(job.id) as Row
      this.#sql.delete.run(old.seq as number)
      this.#insert(job)
    }
    this.#tally.add(1)
    return 'added'
  }

  #insert({ id, payload, key, context, enqueuedAt, dueAt, isDueAtFixed }: NewJob): boolean {
    const state = this.#isKeyTaken(key ?? null) ? STATE.blocked : STATE.ready
    const { changes } = this.#sql.insert.run(
      this.#queue,
      id,
      state,
      key ?? null,
      payload,
      Object.keys(context).length === 0 ? null : JSON.stringify(context),
      enqueuedAt,
      dueAt,
      isDueAtFixed ? null : enqueuedAt,
    )
    return Number(changes) === 1
  }

  #take(limit: number, leaseTime: number): Taken {
    const now = this.#clock.now()
    if (this.#clock.distrust === 0) this.#takeBack(limit, now)
    const lease = `${this.#owner}-${this.#takings++}-`
    const until = now + leaseTime
    const rows = this.#sql.take.all(lease, until, leaseTime, this.#queue, now, limit) as Row[]
    // In no particular order, says SQLite.
    rows.sort((a, b) => a.due_at - b.due_at || Number(a.seq) - Number(b.seq))
    return { jobs: rows.map(takenFrom), lookAgain: this.#nextLook() }
  }

  /** Jobs whose holder gave no sign of life. Their attempt counts, and is noted as lost. */
  #takeBack(limit: number, now: number): void {
    const rows = this.#sql.runOut.all(this.#queue, now, limit) as Row[]
    for (const { seq, attempts, errors } of rows) {
      const record = lostRecord(Number(attempts), now)
      this.#sql.release.run(now, withError(errors, record), seq as number)
    }
  }

  /** Undefined when the lease was lost. */
  #settle(token: string, end: Settlement): { readonly mayFreeOthers: boolean } | undefined {
    const { seq, lease } = leaseOf(token)
    const row = this.#sql.leased.get(seq, lease) as Pick<Row, 'key' | 'errors'> | undefined
    if (row === undefined) return undefined
    const mayFreeOthers = row.key !== null || end.kind === 'again'
    if (end.kind === 'completed') {
      this.#complete(seq, row.key, end.at)
      return { mayFreeOthers }
    }
    const errors = end.error === undefined ? row.errors : withError(row.errors, end.error)
    const uncounted = end.counts ? 0 : 1
    if (end.kind === 'again') {
      this.#sql.again.run(end.dueAt, this.#clock.now(), uncounted, errors as string | null, seq)
    } else {
      this.#sql.bury.run(end.at, end.reason, uncounted, errors as string | null, seq)
      this.#promote(row.key)
    }
    return { mayFreeOthers }
  }

  #complete(seq: number, key: string | null, at: number): void {
    if (this.#settings.keepCompleted === 0) this.#sql.delete.run(seq)
    else {
      this.#sql.complete.run(at, seq)
      // Two for each that comes: the remembered cannot pile up, and none pays for many.
      this.#sql.forget.run(this.#queue, this.#reader.forgottenAt, 2)
    }
    this.#tally.add(-1)
    this.#promote(key)
  }

  /** Whether somebody has it who still gives signs of life. */
  #isHeld({ state, lease_until: until }: Row): boolean {
    if (Number(state) !== STATE.active) return false
    return this.#clock.distrust > 0 || (until ?? 0) > this.#clock.now()
  }

  async #noticeStep(): Promise<void> {
    if (this.#clock.hasStepped()) await this.#write('mending after a clock step', this.#stepped)
  }

  /** The wall clock was stepped while jobs were in somebody's hands. */
  readonly #stepped = (): void => {
    this.#mend()
    const row = this.#sql.longestLease.get(this.#queue) as { at: number | null }
    this.#clock.distrustLeases(row.at ?? 0)
  }

  /** Times that a clock set back has left in the future. */
  #mend(): void {
    const now = this.#clock.now()
    this.#sql.mendDue.run(now, now, this.#queue, now + STEP)
    this.#sql.mendLeases.run(now, this.#queue, now + STEP)
  }

  /** The next of a key, when the one before it is out of the way. */
  #promote(key: string | null): void {
    if (key !== null) this.#sql.promote.run(this.#queue, key)
  }

  #isKeyTaken(key: string | null): boolean {
    return key !== null && this.#sql.isKeyTaken.get(this.#queue, key) !== undefined
  }

  /** In how many ms something may be due: 0 if something is. */
  #nextLook(): number {
    const now = this.#clock.now()
    const at = (row: unknown): number =>
      (row as { at: number | null }).at ?? Number.POSITIVE_INFINITY
    const due = at(this.#sql.nextDue.get(this.#queue)) - now
    const runOut = Math.max(at(this.#sql.nextRunOut.get(this.#queue)) - now, this.#clock.distrust)
    return Math.max(0, Math.min(due, runOut))
  }

  #write<T>(what: string, work: () => T): Promise<T> {
    return this.#journal.write(this.#settings.name, what, work)
  }

  #read<T>(what: string, work: () => T): Promise<T> {
    return this.#journal.read(this.#settings.name, what, work)
  }
}
