/** Errors of the resources for bounded concurrency. */
import { RejectedError } from '../../core/errors.ts'

/** What a limiter was like when it refused. */
export interface LimiterFacts {
  readonly running: number
  readonly queued: number
  readonly concurrency: number
  readonly maxQueue: number
  /** How long nothing had moved, in ms; 0 when there was no place to wait. */
  readonly stalled: number
}

/** There was no place in the line of a limiter, or the line did not move for `stallTimeout`. Not called. */
export class LimiterFullError extends RejectedError {
  override readonly name = 'LimiterFullError'
  readonly code = 'ERR_LIMITER_FULL'
  /** Calls that held a slot. */
  readonly running: number
  /** Calls that stood in line. */
  readonly queued: number
  readonly concurrency: number
  readonly maxQueue: number
  /** How long no slot had come free, in ms; 0 when there was no place to wait. */
  readonly stalled: number

  constructor(limiter: string, facts: LimiterFacts) {
    const { running, queued, concurrency, maxQueue, stalled } = facts
    const why =
      stalled > 0
        ? `no slot came free for ${Math.round(stalled)} ms`
        : 'no slot and no place in line'
    const next =
      stalled > 0
        ? 'a function that waits for its own limiter waits for itself: give inner calls a limiter of their own, or raise stallTimeout if calls take so long'
        : 'shed load, or raise maxQueue'
    super(
      limiter,
      `limiter "${limiter}": ${why} (${running} of ${concurrency} running, ${queued} of ${maxQueue} queued); not called; ${next}`,
    )
    this.running = running
    this.queued = queued
    this.concurrency = concurrency
    this.maxQueue = maxQueue
    this.stalled = stalled
  }
}
