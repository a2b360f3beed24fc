/**
 * A sliding window over the last n outcomes: a ring of bytes with running totals.
 * What is pushed out is subtracted, so every operation costs the same whatever the size.
 */

import { checkOption, count } from './options.ts'
import {
  type CountSnapshot,
  checkSnapshot,
  type OutcomeWindow,
  type Untrusted,
} from './outcome-window.ts'

/** Remembers the last `size` outcomes. */
export interface CountWindow {
  readonly type: 'count'
  /** How many outcomes are remembered, 1 to 1,000,000. */
  readonly size: number
}

/**
 * Describes a window over the last `size` calls.
 *
 * **Use it** when traffic is steady or rare: it always judges the same number of calls.
 * **Not for** bursts with long pauses: an outcome stays, however old, until newer ones push it out.
 *
 * @param size - How many outcomes are remembered, 1 to 1,000,000.
 * @throws RangeError if the size is out of range.
 *
 * @example
 * ```ts
 * import { countWindow } from 'holdfast'
 *
 * countWindow(100) // => { type: 'count', size: 100 }
 * ```
 */
export function countWindow(size: number): CountWindow {
  checkOption('countWindow', 'size', size, windowSize)
  return Object.freeze({ type: 'count', size })
}

const windowSize = count(1, 1_000_000)

const failedBit = 1
const slowBit = 2

/** The window that {@link countWindow} describes. Does not look at the time. */
export class RecentCalls implements OutcomeWindow {
  readonly #ring: Uint8Array
  #next = 0
  #total = 0
  #failures = 0
  #slow = 0

  constructor(size: number) {
    this.#ring = new Uint8Array(size)
  }

  record(failed: boolean, slow: boolean): void {
    this.#add((failed ? failedBit : 0) | (slow ? slowBit : 0))
  }

  addSuccess(): boolean {
    if (this.#failures > 0 || this.#slow > 0) return false
    this.#add(0)
    return true
  }

  get saturated(): boolean {
    return this.#total === this.#ring.length && this.#failures === 0 && this.#slow === 0
  }

  total(): number {
    return this.#total
  }

  failures(): number {
    return this.#failures
  }

  slow(): number {
    return this.#slow
  }

  reset(): void {
    this.#total = 0
    this.#failures = 0
    this.#slow = 0
  }

  snapshot(): CountSnapshot {
    const { length } = this.#ring
    const oldest = this.#next - this.#total + length
    const outcomes = Array.from(
      { length: this.#total },
      (_, age) => this.#ring[(oldest + age) % length] as number,
    )
    return { type: 'count', outcomes }
  }

  restore(snapshot: unknown): void {
    const { outcomes } = checkSnapshot<CountSnapshot>(snapshot, 'count', isGood)
    this.reset()
    for (const outcome of outcomes) this.#add(outcome)
  }

  #add(outcome: number): void {
    const ring = this.#ring
    if (this.#total === ring.length) {
      const oldest = ring[this.#next] as number
      this.#failures -= oldest & failedBit
      this.#slow -= oldest >> 1
    } else {
      this.#total++
    }
    ring[this.#next] = outcome
    this.#failures += outcome & failedBit
    this.#slow += outcome >> 1
    this.#next = this.#next + 1 === ring.length ? 0 : this.#next + 1
  }
}

function isGood({ outcomes }: Untrusted<CountSnapshot>): boolean {
  if (!Array.isArray(outcomes)) return false
  for (const outcome of outcomes) {
    if (!(Number.isInteger(outcome) && outcome >= 0 && outcome <= (failedBit | slowBit)))
      return false
  }
  return true
}
