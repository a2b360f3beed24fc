/**
 * How an attempt ends in BullMQ: done, again later, or set aside, each in one step that only the holder of the
 * lease can make. The step says who made it, so that one whose answer was lost is recognised when it is
 * repeated.
 */
import type { Settlement } from '../../resources/deferred-queue/store.ts'
import {
  addError,
  type Envelope,
  errorsOf,
  type Ledger,
  ledgerField,
  ledgerOf,
  lostLeases,
  machineTime,
  unseal,
} from './record.ts'
import type { BullBackend, BullJob, EndedJob } from './shapes.ts'

/** What is known of a job in somebody's hands. */
export interface InHand {
  readonly bullId: string
  readonly token: string
  readonly job: BullJob
  readonly envelope: Envelope | undefined
  readonly backend: BullBackend
  /** Until when the lease is ours for all we know, in wall-clock ms. */
  heldUntil: number
  /** An earlier attempt to end it got no answer: it may have been done. */
  isUncertain: boolean
}

/** What BullMQ keeps of completed jobs: for so many seconds, or nothing. */
export type Keep = { readonly age: number } | true

/** Ends an attempt; false if the lease was lost. */
export async function endAttempt(held: InHand, end: Settlement, keep: Keep): Promise<boolean> {
  try {
    await move(held, end, keep)
    return true
  } catch (error) {
    if (isLost(error)) return held.isUncertain && isDone(held, end)
    held.isUncertain = true
    throw error
  }
}

/** The job is gone, not active, or locked by somebody else: BullMQ's codes for a lease that was lost. */
export function isLost(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === -1 || code === -2 || code === -3 || code === -6
}

function move(held: InHand, end: Settlement, keep: Keep): Promise<unknown> {
  const { backend, bullId: id, token } = held
  const job: EndedJob = { id, opts: { attempts: 1 } }
  if (end.kind === 'completed') return backend.moveToCompleted(job, token, keep, token, false)
  const ledger = ledgerAfter(held, end)
  if (end.kind === 'dead') {
    const { reason, error } = end
    const why = error === undefined ? reason : `${reason}: ${error.name}: ${error.message}`
    const fields = { stacktrace: ledgerField(ledger) }
    return backend.moveToFailed(job, why, { count: -1 }, token, false, fields)
  }
  const now = machineTime()
  const delay = Math.max(0, Math.round(end.dueAt - now))
  const fieldsToUpdate = { stacktrace: ledgerField(ledger) }
  return backend.moveToDelayed(id, now, delay, token, { skipAttempt: !end.counts, fieldsToUpdate })
}

function ledgerAfter(
  { job, envelope, token }: InHand,
  end: Exclude<Settlement, { kind: 'completed' }>,
): Ledger {
  const { nonce } = ledgerOf(job, envelope)
  const errors = addError(errorsOf(job, envelope), end.error)
  const ledger = { nonce, by: token, errors, lost: lostLeases(job, envelope) }
  if (end.kind === 'again') return { ...ledger, dueAt: end.dueAt }
  return { ...ledger, reason: end.reason, ...(end.counts ? {} : { unmade: 1 as const }) }
}

/** Whether the step that got no answer was made. */
async function isDone(
  { backend, bullId, token, envelope }: InHand,
  end: Settlement,
): Promise<boolean> {
  const job = await backend.getJobData(bullId)
  // A job that nobody else could touch while the lease was ours: it was completed, and not kept.
  if (job === undefined) return end.kind === 'completed'
  if (unseal(job)?.nonce !== envelope?.nonce) return false
  return end.kind === 'completed'
    ? job.returnvalue === JSON.stringify(token)
    : ledgerOf(job, envelope).by === token
}
