/**
 * So many in so much time, and no more: what the other side has agreed to is kept, by waiting or by refusing.
 */
import type { Timer } from '../../core/clock.ts'
import { quiet } from '../../core/events.ts'
import { Gate } from '../../core/gate.ts'
import { RateLimitedError } from '../../core/load-errors.ts'
import { show } from '../../core/options.ts'
import type { Policy, Stats } from '../../core/policy.ts'
import { priorityOf } from '../../core/priority.ts'
import type { RelayTraits } from '../../core/relay.ts'
import { stackless } from '../../core/stackless.ts'
import type { Admission, CallView } from '../../core/step.ts'
import { StepPolicy } from '../../core/step-policy.ts'
import { type Allowance, TICK } from './allowance.ts'
import { Line, type LineKeeper, PlaceInLine } from './line.ts'
import {
  changedOptions,
  DEFAULTS,
  type RateLimiterOptions,
  type RateOptions,
  rateOf,
  readRateLimiterOptions,
  weights,
} from './options.ts'
import { SlidingWindow } from './sliding-window.ts'
import { SteadyTime } from './steady-time.ts'
import { TokenBucket } from './token-bucket.ts'

/** How the calls of a rate limiter ended, and what is left of its rate. */
export interface RateLimiterStats extends Stats {
  /** Calls in the queue. */
  readonly queued: number
  readonly maxQueue: number
  /** Calls, or their weight, that could pass at this moment. */
  readonly available: number
  readonly limit: number
  readonly interval: number
  /** Most that may pass at once. */
  readonly burst: number
}

/** Limits how many calls begin in a span of time. */
export interface RateLimiter extends Policy {
  stats(): RateLimiterStats
  /** Changes the rate: what was taken stays taken, and queued calls go by the new rate. */
  resize(rate: RateOptions): void
}

/**
 * Lets `limit` calls begin per `interval`; who comes too early waits in a queue or is rejected.
 *
 * A token bucket, the default, lets calls pass evenly, after a rest up to `burst` of them at once:
 * `burst` + rate × t in any time t. A sliding window never lets more than `limit` begin in any span of one
 * `interval`. Beyond that `maxQueue` calls wait in a queue (by priority, first come first served within
 * one); everybody else is refused with `RateLimitedError`, whose `retryAfter` says when to come again. A
 * wait that cannot end within `maxWait` or before the deadline of the call is not begun. Whoever aborts
 * in the queue leaves it, and gives their turn back. No timer runs while nobody waits.
 *
 * **Use it** where the other side counts: an API of so many calls a minute.
 * **Not for** how many run at the same time: that is a bulkhead.
 *
 * **Watch out:** each process counts for itself.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { rateLimiter } from 'holdfast'
 * import { virtualClock } from 'holdfast/testing'
 *
 * const clock = virtualClock()
 * const api = rateLimiter({ limit: 2, interval: 1_000, clock })
 * await api.execute(() => 'first') // => 'first'
 * await api.execute(() => 'second') // => 'second'
 * await api.execute(() => 'third').catch((error) => error.retryAfter) // => 500
 * ```
 */
export function rateLimiter(options: RateLimiterOptions): RateLimiter {
  return new RateLimiterPolicy(readRateLimiterOptions(options))
}

const forEver = Number.POSITIVE_INFINITY

class RateLimiterPolicy extends StepPolicy implements RateLimiter, LineKeeper {
  override readonly traits: RelayTraits
  readonly #time: SteadyTime
  readonly #line = new Line()
  readonly #maxQueue: number
  readonly #maxWait: number
  #options: RateLimiterOptions
  #allowance: Allowance
  #timer: Timer | undefined
  /** When the timer fires. */
  #wakesAt = forEver
  /** When the first in the queue has waited too long; not later, perhaps earlier. */
  #overdueAt = forEver

  constructor(options: RateLimiterOptions) {
    const rate = rateOf(options)
    // Nobody passes unasked.
    super('rateLimiter', options, new Gate(0), { ...DEFAULTS, ...rate })
    this.#time = new SteadyTime(this.clock)
    this.#options = options
    this.#maxQueue = options.maxQueue ?? DEFAULTS.maxQueue
    this.#maxWait = options.maxWait ?? DEFAULTS.maxWait
    this.traits = { paces: { maxWait: this.#maxQueue > 0 ? this.#maxWait : 0 } }
    this.#allowance =
      options.algorithm === 'sliding-window'
        ? new SlidingWindow(rate)
        : new TokenBucket(rate, this.#time.now())
  }

  admit(call: CallView): Admission {
    const weight = this.#weightOf(call)
    if (weight > 0) {
      const now = this.#time.now()
      if (weight > this.#allowance.capacity) return this.#refusal(forEver, 0)
      if (this.#line.size > 0) this.#serve(now)
      const priority = priorityOf(call, this.#options.priority ?? DEFAULTS.priority)
      const wait = this.#allowance.wait(weight, this.#line.weightAhead(priority), now)
      if (wait > 0) return this.#later(call, weight, priority, wait)
      this.#allowance.take(weight, now)
    }
    this.gate.running++
    return undefined
  }

  join(place: PlaceInLine): void {
    place.since = this.#time.now()
    if (this.#line.size === 0) this.#overdueAt = place.since + this.#maxWait
    this.#line.push(place)
    this.#wakeInTime(place.since)
  }

  quit(place: PlaceInLine): void {
    const { state, weight, takenAt } = place
    place.state = 'gone'
    if (state === 'waiting') this.#line.remove(place)
    else if (state === 'granted') {
      this.gate.running--
      this.#allowance.giveBack(weight, takenAt)
    } else return
    // Who stood behind may go sooner now.
    this.#attend()
  }

  resize(rate: RateOptions): void {
    this.#options = changedOptions(this.#options, rate)
    const now = this.#time.now()
    this.#allowance.resize(rateOf(this.#options), now)
    for (const place of this.#line.places) {
      if (place.weight <= this.#allowance.capacity) continue
      this.#line.remove(place)
      place.refuse(this.#refusal(forEver, now - place.since))
    }
    this.#attend()
  }

  override stats(): RateLimiterStats {
    const stats = super.stats()
    const { size: queued } = this.#line
    const { limit, interval } = rateOf(this.#options)
    return {
      ...stats,
      inFlight: stats.inFlight + queued,
      queued,
      maxQueue: this.#maxQueue,
      available: this.#allowance.available(this.#time.now()),
      limit,
      interval,
      burst: this.#allowance.capacity,
    }
  }

  /** Forgotten before its rate has recovered, it would let its key pass twice. */
  override get pinned(): boolean {
    const { capacity } = this.#allowance
    return super.pinned || this.#allowance.available(this.#time.now()) < capacity
  }

  /** A place in the queue, if its turn comes in time. */
  #later(call: CallView, weight: number, priority: number, wait: number): Admission {
    const isFull = this.#line.size >= this.#maxQueue
    const tooLate = wait > this.#maxWait || this.#endsBefore(call, wait)
    return isFull || tooLate ? this.#refusal(wait, 0) : new PlaceInLine(this, weight, priority)
  }

  #endsBefore(call: CallView, wait: number): boolean {
    const { deadline } = call
    return deadline < forEver && this.clock.now() + wait >= deadline
  }

  /** A weight that is none cannot be counted: the call is refused, and its function not called. */
  #weightOf(call: CallView): number {
    const { weight = DEFAULTS.weight } = this.#options
    if (typeof weight === 'number') return weight
    const found: unknown = quiet(weight(call.args))
    if (weights.fault(found) === undefined) return found as number
    throw new RangeError(
      `rateLimiter "${this.name}": weight must be ${weights.expected}, but was ${show(found)}; not called`,
    )
  }

  #refusal(retryAfter: number, waited: number): RateLimitedError {
    const { limit, interval } = rateOf(this.#options)
    const queued = this.#line.size
    const facts = { retryAfter, limit, interval, queued, maxQueue: this.#maxQueue, waited }
    return stackless(() => new RateLimitedError(this.name, facts))
  }

  /** Looks after the line: whose turn it is, who has waited too long, when to look again. */
  readonly #attend = (): void => {
    const now = this.#time.now()
    this.#serve(now)
    if (this.#overdueAt <= now) this.#refuseOverdue(now)
    this.#wakeInTime(now)
  }

  #serve(now: number): void {
    for (let place = this.#line.first; place !== undefined; place = this.#line.first) {
      const { weight } = place
      if (this.#allowance.wait(weight, 0, now) > 0) return
      this.#line.remove(place)
      this.#allowance.take(weight, now)
      this.gate.running++
      place.grant(now)
    }
  }

  #refuseOverdue(now: number): void {
    let ahead = 0
    this.#overdueAt = forEver
    for (const place of this.#line.places) {
      const { since, weight } = place
      if (since + this.#maxWait <= now) {
        this.#line.remove(place)
        const wait = this.#allowance.wait(weight, ahead, now)
        place.refuse(this.#refusal(wait, now - since))
      } else {
        ahead += weight
        this.#overdueAt = Math.min(this.#overdueAt, since + this.#maxWait)
      }
    }
  }

  #wakeInTime(now: number): void {
    const { first } = this.#line
    if (first === undefined) return this.#rest()
    const next = Math.min(now + this.#allowance.wait(first.weight, 0, now), this.#overdueAt)
    if (this.#timer !== undefined && this.#wakesAt === next) return
    this.#rest()
    this.#wakesAt = next
    this.#timer = this.clock.setTimer(this.#wake, Math.max(next - now, TICK))
  }

  readonly #wake = (): void => {
    this.#timer = undefined
    this.#attend()
  }

  #rest(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
