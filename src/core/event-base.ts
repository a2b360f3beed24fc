/**
 * What every event says, and what every event about one call.
 */

/** How a call ended: well, or in one of four ways that names, messages, events and metrics never mix. */
export type Ending = 'succeeded' | 'failed' | 'timedOut' | 'rejected' | 'aborted'

/** What every event says. */
export interface EventBase {
  /** Name of the policy or pipeline that speaks. */
  readonly policy: string
  /** When it happened, in monotonic ms of the policy's clock. */
  readonly at: number
}

/** What an event about one call adds. */
export interface CallEvent extends EventBase {
  /** The pipeline that the call ran in; the policy's own name when it ran alone. */
  readonly pipeline: string
}
