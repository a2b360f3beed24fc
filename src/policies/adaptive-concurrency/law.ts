/**
 * What an adaptive limit goes by: after each window of calls, the next limit. Published arithmetic and
 * nothing else, so that it can be compared with vectors computed elsewhere.
 */

/** What one window of calls was like. */
export interface Sample {
  /** Mean time of a call, in ms. */
  readonly rtt: number
  /** Most calls that ran at the same time. */
  readonly inFlight: number
  /** A call timed out, or was refused by the other side as too much. */
  readonly dropped: boolean
}

export interface Law {
  /** The limit, not rounded. */
  limit: number
  /** The time of a call that waits for nobody, in ms, as far as the law knows one; 0 before. */
  readonly baseline: number
  /** Takes a window into account. */
  update(sample: Sample): void
  /** The time of a call that waits for nobody was measured. */
  rebase(rtt: number): void
}

export interface Bounds {
  readonly minLimit: number
  readonly maxLimit: number
}

/** Clocks may be coarse: what took no time took less than this, in ms. */
export const LEAST_TIME = 0.1

export function bounded(limit: number, { minLimit, maxLimit }: Bounds): number {
  return Math.max(minLimit, Math.min(maxLimit, limit))
}
