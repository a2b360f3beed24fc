/** The errors of whatever governs how much is sent: not called, because it would be too much. */
import { RejectedError } from './errors.ts'

/** The facts of a rate limit that let nobody pass. */
export interface RateFacts {
  /** Until a call like this one may pass, in ms; `Infinity` for one that weighs more than ever may. */
  readonly retryAfter: number
  readonly limit: number
  readonly interval: number
  /** Calls that waited in the queue. */
  readonly queued: number
  readonly maxQueue: number
  /** How long this call waited in the queue, in ms. */
  readonly waited: number
}

/** The rate limit is used up, and no turn would come in time. Not called. */
export class RateLimitedError extends RejectedError {
  override readonly name = 'RateLimitedError'
  readonly code = 'ERR_RATE_LIMITED'
  /** Time until a call like this one may pass, in ms; `Infinity` if it weighs more than ever may. */
  readonly retryAfter: number
  /** Calls, or their weight, per interval. */
  readonly limit: number
  /** In ms. */
  readonly interval: number
  /** Calls that waited in the queue. */
  readonly queued: number
  readonly maxQueue: number
  /** How long this call waited in the queue, in ms; 0 when it was refused at once. */
  readonly waited: number

  constructor(policy: string, facts: RateFacts) {
    const { retryAfter, limit, interval, queued, maxQueue, waited } = facts
    const rate = `${limit} per ${interval} ms`
    const wait = waited > 0 ? `, no turn within ${Math.round(waited)} ms` : ''
    const why =
      retryAfter === Number.POSITIVE_INFINITY
        ? `the call weighs more than ever may pass at once (${rate}); not called; split it, or raise the limit`
        : `${rate} used up${wait} (${queued} of ${maxQueue} queued), next turn in ${Math.ceil(retryAfter)} ms; not called; slow down, or raise limit if the other side allows more`
    super(policy, `rate limit "${policy}": ${why}`)
    this.retryAfter = retryAfter
    this.limit = limit
    this.interval = interval
    this.queued = queued
    this.maxQueue = maxQueue
    this.waited = waited
  }
}

/** The dependency accepts only a part of the calls, and this one was not sent. */
export class ThrottledError extends RejectedError {
  override readonly name = 'ThrottledError'
  readonly code = 'ERR_THROTTLED'
  /** The chance of a call to be rejected at that moment, 0 to 1. */
  readonly rejection: number
  /** Calls of the window, those that were rejected by the throttle included. */
  readonly requests: number
  /** Calls of the window that the dependency accepted. */
  readonly accepts: number

  constructor(policy: string, rejection: number, requests: number, accepts: number) {
    super(
      policy,
      `throttle "${policy}": the dependency accepts ${accepts} of ${requests} calls, so ${Math.round(rejection * 100)} % are not sent; not called; send less, or look after the dependency`,
    )
    this.rejection = rejection
    this.requests = requests
    this.accepts = accepts
  }
}
