/**
 * What every sliding window of outcomes can do: total, failures and slow calls among the recent ones.
 * Memory is allocated once and no timer runs: time moves when somebody asks.
 * Snapshots are plain JSON that another process, or a window of another size, can restore.
 */

import { show } from './options.ts'

/** Totals over a sliding window. Times are the monotonic ms of one clock; going back counts as 0 ms. */
export interface OutcomeWindow {
  /** Adds the outcome of one call. */
  record(failed: boolean, slow: boolean, now: number): void
  /** Adds a plain success, if nothing but those is remembered. Otherwise false, and adds nothing. */
  addSuccess(now: number): boolean
  /** As long as only plain successes come, nothing changes any more: they need not be added. */
  readonly saturated: boolean
  /** Outcomes remembered. */
  total(now: number): number
  /** Failures among them. */
  failures(now: number): number
  /** Slow calls among them, whether they failed or not. */
  slow(now: number): number
  /** Forgets everything. */
  reset(): void
  /** What is remembered, as plain JSON. Holds ages and no times, so another process can restore it. */
  snapshot(now: number): WindowSnapshot
  /**
   * Replaces what is remembered by a snapshot, which may come from a window of another size:
   * what does not fit is forgotten.
   *
   * @param takenAt - The time of the snapshot on this clock, so `now` less the time that has passed.
   * @throws TypeError if it is no snapshot of this type of window; the window is unchanged.
   */
  restore(snapshot: unknown, takenAt: number): void
}

/** Plain JSON. */
export type WindowSnapshot = CountSnapshot | TimeSnapshot

/** Outcomes, oldest first: 0, plus 1 if it failed, plus 2 if it was slow. */
export interface CountSnapshot {
  readonly type: 'count'
  readonly outcomes: readonly number[]
}

/** Buckets that are not empty, newest first. `age` is the ms since the bucket, or the newest, began. */
export interface TimeSnapshot {
  readonly type: 'time'
  readonly age: number
  readonly buckets: readonly {
    readonly age: number
    readonly total: number
    readonly failures: number
    readonly slow: number
  }[]
}

/**
 * The snapshot, when it is one: of this type, and good by `isGood`, which may trust that it reads
 * an object but nothing else.
 *
 * @throws TypeError if it is not.
 */
export function checkSnapshot<S extends WindowSnapshot>(
  snapshot: unknown,
  type: S['type'],
  isGood: (candidate: Untrusted<S>) => boolean,
): S {
  const candidate = snapshot as Untrusted<S> | null
  if (typeof candidate !== 'object' || candidate === null || candidate.type !== type) {
    throw new TypeError(
      `window: cannot restore, the snapshot must be one of a ${type} window, but was ` +
        show(candidate?.type ?? snapshot),
    )
  }
  if (!isGood(candidate)) {
    throw new TypeError(`window: cannot restore, the snapshot of the ${type} window is damaged`)
  }
  return snapshot as S
}

/** Something that should be an `S` but comes from outside. */
export type Untrusted<S> = { readonly [K in keyof S]?: unknown }
