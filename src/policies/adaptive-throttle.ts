/**
 * Ask less of who refuses: when a dependency accepts only a part of the calls, do not even send the rest.
 * (Google SRE Book, "Handling Overload": client-side throttling.)
 */

import { quiet } from '../core/events.ts'
import { UNLIMITED } from '../core/gate.ts'
import { ThrottledError } from '../core/load-errors.ts'
import {
  chance,
  duration,
  fn,
  number,
  optional,
  positiveInteger,
  rate,
  readOptions,
} from '../core/options.ts'
import { judge, type Outcome } from '../core/outcome.ts'
import type { OutcomeWindow } from '../core/outcome-window.ts'
import type { Policy, Stats } from '../core/policy.ts'
import { type Pulse, pulseOf } from '../core/pulse.ts'
import { type RandomSource, systemRandom } from '../core/random.ts'
import { stackless } from '../core/stackless.ts'
import type { Admission } from '../core/step.ts'
import { type CommonOptions, commonChecks, StepPolicy } from '../core/step-policy.ts'
import { createWindow, timeWindow } from '../core/window.ts'

/** Options of {@link adaptiveThrottle}. */
export interface AdaptiveThrottleOptions extends CommonOptions {
  /** Calls that may be sent for each that is accepted, 1 at least; K in the literature. @default 2 */
  readonly multiplier?: number | undefined
  /** What is looked back on, in ms, 1,000 at least. @default 120_000 */
  readonly window?: number | undefined
  /** Largest share of the calls that is rejected: the rest finds out when it is over. Above 0, below 1. @default 0.9 */
  readonly maxRejection?: number | undefined
  /** Calls that the window must hold before any is rejected. @default 10 */
  readonly minimumCalls?: number | undefined
  /** Whether an error means that the dependency did not accept the call. @default what a retry may mend */
  readonly isRefusal?: ((error: unknown) => boolean | undefined) | undefined
  /** Where chance comes from. @default Math.random */
  readonly random?: RandomSource | undefined
}

/** How the calls of a throttle ended, and how many it rejects. */
export interface AdaptiveThrottleStats extends Stats {
  /** Calls of the window, those that were rejected here included. */
  readonly requests: number
  /** Calls of the window that the dependency accepted. */
  readonly accepts: number
  /** Chance of a call to be rejected now, 0 to 1. */
  readonly rejection: number
}

/** Rejects a share of the calls while the dependency does not accept them. */
export interface AdaptiveThrottle extends Policy {
  stats(): AdaptiveThrottleStats
}

/**
 * Rejects calls by chance, the more the fewer the dependency accepts.
 *
 * Over a `window` it counts the calls and those of them that were accepted. A call is rejected with the
 * probability max(0, (requests − multiplier × accepts) ÷ (requests + 1)), at most `maxRejection`: while at
 * least half of the calls are accepted, nobody is. What was rejected here counts as a request too, so that the
 * share that is sent follows what is accepted, and grows again by itself.
 *
 * **Use it** where a dependency refuses a part of the calls, as quotas and overloaded services do.
 * **Not for** one that is down: a circuit breaker stops at once.
 *
 * **Watch out:** a time limit inside, much shorter than the window, must turn calls that hang into outcomes.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { adaptiveThrottle } from 'holdfast'
 *
 * const quota = adaptiveThrottle({ random: () => 0 })
 * for (let n = 0; n < 10; n++) {
 *   await quota.execute(() => Promise.reject(new Error('out of quota'))).catch(() => {})
 * }
 * await quota.execute(() => 'sent').catch((error) => error.code) // => 'ERR_THROTTLED'
 * ```
 */
export function adaptiveThrottle(options: AdaptiveThrottleOptions = {}): AdaptiveThrottle {
  return new AdaptiveThrottlePolicy(readOptions('adaptiveThrottle', options, checks))
}

const checks = {
  ...commonChecks,
  multiplier: optional(number(1)),
  window: optional(duration({ min: 1_000 })),
  maxRejection: optional(rate({ zero: false, one: false })),
  minimumCalls: optional(positiveInteger),
  isRefusal: optional(fn),
  random: optional(chance),
}

const DEFAULTS = { multiplier: 2, window: 120_000, maxRejection: 0.9, minimumCalls: 10 } as const

/** The window moves on in so many steps. */
const STEPS = 40

class AdaptiveThrottlePolicy extends StepPolicy implements AdaptiveThrottle {
  readonly #options: AdaptiveThrottleOptions
  readonly #multiplier: number
  readonly #maxRejection: number
  readonly #minimumCalls: number
  readonly #random: RandomSource
  readonly #pulse: Pulse
  /** In this window a "failure" is a call that was not accepted. */
  readonly #seen: OutcomeWindow

  constructor(options: AdaptiveThrottleOptions) {
    super('adaptiveThrottle', options, undefined, DEFAULTS)
    this.#options = options
    this.#multiplier = options.multiplier ?? DEFAULTS.multiplier
    this.#maxRejection = options.maxRejection ?? DEFAULTS.maxRejection
    this.#minimumCalls = options.minimumCalls ?? DEFAULTS.minimumCalls
    this.#random = options.random ?? systemRandom
    this.#pulse = pulseOf(this.clock)
    this.#seen = createWindow(timeWindow(options.window ?? DEFAULTS.window, STEPS))
    this.gate.ask(true)
  }

  /** Asked only while calls are rejected. */
  admit(): Admission {
    const now = this.#pulse.now()
    const rejection = this.#look(now)
    if (rejection > 0 && this.#random() < rejection) {
      const error = this.#refusal(rejection, now)
      this.#count(false, now)
      return error
    }
    this.gate.running++
    return undefined
  }

  passed(): boolean {
    this.gate.running--
    this.#count(true, this.#pulse.now())
    return true
  }

  leave(outcome: Outcome): void {
    this.gate.running--
    const accepted = this.#wasAccepted(outcome)
    if (accepted !== undefined) this.#count(accepted, this.#pulse.now())
  }

  override stats(): AdaptiveThrottleStats {
    const now = this.#pulse.now()
    const requests = this.#seen.total(now)
    const accepts = requests - this.#seen.failures(now)
    return { ...super.stats(), requests, accepts, rejection: this.#rejection(now) }
  }

  /** Forgotten while it rejects, it would let everything through again. */
  override get pinned(): boolean {
    return super.pinned || this.#rejection(this.#pulse.now()) > 0
  }

  /** Whether the dependency took the call; undefined if it says nothing of that. */
  #wasAccepted({ ending, error }: Outcome): boolean | undefined {
    if (ending === 'succeeded') return true
    if (ending !== 'failed' && ending !== 'timedOut') return undefined
    try {
      const choice = quiet(this.#options.isRefusal?.(error))
      if (choice !== undefined) return choice !== true
    } catch {
      // A broken predicate decides nothing.
    }
    const verdict = judge(error)
    if (verdict === 'transient') return false
    return verdict === 'permanent' ? true : undefined
  }

  #count(accepted: boolean, now: number): void {
    this.#seen.record(!accepted, false, now)
    this.#look(now)
  }

  /**
   * While nobody would be rejected, calls pass without being asked, until one has ended: should the window
   * forget what was accepted during a pause, the next call is the one that shows how things are.
   */
  #look(now: number): number {
    const rejection = this.#rejection(now)
    this.gate.limit = rejection > 0 ? 0 : UNLIMITED
    return rejection
  }

  #rejection(now: number): number {
    const requests = this.#seen.total(now)
    if (requests < this.#minimumCalls) return 0
    const accepts = requests - this.#seen.failures(now)
    const rejection = (requests - this.#multiplier * accepts) / (requests + 1)
    return Math.max(0, Math.min(rejection, this.#maxRejection))
  }

  #refusal(rejection: number, now: number): ThrottledError {
    const requests = this.#seen.total(now)
    const accepts = requests - this.#seen.failures(now)
    return stackless(() => new ThrottledError(this.name, rejection, requests, accepts))
  }
}
