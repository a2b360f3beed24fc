/**
 * Stop waiting: a call that takes too long is answered with an error, and told to stop.
 * Inside a retry it limits each attempt, outside it limits all of them together.
 */
import { checkOption, duration as milliseconds, readOptions } from '../core/options.ts'
import type { Policy } from '../core/policy.ts'
import type { Traits } from '../core/step.ts'
import { type CommonOptions, commonChecks, StepPolicy } from '../core/step-policy.ts'

/** Options of {@link timeout}. */
export interface TimeoutOptions extends CommonOptions {
  /** How long to wait, in ms, above 0; `Infinity` for no limit. */
  readonly duration: number
}

/** Limits how long a call may take. */
export interface Timeout extends Policy {
  /** The limit, in ms. */
  readonly duration: number
}

/**
 * Stops waiting for an answer after a while, and aborts the signal of the function.
 *
 * At the limit the call rejects with `TimeoutError` even if the function takes no notice; its
 * `context.signal` is aborted with the same error. A function that ignores the signal goes on running:
 * its late answer is dropped, and a bulkhead keeps its slot until it has ended.
 *
 * The limit is never enforced early, and about 10 ms late at most while the event loop is free. When the
 * loop was blocked past it and the answer is already there, the answer wins.
 *
 * **Use it** around everything that leaves the process: innermost for each attempt, outermost in total.
 * **Not for** work on the processor: a busy event loop cannot be interrupted.
 *
 * **Watch out:** after a timeout the outcome is unknown. The payment may have gone through.
 *
 * @param limit - How long to wait, in ms, above 0; or options.
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { timeout } from 'holdfast'
 * import { virtualClock } from 'holdfast/testing'
 *
 * const clock = virtualClock()
 * const answer = timeout({ duration: 100, clock }).execute(() => new Promise(() => {}))
 * answer.catch(() => {})
 * await clock.advance(100)
 * await answer.catch((error) => error.code) // => 'ERR_TIMEOUT'
 * ```
 */
export function timeout(limit: number | TimeoutOptions): Timeout {
  if (typeof limit !== 'object' && limit !== undefined) {
    checkOption('timeout', 'duration', limit, checks.duration)
    return new TimeoutPolicy({ duration: limit })
  }
  return new TimeoutPolicy(readOptions('timeout', limit, checks))
}

const checks = { ...commonChecks, duration: milliseconds({ zero: false, infinite: true }) }

class TimeoutPolicy extends StepPolicy implements Timeout {
  readonly passive = true
  readonly duration: number
  override readonly traits: Traits

  constructor(options: TimeoutOptions) {
    super('timeout', options)
    this.duration = options.duration
    this.traits = { limits: options.duration }
  }
}
