/** What is in the queue, for whoever looks. */
import type { JobState, ListOptions } from '../../core/deferred-queue.ts'
import type { StoredJob } from '../../resources/deferred-queue/store.ts'
import { type Row, storedFrom } from './rows.ts'
import { STATE } from './schema.ts'
import type { Statements } from './statements.ts'
import type { WallClock } from './wall-clock.ts'

/** A part of the jobs. */
export interface StoredJobs {
  readonly jobs: readonly StoredJob[]
  readonly next: string | undefined
}

export class Reader {
  readonly #sql: Statements
  readonly #queue: number
  readonly #clock: WallClock
  readonly #keepCompleted: number

  constructor(sql: Statements, queue: number, clock: WallClock, keepCompleted: number) {
    this.#sql = sql
    this.#queue = queue
    this.#clock = clock
    this.#keepCompleted = keepCompleted
  }

  /** What was completed until then is forgotten, even where its row is still there. */
  get forgottenAt(): number {
    return this.#clock.now() - this.#keepCompleted
  }

  get dead(): number {
    return countOf(this.#sql.countDead.get(this.#queue))
  }

  counts(): Readonly<Record<JobState, number>> {
    const { countReady, countDue, countBlocked, countActive, countCompleted } = this.#sql
    const waiting = countOf(countDue.get(this.#queue, this.#clock.now()))
    return {
      waiting,
      delayed: countOf(countReady.get(this.#queue)) - waiting,
      blocked: countOf(countBlocked.get(this.#queue)),
      active: countOf(countActive.get(this.#queue)),
      dead: this.dead,
      completed: countOf(countCompleted.get(this.#queue, this.forgottenAt)),
    }
  }

  list({ state, limit, after }: ListOptions & { readonly limit: number }): StoredJobs {
    const now = this.#clock.now()
    // One more than asked for says whether the list goes on.
    const rows = this.#rows(state, Number(after ?? -1), limit + 1, now)
    const jobs = rows.slice(0, limit)
    const next = rows.length > limit ? String(jobs.at(-1)?.seq) : undefined
    return { jobs: jobs.map((row) => storedFrom(row, now)), next }
  }

  get(id: string): StoredJob | undefined {
    const row = this.known(id)
    return row && storedFrom(row, this.#clock.now())
  }

  /** A job that the queue knows. */
  known(id: string): Row | undefined {
    const row = this.find(id)
    if (row === undefined || Number(row.state) !== STATE.completed) return row
    return (row.ended_at ?? 0) > this.forgottenAt ? row : undefined
  }

  /** Its row, also when it is forgotten. */
  find(id: string): Row | undefined {
    return this.#sql.find.get(this.#queue, id) as Row | undefined
  }

  #rows(state: JobState | undefined, after: number, limit: number, now: number): Row[] {
    const { list, listState, listDue, listDelayed } = this.#sql
    const queue = this.#queue
    if (state === undefined) return list.all(queue, after, this.forgottenAt, limit) as Row[]
    if (state === 'waiting') return listDue.all(queue, after, now, limit) as Row[]
    if (state === 'delayed') return listDelayed.all(queue, after, now, limit) as Row[]
    return listState.all(queue, after, STATE[state], this.forgottenAt, limit) as Row[]
  }
}

function countOf(row: unknown): number {
  return Number((row as { readonly n: number | bigint }).n)
}
