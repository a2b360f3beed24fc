/**
 * What may pass at a moment, whichever way it is counted. Times are given, never read: an allowance is
 * arithmetic, and moves only when somebody asks.
 */

/** How much may pass in how long. */
export interface Rate {
  /** Weight per interval. */
  readonly limit: number
  /** In ms. */
  readonly interval: number
  /** Weight that may pass at once after a rest. */
  readonly burst: number
}

export interface Allowance {
  /** The heaviest call that can ever pass. */
  readonly capacity: number
  /** Weight that could pass now, 0 at least. */
  available(now: number): number
  /**
   * How long until `weight` may pass when `ahead` goes first, in ms; 0 if now. Exact for calls of one
   * weight. When heavy and light ones mix it may be too short, never too long.
   */
  wait(weight: number, ahead: number, now: number): number
  /** Takes what `wait` said may pass. */
  take(weight: number, now: number): void
  /** Undoes a `take` of that moment. */
  giveBack(weight: number, takenAt: number): void
  /** Another rate from now on; what was taken stays taken. */
  resize(rate: Rate, now: number): void
}

/**
 * What is missing for less than this does not count, in ms: sums of doubles are off by a little, and a
 * timer that woke up for its moment must find that it has come. A thousandth is what a double that counts
 * ms since 1970 still tells apart.
 */
export const TICK = 1e-3
