/**
 * Try again, later, a bounded number of times: only what may get better, and never into a dead line.
 */
import { retriedAbove } from '../../core/ambient.ts'
import { type Backoff, boundDelay } from '../../core/backoff.ts'
import { type GaveUp, harmless, quiet } from '../../core/events.ts'
import { judge, type Outcome, retryAfterOf } from '../../core/outcome.ts'
import type { Policy, Stats } from '../../core/policy.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import type { Admission, CallView, Reaction, Traits, Visit } from '../../core/step.ts'
import { StepPolicy } from '../../core/step-policy.ts'
import {
  defaultsOf,
  ownBackoff,
  plannedPauses,
  type RetryInfo,
  type RetryOptions,
  readRetryOptions,
} from './options.ts'

/** How the calls of a retry ended. */
export interface RetryStats extends Stats {
  /** Further tries that were made. */
  readonly retries: number
  /** Calls that succeeded only after a retry. */
  readonly recovered: number
  /** Calls that stopped without success, by reason. */
  readonly gaveUp: Readonly<Record<GaveUp['reason'], number>>
}

/** Makes failed calls again. */
export interface Retry extends Policy {
  stats(): RetryStats
}

/**
 * Makes a failed call again, up to `maxRetries` times, with growing and spread pauses.
 *
 * Retried is what may get better: timeouts, connection errors, 5xx, 408, 429 and errors it knows nothing
 * of. Not retried: other 4xx, programming errors (`TypeError` and kin, unless from `fetch`'s network),
 * a refusal (open circuit, full bulkhead) and the caller's abort. A Retry-After of the server is waited for,
 * up to `maxRetryAfter`. A pause that could not end before the deadline is not begun. The caller gets
 * the last error, as it came.
 *
 * **Use it** outside breaker and timeout, so that each attempt has its own.
 * **Not for** work that must not happen twice, unless it carries an idempotency key.
 *
 * **Watch out:** retries multiply load just when a dependency can bear it least: share a `retryBudget`.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { retry } from 'holdfast'
 *
 * let calls = 0
 * const flaky = async () => {
 *   if (++calls < 3) throw new Error('not yet')
 *   return `after ${calls} calls`
 * }
 * await retry({ baseDelay: 1 }).execute(flaky) // => 'after 3 calls'
 * ```
 */
export function retry(options: RetryOptions = {}): Retry {
  return new RetryPolicy(readRetryOptions(options))
}

/** What is told when nobody is there to hear it. */
const UNTOLD: RetryInfo = { attempt: 0, retriesLeft: 0, elapsed: 0 }

/** Of one call. */
interface Progress {
  retries: number
  previousDelay: number
  deposited: boolean
}

class RetryPolicy extends StepPolicy implements Retry {
  readonly passive: boolean
  readonly usesTime: boolean
  readonly maxRetries: number
  readonly backoff: Backoff
  override readonly traits: Traits
  readonly #options: RetryOptions
  readonly #random: RandomSource
  readonly #maxDelay: number
  readonly #maxRetryAfter: number
  /** Somebody is told how an attempt went: only then is the clock read for it. */
  readonly #tells: boolean
  #retries = 0
  #recovered = 0
  readonly #gaveUp = {
    'not-retryable': 0,
    'max-retries': 0,
    'max-elapsed': 0,
    deadline: 0,
    budget: 0,
    'retried-above': 0,
  }

  constructor(options: RetryOptions) {
    super('retry', options, undefined, defaultsOf(options))
    this.#options = options
    this.maxRetries = options.maxRetries ?? 3
    this.backoff = options.backoff ?? ownBackoff(options)
    this.#random = options.random ?? systemRandom
    // A backoff of one's own has a cap of its own.
    this.#maxDelay = options.maxDelay ?? (options.backoff ? Number.MAX_SAFE_INTEGER : 30_000)
    this.#maxRetryAfter = options.maxRetryAfter ?? options.maxDelay ?? 30_000
    const { beforeAttempt, afterAttempt, shouldRetryResult, budget } = options
    const asks = Boolean(afterAttempt ?? shouldRetryResult ?? budget)
    if (beforeAttempt !== undefined) this.gate.limit = 0
    this.gate.ask(asks)
    this.passive = beforeAttempt === undefined && !asks
    const { maxElapsed = Number.POSITIVE_INFINITY, onRetry, onGiveUp, shouldRetry } = options
    const told = afterAttempt ?? onRetry ?? onGiveUp ?? shouldRetry ?? shouldRetryResult
    this.#tells = told !== undefined || maxElapsed < Number.POSITIVE_INFINITY
    this.usesTime = this.#tells
    const pauses = plannedPauses(this.backoff, this.maxRetries, this.#maxDelay)
    const longestPauses = plannedPauses(
      this.backoff,
      this.maxRetries,
      this.#maxDelay,
      this.#maxRetryAfter,
    )
    this.traits = { repeats: { calls: this.maxRetries + 1, pauses, longestPauses, maxElapsed } }
  }

  /** Only asked when there is a hook to call before the first attempt. */
  admit(call: CallView): Admission {
    this.gate.running++
    this.#beforeAttempt(call, 1, 0)
    return undefined
  }

  /** A plain success, of which nobody but the budget is to be told. */
  passed(): boolean {
    const { afterAttempt, shouldRetryResult, budget } = this.#options
    if (afterAttempt !== undefined || shouldRetryResult !== undefined) return false
    this.gate.running--
    quiet(budget?.deposit())
    return true
  }

  react(outcome: Outcome, visit: Visit): Reaction | undefined {
    visit.memo ??= { retries: 0, previousDelay: 0, deposited: false }
    const progress = visit.memo as Progress
    const { call } = visit
    const info = this.#tells || this.emitter.observed ? this.#info(call, progress) : UNTOLD
    const { afterAttempt, budget } = this.#options
    // A refused call was not sent: it earns nothing.
    if (!progress.deposited && outcome.ending !== 'rejected') {
      progress.deposited = true
      quiet(budget?.deposit())
    }
    if (afterAttempt !== undefined) harmless(afterAttempt, { ...info, ...errorOf(outcome) })

    if (!this.#wantsRetry(outcome, info)) {
      if (outcome.ending === 'succeeded') {
        if (progress.retries > 0) this.#recovered++
        return undefined
      }
      return this.#giveUp('not-retryable', outcome, call, info)
    }
    if (retriedAbove()) return this.#giveUp('retried-above', outcome, call, info)
    if (progress.retries >= this.maxRetries) return this.#giveUp('max-retries', outcome, call, info)

    let delay: number
    try {
      delay = this.#delay(outcome, progress)
    } catch (error) {
      return { kind: 'fail', error }
    }
    const stop = this.#stopsBefore(call, info.elapsed, delay)
    if (stop !== undefined) return this.#giveUp(stop, outcome, call, info)

    progress.retries++
    progress.previousDelay = delay
    this.#retries++
    this.#announce(outcome, call, info, delay)
    const before =
      this.#options.beforeAttempt === undefined
        ? undefined
        : () => this.#beforeAttempt(call, call.calls + 1, progress.retries)
    return { kind: 'again', delay, before }
  }

  override stats(): RetryStats {
    const gaveUp = { ...this.#gaveUp }
    return { ...super.stats(), retries: this.#retries, recovered: this.#recovered, gaveUp }
  }

  #wantsRetry(outcome: Outcome, info: RetryInfo): boolean {
    const { shouldRetry, shouldRetryResult } = this.#options
    try {
      if (outcome.ending === 'succeeded') {
        return quiet(shouldRetryResult?.(outcome.value, info)) === true
      }
      const choice = quiet(shouldRetry?.(outcome.error, info))
      if (choice !== undefined) return choice === true
    } catch {
      // A broken predicate decides nothing: the caller sees what the function gave.
      return false
    }
    return outcome.ending !== 'rejected' && judge(outcome.error) === 'transient'
  }

  /** The backoff's delay, or longer if the server asked for it. */
  #delay(outcome: Outcome, { retries, previousDelay }: Progress): number {
    const random = this.#random
    const own = boundDelay(
      this.backoff(retries + 1, { random, previous: previousDelay }),
      this.#maxDelay,
    )
    const asked = retryAfterOf(outcome.error, () => this.clock.wallTime())
    if (asked === undefined) return own
    // Everybody was told the same moment: spread a little, but only towards later.
    return Math.max(own, Math.min(asked * (1 + 0.1 * random()), this.#maxRetryAfter))
  }

  #stopsBefore(call: CallView, elapsed: number, delay: number): GaveUp['reason'] | undefined {
    const { maxElapsed = Number.POSITIVE_INFINITY, budget } = this.#options
    if (elapsed + delay >= maxElapsed) return 'max-elapsed'
    const { deadline } = call
    if (deadline < Number.POSITIVE_INFINITY && this.clock.now() + delay >= deadline)
      return 'deadline'
    return budget === undefined || quiet(budget.tryWithdraw()) === true ? undefined : 'budget'
  }

  #giveUp(reason: GaveUp['reason'], outcome: Outcome, call: CallView, info: RetryInfo): undefined {
    this.#gaveUp[reason]++
    const { onGiveUp } = this.#options
    const failure = errorOf(outcome)
    if (onGiveUp !== undefined) harmless(onGiveUp, { ...info, ...failure, reason })
    if (!this.emitter.observed) return
    const { pipeline } = call
    const { attempt: attempts, elapsed } = info
    const at = this.clock.now()
    this.emitter.emit({
      type: 'give-up',
      policy: this.name,
      pipeline,
      at,
      attempts,
      elapsed,
      reason,
      ...failure,
    })
  }

  #announce(outcome: Outcome, call: CallView, info: RetryInfo, delay: number): void {
    const { onRetry } = this.#options
    const failure = errorOf(outcome)
    if (onRetry !== undefined) harmless(onRetry, { ...info, ...failure, delay })
    if (!this.emitter.observed) return
    const { pipeline } = call
    const { attempt, elapsed } = info
    this.emitter.emit({
      type: 'retry',
      policy: this.name,
      pipeline,
      at: this.clock.now(),
      attempt: attempt + 1,
      delay,
      elapsed,
      ...failure,
    })
  }

  #beforeAttempt(call: CallView, attempt: number, retries: number): void {
    const { beforeAttempt } = this.#options
    if (beforeAttempt === undefined) return
    const retriesLeft = this.maxRetries - retries
    harmless(beforeAttempt, { attempt, retriesLeft, elapsed: call.elapsed() })
  }

  #info(call: CallView, { retries }: Progress): RetryInfo {
    const retriesLeft = Math.max(0, this.maxRetries - retries)
    return { attempt: call.calls, retriesLeft, elapsed: call.elapsed() }
  }
}

function errorOf(outcome: Outcome): { error?: unknown } {
  return outcome.ending === 'succeeded' ? {} : { error: outcome.error }
}
