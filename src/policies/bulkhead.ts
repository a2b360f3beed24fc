/**
 * Stop crowding: at most so many calls at a time, a few more in line, and everybody else is refused.
 * One part of a system that is slow can then not take the rest down with it.
 */

import {
  checkOption,
  count,
  duration,
  optional,
  positiveInteger,
  readOptions,
} from '../core/options.ts'
import type { Policy } from '../core/policy.ts'
import { type PriorityOption, priorityCheck } from '../core/priority.ts'
import { Semaphore } from '../core/semaphore.ts'
import { SlotPolicy, type SlotStats } from '../core/slot-policy.ts'
import { type CommonOptions, commonChecks } from '../core/step-policy.ts'

/** Options of {@link bulkhead}. */
export interface BulkheadOptions extends CommonOptions {
  /** Calls that may run at the same time, 1 at least. */
  readonly maxConcurrent: number
  /** Calls that may wait in the queue for a slot; 0 refuses at once. @default 0 */
  readonly maxQueue?: number | undefined
  /** Longest time in the queue, in ms, above 0; `Infinity` waits for ever. @default 30_000 */
  readonly maxWait?: number | undefined
  /** Gives up the slot of work that its caller has abandoned, so many ms later. @default Infinity */
  readonly abandonAfter?: number | undefined
  /** Place in line by the arguments of a wrapped function: larger first, -10 to 10. @default 0 for all */
  readonly priority?: PriorityOption | undefined
}

/** How the calls of a bulkhead ended, and who is in it now. */
export type BulkheadStats = SlotStats

/** Limits how many calls run at the same time. */
export interface Bulkhead extends Policy {
  stats(): BulkheadStats
  /** Changes the number of slots: more start waiters at once, fewer stop nobody. */
  resize(maxConcurrent: number): void
}

/**
 * Lets at most `maxConcurrent` calls run at the same time, so that one part that is slow cannot take
 * everything.
 *
 * Beyond that, `maxQueue` calls wait in a queue (by priority, first come first served within one); the
 * rest are refused at once with `BulkheadFullError`, and so is who waits longer than `maxWait`. A freed
 * slot goes to the first in the queue: nobody overtakes. Whoever aborts or times out in the queue leaves it at
 * once. A call that waited runs in its own AsyncLocalStorage context.
 *
 * The slot follows the work, not the caller's patience: after a timeout it stays taken until the
 * function has really ended (`stats().abandoned` counts those), or until `abandonAfter`.
 *
 * **Use it** one per dependency, sized to what the dependency can take.
 * **Not for** calls per second: that is a rate limit.
 *
 * **Watch out:** a call that calls the same full bulkhead from inside waits for itself; `maxWait` ends it.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { bulkhead } from 'holdfast'
 *
 * const slots = bulkhead({ maxConcurrent: 1 })
 * const first = slots.execute(() => new Promise((resolve) => setTimeout(resolve, 5, 'first')))
 * await slots.execute(() => 'second').catch((error) => error.code) // => 'ERR_BULKHEAD_FULL'
 * await first // => 'first'
 * ```
 */
export function bulkhead(options: BulkheadOptions): Bulkhead {
  return new BulkheadPolicy(readOptions('bulkhead', options, checks))
}

const checks = {
  ...commonChecks,
  maxConcurrent: positiveInteger,
  maxQueue: optional(count(0)),
  maxWait: optional(duration({ zero: false, infinite: true })),
  abandonAfter: optional(duration({ infinite: true })),
  priority: optional(priorityCheck),
}

export class BulkheadPolicy extends SlotPolicy implements Bulkhead {
  constructor(options: BulkheadOptions) {
    super('bulkhead', options, new Semaphore(options.maxConcurrent))
  }

  resize(maxConcurrent: number): void {
    checkOption('bulkhead', 'maxConcurrent', maxConcurrent, positiveInteger)
    this.slots.resize(maxConcurrent)
  }
}
