/** Rows to jobs. What cannot be read is left out, so that one bad row never hides the others. */
import type { DeadReason, JobContext, JobError, JobState } from '../../core/deferred-queue.ts'
import type { StoredJob, TakenJob } from '../../resources/deferred-queue/store.ts'
import { STATE } from './schema.ts'

/** A row of `holdfast_jobs`. A handle may give numbers as bigint. */
export interface Row {
  readonly seq: number | bigint
  readonly id: string
  readonly state: number | bigint
  readonly key: string | null
  readonly payload: unknown
  readonly context: unknown
  readonly enqueued_at: number
  readonly due_at: number
  readonly attempts: number | bigint
  readonly lease: string | null
  readonly lease_until: number | null
  readonly errors: unknown
  readonly ended_at: number | null
  readonly reason: string | null
}

/** Most failures kept of a job. */
const MOST_ERRORS = 10

export function takenFrom(row: Row): TakenJob {
  return { ...jobFrom(row), token: `${row.seq}:${row.lease}` }
}

export function storedFrom(row: Row, now: number): StoredJob {
  return {
    ...jobFrom(row),
    state: stateOf(Number(row.state), Number(row.due_at) <= now),
    endedAt: row.ended_at === null ? undefined : Number(row.ended_at),
    reason: (row.reason ?? undefined) as DeadReason | undefined,
  }
}

/** The errors of a job as they are stored, with one more. */
export function withError(stored: unknown, error: JobError): string {
  return JSON.stringify([...errorsFrom(stored), error].slice(-MOST_ERRORS))
}

/** The parts of a token. */
export function leaseOf(token: string): { readonly seq: number; readonly lease: string } {
  const colon = token.indexOf(':')
  return { seq: Number(token.slice(0, colon)), lease: token.slice(colon + 1) }
}

function jobFrom(row: Row): Omit<TakenJob, 'token'> {
  return {
    id: row.id,
    payload: typeof row.payload === 'string' ? row.payload : undefined,
    key: row.key ?? undefined,
    context: read<JobContext>(row.context, isObject) ?? {},
    attempts: Number(row.attempts),
    enqueuedAt: Number(row.enqueued_at),
    dueAt: Number(row.due_at),
    errors: errorsFrom(row.errors),
  }
}

function errorsFrom(stored: unknown): readonly JobError[] {
  return read<JobError[]>(stored, Array.isArray) ?? []
}

function stateOf(state: number, isDue: boolean): JobState {
  if (state === STATE.ready) return isDue ? 'waiting' : 'delayed'
  return STATES[state] ?? 'dead'
}

const STATES: Readonly<Record<number, JobState>> = {
  [STATE.active]: 'active',
  [STATE.blocked]: 'blocked',
  [STATE.dead]: 'dead',
  [STATE.completed]: 'completed',
}

function read<T>(text: unknown, isGood: (value: unknown) => boolean): T | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isGood(value) ? (value as T) : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
