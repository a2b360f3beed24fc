/**
 * How a job lies in BullMQ. What does not change is its data; what each attempt leaves behind is in its
 * stack trace, because that alone is written in the same step that ends an attempt, on every backend.
 */
import { systemClock } from '../../core/clock.ts'
import type { DeadReason, JobContext, JobError, JobState } from '../../core/deferred-queue.ts'
import type { NewJob, StoredJob } from '../../resources/deferred-queue/store.ts'
import { lostRecord } from '../../resources/deferred-queue/verdict.ts'
import type { BullJob } from './shapes.ts'

/** Wall-clock ms. BullMQ reads the clock of the machine, so what is compared with its times does as well. */
export function machineTime(): number {
  return systemClock.wallTime()
}

/** Of another version nothing is understood, so it is not touched. */
const VERSION = 1

/** The data of a job. */
export interface Envelope {
  readonly v: typeof VERSION
  readonly id: string
  /** Tells this storing of the id from every other one. */
  readonly nonce: string
  /** JSON as text: PostgreSQL's jsonb would change or refuse some of it. Absent once completed. */
  readonly payload?: string
  readonly key?: string
  readonly context: JobContext
  readonly enqueuedAt: number
  readonly dueAt: number
  /** Leases that had run out before the job was requeued: they count no longer. */
  readonly forgiven?: number
  /** What it had failed with before it was requeued. */
  readonly errors?: readonly JobError[]
}

/** What the attempts have left behind. */
export interface Ledger {
  /** Whose attempts: those before a requeue are another storing's. */
  readonly nonce: string
  /** The lease under which it was written. */
  readonly by?: string
  readonly dueAt?: number
  readonly reason?: DeadReason
  /** 1 when the end of the job was not an attempt of it. */
  readonly unmade?: 1
  readonly errors: readonly JobError[]
  /** Leases that had run out when it was written, and are among the errors. */
  readonly lost?: number
}

/** BullMQ's ids must not be numbers and must not contain colons. */
export function bullId(id: string): string {
  const coded = (unit: string): string => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `j.${id.replace(/[^\w.~-]/g, coded)}`
}

/** Undoes {@link bullId}; an id that somebody else has made stays as it is. */
export function ownId(id: string): string {
  if (!id.startsWith('j.')) return id
  return id
    .slice(2)
    .replace(/%([0-9a-f]{4})/g, (_, unit: string) => String.fromCharCode(Number.parseInt(unit, 16)))
}

export function seal(job: NewJob, nonce: string): Envelope {
  const { id, payload, key, context, enqueuedAt, dueAt } = job
  return {
    v: VERSION,
    id,
    nonce,
    payload,
    ...(key === undefined ? {} : { key }),
    context,
    enqueuedAt,
    dueAt,
  }
}

/** What it was sealed with, or undefined if that cannot be read. */
export function unseal(job: BullJob): Envelope | undefined {
  const data = parse(job.data) as Partial<Envelope> | undefined
  if (typeof data !== 'object' || data === null || data.v !== VERSION) return undefined
  const readable =
    typeof data.id === 'string' &&
    typeof data.nonce === 'string' &&
    typeof data.enqueuedAt === 'number' &&
    typeof data.dueAt === 'number' &&
    typeof data.context === 'object' &&
    data.context !== null
  return readable ? (data as Envelope) : undefined
}

/** What the attempts of this storing have left. */
export function ledgerOf(job: BullJob, envelope: Envelope | undefined): Ledger {
  const nonce = envelope?.nonce ?? ''
  const rows = parse(job.stacktrace)
  const ledger = Array.isArray(rows) ? (parse(rows[0]) as Partial<Ledger> | undefined) : undefined
  return ledger?.nonce === nonce && Array.isArray(ledger.errors)
    ? (ledger as Ledger)
    : { nonce, errors: envelope?.errors ?? [] }
}

/** A ledger as BullMQ keeps it. */
export function ledgerField(ledger: Ledger): string {
  return JSON.stringify([JSON.stringify(ledger)])
}

const MOST_ERRORS = 10

export function addError(
  errors: readonly JobError[],
  error: JobError | undefined,
): readonly JobError[] {
  return error === undefined ? errors : [...errors, error].slice(-MOST_ERRORS)
}

/** What a job has failed with, and each lease that has run out since that was written. */
export function errorsOf(job: BullJob, envelope: Envelope | undefined): readonly JobError[] {
  const { errors, lost = 0 } = ledgerOf(job, envelope)
  const unnoted = lostLeases(job, envelope) - lost
  const ended = endedAttempts(job, envelope)
  let all = errors
  for (let before = unnoted - 1; before >= 0; before--) {
    all = addError(all, lostRecord(ended - before, job.processedOn ?? 0))
  }
  return all
}

export function lostLeases(job: BullJob, envelope: Envelope | undefined): number {
  return (job.stalledCounter ?? 0) - (envelope?.forgiven ?? 0)
}

/**
 * Attempts that have ended: those that were settled, and those whose lease ran out.
 * BullMQ counts both in the same step that ends them.
 */
export function endedAttempts(job: BullJob, envelope: Envelope | undefined): number {
  return (job.attemptsMade ?? 0) + lostLeases(job, envelope)
}

export function storedJob(job: BullJob, bullJobId: string, state: JobState): StoredJob {
  const envelope = unseal(job)
  const ledger = ledgerOf(job, envelope)
  const ended = endedAttempts(job, envelope)
  const attempts = state === 'active' ? ended + 1 : ended
  const over = state === 'dead' || state === 'completed'
  const dueAt = ledger.dueAt ?? envelope?.dueAt ?? job.timestamp ?? 0
  return {
    id: envelope?.id ?? ownId(bullJobId),
    state: state === 'waiting' && dueAt > machineTime() ? 'delayed' : state,
    payload: state === 'completed' ? undefined : envelope?.payload,
    key: envelope?.key,
    context: envelope?.context ?? {},
    attempts: state === 'dead' ? attempts - (ledger.unmade ?? 0) : attempts,
    enqueuedAt: envelope?.enqueuedAt ?? job.timestamp ?? 0,
    dueAt,
    errors: errorsOf(job, envelope),
    endedAt: over ? job.finishedOn : undefined,
    reason: state === 'dead' ? (ledger.reason ?? 'unreadable') : undefined,
  }
}

function parse(text: unknown): unknown {
  if (typeof text !== 'string') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
