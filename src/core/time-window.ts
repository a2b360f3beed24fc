/**
 * A sliding window over the last ms: a ring of buckets with running totals.
 * When time has moved on, the buckets that expired are subtracted: at most as many as there are,
 * however long nobody asked.
 */

import { checkOption, count, duration as milliseconds } from './options.ts'
import {
  checkSnapshot,
  type OutcomeWindow,
  type TimeSnapshot,
  type Untrusted,
} from './outcome-window.ts'

/** Remembers the outcomes of the last `duration` ms. */
export interface TimeWindow {
  readonly type: 'time'
  /** How long an outcome is remembered, in ms, 1 at least. */
  readonly duration: number
  /** In how many steps old outcomes are forgotten, 1 to 1,000. @default 10 */
  readonly buckets?: number
}

/**
 * Describes a window over the last `duration` ms.
 *
 * Time is cut into `buckets`; the oldest is forgotten as a whole when a new one begins, so that
 * an outcome is remembered for `duration` at most, and one bucket less at least.
 *
 * **Use it** when traffic comes and goes, and what happened long ago must not count.
 *
 * @param duration - How long an outcome is remembered, in ms, 1 at least.
 * @param buckets - In how many steps it is forgotten, 1 to 1,000; 10 by default.
 * @throws RangeError if one of them is out of range.
 *
 * @example
 * ```ts
 * import { timeWindow } from 'holdfast'
 *
 * timeWindow(60_000) // => { type: 'time', duration: 60_000, buckets: 10 }
 * ```
 */
export function timeWindow(duration: number, buckets = 10): Required<TimeWindow> {
  checkOption('timeWindow', 'duration', duration, windowDuration)
  checkOption('timeWindow', 'buckets', buckets, windowBuckets)
  return Object.freeze({ type: 'time', duration, buckets })
}

const windowDuration = milliseconds({ min: 1 })
const windowBuckets = count(1, 1_000)

/** The window that {@link timeWindow} describes. */
export class RecentTime implements OutcomeWindow {
  /** Per bucket: total, failures, slow. Doubles, because a bucket of a day can outgrow 32 bits. */
  readonly #counts: Float64Array
  readonly #buckets: number
  readonly #width: number
  #origin = 0
  /** Which bucket since the origin is the newest; at first a time before all times. */
  #newest = Number.NEGATIVE_INFINITY
  /** When it was last looked at: within one turn of the loop it is all the same moment. */
  #at = Number.NaN
  /** Where the newest bucket is in the ring. */
  #head = 0
  #total = 0
  #failures = 0
  #slow = 0

  constructor(duration: number, buckets: number) {
    this.#counts = new Float64Array(buckets * 3)
    this.#buckets = buckets
    this.#width = duration / buckets
  }

  record(failed: boolean, slow: boolean, now: number): void {
    this.#advance(now)
    this.#add(this.#head, 1, failed ? 1 : 0, slow ? 1 : 0)
  }

  addSuccess(now: number): boolean {
    this.#advance(now)
    if (this.#failures > 0 || this.#slow > 0) return false
    const at = this.#head * 3
    this.#counts[at] = (this.#counts[at] as number) + 1
    this.#total++
    return true
  }

  /** Never: what time takes away has to be replaced. */
  get saturated(): boolean {
    return false
  }

  total(now: number): number {
    this.#advance(now)
    return this.#total
  }

  failures(now: number): number {
    this.#advance(now)
    return this.#failures
  }

  slow(now: number): number {
    this.#advance(now)
    return this.#slow
  }

  reset(): void {
    this.#counts.fill(0)
    this.#total = 0
    this.#failures = 0
    this.#slow = 0
  }

  snapshot(now: number): TimeSnapshot {
    this.#advance(now)
    const age = Math.max(0, now - this.#origin - this.#newest * this.#width)
    const buckets: TimeSnapshot['buckets'][number][] = []
    for (let back = 0; back < this.#buckets; back++) {
      const at = this.#placeOf(back) * 3
      const total = this.#counts[at] as number
      if (total === 0) continue
      const failures = this.#counts[at + 1] as number
      const slow = this.#counts[at + 2] as number
      buckets.push({ age: age + back * this.#width, total, failures, slow })
    }
    return { type: 'time', age, buckets }
  }

  restore(snapshot: unknown, takenAt: number): void {
    const { age, buckets } = checkSnapshot<TimeSnapshot>(snapshot, 'time', isGood)
    this.reset()
    // The newest bucket begins when it began then, not at a round number of this clock:
    // otherwise everything would be remembered up to one bucket too long or too short.
    this.#origin = takenAt - age
    this.#newest = 0
    this.#at = Number.NaN
    for (const bucket of buckets) {
      const back = Math.round((bucket.age - age) / this.#width)
      if (back >= this.#buckets) continue
      this.#add(this.#placeOf(back), bucket.total, bucket.failures, bucket.slow)
    }
  }

  #add(place: number, total: number, failures: number, slow: number): void {
    const counts = this.#counts
    const at = place * 3
    counts[at] = (counts[at] as number) + total
    counts[at + 1] = (counts[at + 1] as number) + failures
    counts[at + 2] = (counts[at + 2] as number) + slow
    this.#total += total
    this.#failures += failures
    this.#slow += slow
  }

  /** Forgets what has expired. Time that went back is time that stood still. */
  #advance(now: number): void {
    if (now === this.#at) return
    this.#at = now
    const bucket = Math.floor((now - this.#origin) / this.#width)
    const steps = bucket - this.#newest
    if (!(steps > 0)) return
    this.#newest = bucket
    if (steps >= this.#buckets) {
      this.reset()
      return
    }
    for (let step = 0; step < steps; step++) {
      this.#head = this.#head + 1 === this.#buckets ? 0 : this.#head + 1
      this.#empty(this.#head)
    }
  }

  #empty(place: number): void {
    const at = place * 3
    const counts = this.#counts
    this.#total -= counts[at] as number
    this.#failures -= counts[at + 1] as number
    this.#slow -= counts[at + 2] as number
    counts.fill(0, at, at + 3)
  }

  #placeOf(back: number): number {
    return (this.#head - back + this.#buckets) % this.#buckets
  }
}

function isGood({ age, buckets }: Untrusted<TimeSnapshot>): boolean {
  if (!isAge(age) || !Array.isArray(buckets)) return false
  for (const bucket of buckets as (Untrusted<TimeSnapshot['buckets'][number]> | null)[]) {
    if (typeof bucket !== 'object' || bucket === null) return false
    const { total, failures, slow } = bucket
    if (!isAge(bucket.age) || bucket.age < age) return false
    if (!isCount(total) || !isCount(failures) || !isCount(slow)) return false
    if (failures > total || slow > total) return false
  }
  return true
}

function isAge(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
