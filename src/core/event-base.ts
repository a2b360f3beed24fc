/**
 * What every event says, and what every event about one call.
 */

/** Four ways in which a call can go wrong; never mixed in names, messages, events or metrics. */
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
