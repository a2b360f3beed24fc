/**
 * What one service tells the next about a request, as two headers: how much time is left, and which of
 * how many attempts this is. The time is relative, so that clocks need not agree; both are hints from
 * outside and are read strictly: what is malformed is as good as not there.
 */

/** Milliseconds until the sender stops waiting. */
export const DEADLINE_HEADER = 'x-deadline-ms'
/** `n/m`: the n-th of at most m attempts of the sender. */
export const ATTEMPT_HEADER = 'x-attempt'

/** What a request says about its sender. */
export interface Travelled {
  /** Time left when it was sent, in ms; `Infinity` if nothing is said. */
  readonly remaining: number
  /** Which attempt it is, from 1. */
  readonly attempt: number
  /** How many attempts its sender makes at most. */
  readonly maxAttempts: number
}

/** Longer than a day is no deadline. */
const LONGEST = 86_400_000
const DEADLINE = /^\d{1,9}$/
const ATTEMPT = /^([1-9]\d{0,2})\/([1-9]\d{0,2})$/

/** A sender that says nothing of itself. */
const SILENT: Travelled = { remaining: Number.POSITIVE_INFINITY, attempt: 1, maxAttempts: 1 }

/** Reads the headers of a request, which gives the value of one by its lower-case name. */
export function readTravelled(
  request: { header(name: string): unknown },
  deadlineHeader: string = DEADLINE_HEADER,
): Travelled {
  const time = request.header(deadlineHeader)
  const remaining =
    typeof time === 'string' && DEADLINE.test(time) ? Number(time) : Number.POSITIVE_INFINITY
  const count = request.header(ATTEMPT_HEADER)
  if (time === undefined && count === undefined) return SILENT
  const [, attempt = '1', maxAttempts = '1'] =
    (typeof count === 'string' && ATTEMPT.exec(count)) || []
  const counts = { attempt: Number(attempt), maxAttempts: Number(maxAttempts) }
  return {
    remaining: remaining > LONGEST ? Number.POSITIVE_INFINITY : remaining,
    ...(counts.attempt <= counts.maxAttempts ? counts : { attempt: 1, maxAttempts: 1 }),
  }
}

/** The headers to send; none for what there is nothing to say about. */
export function travelHeaders({
  remaining = Number.POSITIVE_INFINITY,
  attempt = 1,
  maxAttempts = 1,
}: Partial<Travelled>): Record<string, string> {
  const headers: Record<string, string> = {}
  if (remaining <= LONGEST) headers[DEADLINE_HEADER] = String(Math.max(0, Math.floor(remaining)))
  const most = Math.min(Math.floor(maxAttempts), 999)
  if (most > 1)
    headers[ATTEMPT_HEADER] = `${Math.min(Math.max(1, Math.floor(attempt) || 1), most)}/${most}`
  return headers
}
