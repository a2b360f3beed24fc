/**
 * Stop asking: a dependency that keeps failing is left alone for a while, then tried with care.
 * The state is decided in one place at a time and derived lazily from a monotonic clock: no timers.
 */
import { beginEra, UNLIMITED } from '../../core/gate.ts'
import { checkOption, oneOf } from '../../core/options.ts'
import { type Outcome, retryAfterOf } from '../../core/outcome.ts'
import { pulseOf } from '../../core/pulse.ts'
import type { Admission, Exit, Traits } from '../../core/step.ts'
import { StepPolicy } from '../../core/step-policy.ts'
import type { CircuitBreaker, CircuitBreakerStats, CircuitState } from './contract.ts'
import {
  type CircuitBreakerMode,
  type CircuitBreakerOptions,
  defaultsOf,
  letsThrough,
  pauseOf,
  readBreakerOptions,
} from './options.ts'
import {
  openingOf,
  type Phase,
  refusalOf,
  refusalWhileShut,
  refuses,
  remainingOf,
  restoredPhase,
  stateOf,
  Watch,
} from './phase.ts'
import { type CircuitSnapshot, checkCircuitSnapshot } from './snapshot.ts'
import { type Trial, Trials } from './trials.ts'
import { TripRules } from './trip-rules.ts'
import { type BreakerVerdict, classify } from './verdicts.ts'

/**
 * Stops calling a dependency that keeps failing, and tries it again after a pause.
 *
 * While **closed**, calls pass. After `failureThreshold` failures in a row, or when `failureRate` or
 * `slowCallRate` of the calls in `window` is reached, it turns **open**: calls reject at once with
 * `CircuitOpenError` and are not made. After `resetTimeout` it turns **half-open** and lets
 * `halfOpenCalls` trial calls through: all succeed and it closes, one fails and it opens again.
 *
 * Errors and timeouts are failures; answers like 404 are successes; the caller's abort, refusals of
 * inner policies and programming errors are ignored. A result that comes after the state has changed
 * reaches its caller and is not counted. A trial that never ends is replaced after `trialTimeout`.
 *
 * **Use it** one per dependency, made once, around a timeout.
 * **Not for** single blips: use `retry`, outside the breaker.
 *
 * **Watch out:** a call that never ends is never counted. Without a timeout inside, a dependency that
 * hangs does not trip it.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { circuitBreaker } from 'holdfast'
 * import { virtualClock } from 'holdfast/testing'
 *
 * const clock = virtualClock()
 * const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 1_000, clock })
 * const down = () => Promise.reject(new Error('down'))
 * for (const call of [1, 2]) await breaker.execute(down).catch(() => call)
 * breaker.state // => 'open'
 * await clock.advance(1_000)
 * await breaker.execute(() => 'back') // => 'back'
 * breaker.state // => 'closed'
 * ```
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  return new CircuitBreakerPolicy(readBreakerOptions(options))
}

class CircuitBreakerPolicy extends StepPolicy implements CircuitBreaker {
  readonly needsExactTime: boolean
  override readonly traits: Traits = { judges: true }
  readonly #options: CircuitBreakerOptions
  readonly #rules: TripRules
  readonly #pulse = pulseOf(this.clock)
  readonly #watch = new Watch(this.#pulse)
  #phase: Phase = { is: 'closed' }
  #mode: CircuitBreakerMode
  #openings = 0
  #opened = 0
  #ignored = 0
  #healthy = false // Closed, and calls are not timed: a success can only make it better.
  #late = 0 // Calls of earlier eras that have not come back.

  constructor(options: CircuitBreakerOptions) {
    super('circuitBreaker', options, undefined, defaultsOf(options))
    this.#options = options
    this.#rules = new TripRules(options)
    this.#mode = options.mode ?? 'enabled'
    this.needsExactTime = options.slowCallDuration !== undefined
    this.#setGate()
  }

  get state(): CircuitState {
    this.#tryHalfOpen(this.clock.now())
    return stateOf(this.#phase)
  }

  get mode(): CircuitBreakerMode {
    return this.#mode
  }

  set mode(mode: CircuitBreakerMode) {
    checkOption('circuitBreaker', 'mode', mode, oneOf(['enabled', 'metrics-only', 'disabled']))
    this.#mode = mode
    this.#closeByHand(`mode set to ${mode}`)
  }

  /** One that refuses now must not be forgotten. One that would only wait for a trial may be. */
  override get pinned(): boolean {
    return super.pinned || refuses(this.#phase, this.clock.now())
  }

  isolate(): void {
    this.#enter({ is: 'isolated' }, 'isolated by hand')
  }

  close(): void {
    this.#closeByHand('closed by hand')
  }

  reset(): void {
    this.#closeByHand('reset by hand')
    this.gate.forget()
    this.#opened = 0
    this.#ignored = 0
  }

  /** Only asked while the circuit is not simply closed. */
  admit(): Admission {
    const refusal = refusalWhileShut(this.name, this.#phase, this.#watch.now())
    if (refusal !== undefined) return refusal
    const now = this.clock.now()
    this.#tryHalfOpen(now)
    const phase = this.#phase
    if (phase.is === 'trying') {
      const trial = phase.trials.tryBegin(now)
      if (trial === undefined) return refusalOf(this.name, phase, phase.trials.wait(now))
      this.gate.running++
      return trial
    }
    if (phase.is === 'ramping' && !letsThrough(this.#options, now - phase.since)) {
      return refusalOf(this.name, phase, 0)
    }
    this.gate.running++
    return undefined
  }

  passed(_value: unknown, since: number): boolean {
    if (this.#options.isFailureResult !== undefined) return false
    this.gate.running--
    if (!(this.#healthy && this.#rules.addSuccess(this.#pulse.now()))) {
      this.#judge('success', undefined, since)
    } else if (!this.#rules.wantsSuccesses) this.#setGate()
    return true
  }

  leave(outcome: Outcome, { permit, late, since }: Exit): void {
    if (late) return void this.#late--
    this.gate.running--
    const trial = permit as Trial | undefined
    if (trial?.expired || this.#mode === 'disabled') return
    const verdict = classify(outcome, this.#options)
    if (verdict === 'ignored') this.#ignored++
    if (this.#phase.is === 'trying' && trial !== undefined) {
      this.#judgeTrial(this.#phase.trials, trial, verdict, outcome)
    } else if (verdict !== 'ignored') this.#judge(verdict, outcome.error, since)
  }

  override stats(): CircuitBreakerStats {
    const state = this.state
    const now = this.clock.now()
    return {
      ...super.stats(),
      inFlight: this.gate.running + this.#late,
      state,
      mode: this.#mode,
      consecutiveFailures: this.#rules.consecutiveFailures,
      failureRate: this.#rules.failureRate(now),
      slowCallRate: this.#rules.slowCallRate(now),
      opened: this.#opened,
      ignored: this.#ignored,
      retryAfter: remainingOf(this.#phase, now),
    }
  }

  snapshot(): CircuitSnapshot {
    const now = this.clock.now()
    const state = stateOf(this.#phase)
    return {
      version: 1,
      // Trials do not survive their process: their circuit goes on as open with no time left.
      state: state === 'half-open' ? 'open' : state,
      openings: this.#openings,
      remaining: remainingOf(this.#phase, now),
      takenAt: this.clock.wallTime(),
      trip: this.#rules.snapshot(now),
    }
  }

  restore(found: unknown): void {
    const snapshot = checkCircuitSnapshot(found)
    const now = this.clock.now()
    const served = Math.max(0, this.clock.wallTime() - snapshot.takenAt)
    this.#rules.restore(snapshot.trip, now - served)
    this.#openings = snapshot.openings
    const left = Math.max(0, snapshot.remaining - served)
    const phase = restoredPhase(snapshot, this.#mode, now + left)
    this.#enter(phase, 'a restored snapshot')
  }

  #judge(verdict: 'success' | 'failure', cause: unknown, since: number): void {
    const { slowCallDuration } = this.#options
    const now = this.needsExactTime ? this.clock.now() : this.#pulse.now()
    const slow = slowCallDuration !== undefined && now - since >= slowCallDuration
    const reason = this.#rules.record(verdict === 'failure', slow, now)
    if (reason !== undefined && this.#mode === 'enabled') return this.#open(reason, cause)
    this.#finishRamp(now)
    this.#setGate()
  }

  #judgeTrial(trials: Trials, trial: Trial, verdict: BreakerVerdict, outcome: Outcome): void {
    if (verdict === 'failure') this.#open('a failed trial call', outcome.error)
    else if (verdict === 'ignored') trials.forget(trial)
    else if (trials.succeed(trial)) this.#recover()
  }

  #open(reason: string, cause: unknown): void {
    this.#openings++
    this.#opened++
    const asked = retryAfterOf(cause, () => this.clock.wallTime()) ?? 0
    const pause = pauseOf(this.#options, this.#openings, asked)
    const since = this.clock.now()
    this.#enter({ is: 'open', since, until: since + pause, cause, why: reason }, reason)
  }

  #tryHalfOpen(now: number): void {
    const phase = this.#phase
    if (phase.is === 'open' && now >= phase.until) {
      const { halfOpenCalls = 1, trialTimeout = 30_000 } = this.#options
      const trials = new Trials(halfOpenCalls, trialTimeout)
      this.#enter({ is: 'trying', trials, cause: phase.cause }, 'resetTimeout has passed')
    } else this.#finishRamp(now)
  }

  #recover(): void {
    const { rampUp = 0 } = this.#options
    this.#rules.reset()
    if (rampUp > 0 && this.#phase.is === 'trying') {
      const { cause } = this.#phase
      this.#enter({ is: 'ramping', since: this.clock.now(), cause }, 'trial calls succeeded')
    } else this.#close('trial calls succeeded')
  }

  #finishRamp(now: number): void {
    const { rampUp = 0 } = this.#options
    if (this.#phase.is === 'ramping' && now - this.#phase.since >= rampUp) {
      this.#close('ramp-up is over')
    }
  }

  #close(reason: string): void {
    this.#openings = 0
    this.#enter({ is: 'closed' }, reason)
  }

  #closeByHand(reason: string): void {
    this.#rules.reset()
    this.#close(reason)
  }

  /** The only place where the phase changes; listeners hear of it when all is done. */
  #enter(phase: Phase, reason: string): void {
    const from = stateOf(this.#phase)
    const to = stateOf(phase)
    this.#phase = phase
    this.#late += this.gate.running
    beginEra(this.gate)
    this.#setGate()
    if (from === to || !this.emitter.observed) return
    const { name: policy } = this
    const at = this.clock.now()
    const opening = phase.is === 'open' ? openingOf(phase, at) : {}
    this.emitter.emit({ type: 'state-change', policy, at, from, to, reason, ...opening })
  }

  #setGate(): void {
    const closed = this.#phase.is === 'closed'
    const { isFailureResult } = this.#options
    this.#healthy = closed && !this.needsExactTime
    this.gate.limit = closed ? UNLIMITED : 0
    const tracks = this.needsExactTime || this.#rules.wantsSuccesses
    this.gate.ask(this.#mode !== 'disabled' && (!closed || isFailureResult !== undefined || tracks))
  }
}
