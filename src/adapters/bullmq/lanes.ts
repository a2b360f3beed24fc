/**
 * Order per key, which BullMQ itself has only in its commercial version: one job of a key at a time, in the
 * order in which they were accepted.
 *
 * Each key has a job of its own in a queue beside (nobody works it off), and its log, to which BullMQ appends
 * in one step, is the order. A job may run when it is the first in its log that is not over. One that is
 * taken too early is parked as a delayed job, without an attempt; whoever ends a job lets the next one go.
 * If he dies before, the next one goes by itself when its parking time is over. Who ends the last job of a key
 * takes its log away.
 */
import { systemClock } from '../../core/clock.ts'
import type { StoredJob } from '../../resources/deferred-queue/store.ts'
import { isLost } from './endings.ts'
import type { Link } from './link.ts'
import { bullId, type Envelope, ledgerOf, machineTime, unseal } from './record.ts'
import type { BullBackend } from './shapes.ts'

/** Rows that are read at a time. */
const PAGE = 50
/** So many rows that are over are cut off at once, and so many are left: others may append meanwhile. */
const CUT_FROM = 300
const CUT_TO = 150
/** How long the job that is next to run is parked, in ms; the second one twice as long, and so on. */
const PARKING = 2_000
const LONGEST_PARKING = 3_600_000
const MOST_REMEMBERED = 10_000
/** How long the mark of somebody who takes a log away holds, should he die, and how soon it is looked again, in ms. */
const MARK_LIFE = 2_000
const LOOK_AGAIN = 20
/** BullMQ's code for a job that is not there. */
const MISSING = -1
/** PostgreSQL's code for a number that is taken. */
const DUPLICATE = '23505'

interface Row {
  readonly nonce: string
  readonly id: string
}

interface Head {
  readonly row: Row | undefined
  /** The rows behind it, as far as they were read. */
  readonly behind: readonly Row[]
  /** Rows from it to the end of the log. */
  readonly length: number
  /** Rows before it, all of them over. */
  readonly over: number
  readonly total: number
}

export class Lanes {
  readonly #link: Link
  readonly #uniqueId: () => string
  /** Rows that are over; that is final. */
  readonly #over = new Set<string>()
  /** Keys in which a job is over and the next one may not have been let go. */
  readonly #owed = new Set<string>()
  #side: BullBackend | undefined

  constructor(link: Link, uniqueId: () => string) {
    this.#link = link
    this.#uniqueId = uniqueId
  }

  /** Puts a job that was stored behind the others of its key, unless it is in the log. */
  async append(envelope: Envelope): Promise<void> {
    const { key, nonce, id } = envelope
    if (key === undefined) return
    const row = `${nonce} ${id}`
    let isThere = await this.#hasRow(keyId(key), row)
    do {
      if (!isThere) await this.#addRow(keyId(key), row)
      // Who takes the log away marks it before he looks. So who looks for his mark after writing, and then for
      // the row, has been seen by him, or sees what he has done.
      while (await this.#isMarked(keyId(key))) await pause()
      isThere = await this.#hasRow(keyId(key), row)
    } while (!isThere)
  }

  /** How long a job of a key has to be parked, in ms; 0 if it may run. */
  async parking(envelope: Envelope): Promise<number> {
    const { key, nonce } = envelope
    if (key === undefined) return 0
    for (;;) {
      const { row, behind, length } = await this.#head(key)
      if (row?.nonce === nonce) return 0
      const place = behind.findIndex((other) => other.nonce === nonce) + 1
      // Taken before its row was written, or its enqueue has died in between.
      if (place === 0) await this.append(envelope)
      if (row !== undefined) return Math.min(PARKING * (place || length), LONGEST_PARKING)
    }
  }

  /** A job of a key is over: the next one may go. What fails is made up for by `settleDebts`. */
  async advance(envelope: Envelope | undefined): Promise<void> {
    const key = envelope?.key
    if (envelope === undefined || key === undefined) return
    this.#remember(envelope.nonce)
    this.#owed.add(key)
    await this.settleDebts()
  }

  /** Lets those go whom nobody could let go when it was time. */
  async settleDebts(): Promise<void> {
    for (const key of this.#owed) {
      this.#owed.delete(key)
      try {
        await this.#goOn(key)
      } catch {
        this.#owed.add(key)
        return
      }
    }
  }

  /** The job as it is seen from outside: blocked, if another one of its key has to go first. */
  async withBlocked(job: StoredJob, envelope: Envelope | undefined): Promise<StoredJob> {
    if (envelope?.key === undefined) return job
    if (job.state !== 'waiting' && job.state !== 'delayed') return job
    const { row } = await this.#head(envelope.key)
    return row === undefined || row.nonce === envelope.nonce ? job : { ...job, state: 'blocked' }
  }

  /** How many jobs are blocked, by the state in which BullMQ has them. Reads every log. */
  async countBlocked(): Promise<{ readonly waiting: number; readonly delayed: number }> {
    const [keys = []] = await this.#keys.getRanges(['waiting'], 0, -1, true)
    let waiting = 0
    let delayed = 0
    for (const id of keys) {
      const { logs } = await this.#keys.getJobLogs(id, 0, -1, true)
      const rows = logs.map(readRow).filter((row) => row !== undefined)
      const over = await Promise.all(rows.map((row) => this.#isOver(row as Row)))
      const [, ...behind] = rows.filter((_, at) => !over[at])
      const states = await Promise.all(
        behind.map((row) => this.#link.backend.getState(bullId((row as Row).id))),
      )
      for (const state of states) {
        if (state === 'delayed') delayed++
        else if (state === 'waiting') waiting++
      }
    }
    return { waiting, delayed }
  }

  get #keys(): BullBackend {
    this.#side ??= this.#link.backend.forQueue(`${this.#link.name}.keys`)
    return this.#side
  }

  async #goOn(key: string): Promise<void> {
    const { row, over, total } = await this.#head(key)
    if (row === undefined) return this.#takeAway(key)
    await this.#letGo(row)
    if (over > CUT_FROM) await this.#keys.clearLogs(keyId(key), total - over + CUT_TO)
  }

  /** Takes the log of a key away, unless somebody has just written to it, or is taking it away himself. */
  async #takeAway(key: string): Promise<void> {
    const id = markId(keyId(key))
    const at = machineTime()
    const by = this.#uniqueId()
    await this.#addJob(id, 'mark', JSON.stringify({ by }))
    if (!(await this.#keys.getJobData(id))?.data?.includes(by)) {
      await this.#isMarked(keyId(key))
      return
    }
    const { row } = await this.#head(key)
    const isInTime = machineTime() - at < MARK_LIFE / 2
    if (row === undefined && isInTime) await this.#keys.remove(keyId(key), false)
    await this.#keys.remove(id, false)
  }

  /** Whether somebody is taking the log away. The mark of one who has died doing so is forgotten. */
  async #isMarked(logId: string): Promise<boolean> {
    const mark = await this.#keys.getJobData(markId(logId))
    if (mark === undefined) return false
    const age = machineTime() - (mark.timestamp ?? 0)
    if (age < MARK_LIFE) return true
    await this.#keys.remove(markId(logId), false)
    return false
  }

  async #head(key: string): Promise<Head> {
    for (let over = 0; ; ) {
      const { logs, count } = await this.#keys.getJobLogs(keyId(key), over, over + PAGE - 1, true)
      const rows = logs.map(readRow)
      const ended = await Promise.all(rows.map((row) => row === undefined || this.#isOver(row)))
      const first = ended.indexOf(false)
      if (first !== -1) {
        const behind = rows.slice(first + 1).filter((row) => row !== undefined)
        const passed = over + first
        return { row: rows[first], behind, over: passed, total: count, length: count - passed }
      }
      over += logs.length
      if (logs.length < PAGE) return { row: undefined, behind: [], over, total: count, length: 0 }
    }
  }

  async #addRow(id: string, row: string): Promise<void> {
    for (;;) {
      try {
        await this.#keys.addLog(id, row)
        return
      } catch (error) {
        const { code } = error as { code?: unknown }
        // PostgreSQL numbers the rows of a log; two that are appended at once may get the same number.
        if (code === DUPLICATE) continue
        if (code !== MISSING) throw error
        await this.#addJob(id, 'key', '{}')
      }
    }
  }

  /** Nobody works it off: it is there for its log, or to be seen. */
  async #addJob(id: string, name: string, data: string): Promise<void> {
    const job = { id, name, data, opts: { jobId: id }, timestamp: machineTime() }
    await this.#keys.addJob({ ...job, delay: 0, attemptsMade: 0, progress: 0 }, id)
  }

  async #hasRow(id: string, row: string): Promise<boolean> {
    for (let from = 0; ; from += PAGE) {
      const { logs } = await this.#keys.getJobLogs(id, from, from + PAGE - 1, false)
      if (logs.includes(row)) return true
      if (logs.length < PAGE) return false
    }
  }

  /** Takes a job that was parked out of its parking; one that is delayed for its own sake stays. */
  async #letGo({ id }: Row): Promise<void> {
    const { backend } = this.#link
    const job = await backend.getJobData(bullId(id))
    const envelope = job === undefined ? undefined : unseal(job)
    if (job === undefined || envelope === undefined) return
    const dueAt = ledgerOf(job, envelope).dueAt ?? envelope.dueAt
    if (dueAt > machineTime() || (await backend.getState(bullId(id))) !== 'delayed') return
    await backend.promote(bullId(id)).catch((error: unknown) => {
      // Gone meanwhile, or let go by somebody else.
      if (!isLost(error)) throw error
    })
  }

  async #isOver({ nonce, id }: Row): Promise<boolean> {
    if (this.#over.has(nonce)) return true
    const job = await this.#link.backend.getJobData(bullId(id))
    const envelope = job === undefined ? undefined : unseal(job)
    const isOver = envelope?.nonce !== nonce || job?.finishedOn !== undefined
    if (isOver) this.#remember(nonce)
    return isOver
  }

  #remember(nonce: string): void {
    this.#over.add(nonce)
    if (this.#over.size <= MOST_REMEMBERED) return
    for (const oldest of this.#over) {
      this.#over.delete(oldest)
      return
    }
  }
}

function keyId(key: string): string {
  return bullId(key)
}

function markId(logId: string): string {
  return `mark.${logId}`
}

function pause(): Promise<void> {
  return new Promise((resolve) => systemClock.setTimer(resolve, LOOK_AGAIN))
}

function readRow(text: string): Row | undefined {
  const end = text.indexOf(' ')
  return end < 1 ? undefined : { nonce: text.slice(0, end), id: text.slice(end + 1) }
}
