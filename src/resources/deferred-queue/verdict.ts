/** What becomes of a job whose attempt did not end well: another attempt, a wait that does not count, or the end. */
import { boundDelay } from '../../core/backoff.ts'
import type { DeadReason, Job, JobError } from '../../core/deferred-queue.ts'
import { describeError, isRejection } from '../../core/errors.ts'
import { quiet } from '../../core/events.ts'
import type { RandomSource } from '../../core/random.ts'
import type { ProcessSettings } from './options.ts'

export type Verdict =
  | { readonly kind: 'retry'; readonly delay: number }
  | { readonly kind: 'postpone'; readonly delay: number }
  | { readonly kind: 'dead'; readonly reason: DeadReason }

/** Longest pause that a rejection can ask for, in ms: an isolated circuit says `Infinity`. */
const LONGEST_HOLD = 30_000

/** Longest pause before a retry, 30 days in ms: what waits for ever would be lost in all but name. */
const LONGEST_PAUSE = 2_592_000_000

/** Each so many postponements of one job count as an attempt: it may be the one that opens the circuit. */
const COUNTED_POSTPONEMENT = 20

/** Jobs whose postponements are remembered; the ones remembered longest are forgotten first. */
const MOST_REMEMBERED = 10_000

/** Decides for one worker. */
export class Judge {
  readonly #settings: ProcessSettings
  readonly #random: RandomSource
  readonly #postponed = new Map<string, number>()
  /** Postponements since a job was last run to an end. */
  #inARow = 0

  constructor(settings: ProcessSettings, random: RandomSource) {
    this.#settings = settings
    this.#random = random
  }

  /** The attempt came to an end of its own, good or bad. */
  forget(id: string): void {
    this.#inARow = 0
    this.#postponed.delete(id)
  }

  judge(error: unknown, job: Job): Verdict {
    if (this.#isNotNow(error, job)) return { kind: 'postpone', delay: this.#hold(error) }
    this.forget(job.id)
    const { shouldRetry } = this.#settings
    if (shouldRetry !== undefined && !quiet(shouldRetry(error, job))) {
      return { kind: 'dead', reason: 'not-retryable' }
    }
    if (job.attempt >= this.#settings.maxAttempts) return { kind: 'dead', reason: 'max-attempts' }
    return { kind: 'retry', delay: this.delayBefore(job.attempt) }
  }

  /** Pause before the n-th retry. */
  delayBefore(retry: number): number {
    const state = { random: this.#random, previous: 0 }
    return boundDelay(this.#settings.backoff(retry, state), LONGEST_PAUSE)
  }

  #isNotNow(error: unknown, job: Job): boolean {
    const { shouldPostpone = isRejection } = this.#settings
    // A promise is no answer: to take it for one would postpone every failure for ever.
    if (quiet(shouldPostpone(error, job)) !== true) return false
    const times = (this.#postponed.get(job.id) ?? 0) + 1
    this.#postponed.delete(job.id)
    if (times === COUNTED_POSTPONEMENT) return false
    this.#postponed.set(job.id, times)
    for (const oldest of this.#postponed.keys()) {
      if (this.#postponed.size <= MOST_REMEMBERED) break
      this.#postponed.delete(oldest)
    }
    return true
  }

  /** As long as the rejection says, or ever longer from 100 ms. */
  #hold(error: unknown): number {
    const { retryAfter: asked, state } = (error ?? {}) as { retryAfter?: unknown; state?: unknown }
    // A half-open circuit says how long its trial may take at the most; it will end much sooner.
    if (typeof asked === 'number' && asked > 0 && state !== 'half-open') {
      // Who said how long is no reason to wait longer for who does not say: a whole outage of failed
      // trials would be held against the circuit in the moment in which it closes.
      this.#inARow = 0
      return Math.min(asked, LONGEST_HOLD)
    }
    const own = 100 * 2 ** Math.min(this.#inARow, 10) * (0.8 + 0.4 * this.#random())
    this.#inARow++
    return Math.min(own, LONGEST_HOLD)
  }
}

/** What is kept of a failure: bounded, plain JSON, and never an error itself. */
export function recordOf(error: unknown, attempt: number, at: number): JobError {
  const { name, message, code } = factsOf(error)
  return { attempt, at, name, message: message.slice(0, 1_000), ...code }
}

/** What is kept of an attempt whose lease ran out: for stores, which notice it. */
export function lostRecord(attempt: number, at: number): JobError {
  const message = 'its worker gave no sign of life: the process ended, or stood still'
  return { attempt, at, name: 'LeaseLostError', message, code: 'ERR_LEASE_LOST' }
}

function factsOf(error: unknown): { name: string; message: string; code: { code?: string } } {
  try {
    if (!(error instanceof Error)) return { name: 'Error', message: describeError(error), code: {} }
    const { code } = error as { code?: unknown }
    const isText = typeof code === 'string' && code.length <= 100
    return {
      name: String(error.name).slice(0, 100),
      message: String(error.message),
      code: isText ? { code } : {},
    }
  } catch {
    return { name: 'Error', message: 'an error that cannot be shown', code: {} }
  }
}
