/**
 * Stop crowding: at most so many calls at a time, a few more in line, and everybody else is refused.
 * One part of a system that is slow can then not take the rest down with it.
 */

import { inNextTurn, type Timer } from '../core/clock.ts'
import { BulkheadFullError, stackless } from '../core/errors.ts'
import { quiet } from '../core/events.ts'
import {
  anyOf,
  checkOption,
  count,
  duration,
  fn,
  optional,
  positiveInteger,
  readOptions,
} from '../core/options.ts'
import type { Outcome } from '../core/outcome.ts'
import type { Policy, Stats } from '../core/policy.ts'
import { pulseOf, type TurnListener } from '../core/pulse.ts'
import type { Ticket } from '../core/queue.ts'
import { Semaphore, type Waiter } from '../core/semaphore.ts'
import type { Admission, CallView, Exit, StrayWork, Traits, Waiting } from '../core/step.ts'
import { type CommonOptions, commonChecks, StepPolicy } from '../core/step-policy.ts'

/** Options of {@link bulkhead}. */
export interface BulkheadOptions extends CommonOptions {
  /** Calls that may run at the same time, 1 at least. */
  readonly maxConcurrent: number
  /** Calls that may stand in line for a slot; 0 refuses at once. @default 0 */
  readonly maxQueue?: number | undefined
  /** Longest time in line, in ms, above 0; `Infinity` waits for ever. @default 30_000 */
  readonly maxWait?: number | undefined
  /** Gives up the slot of work that its caller has abandoned, so many ms later. @default Infinity */
  readonly abandonAfter?: number | undefined
  /** Place in line by the arguments of a wrapped function: larger first, -10 to 10. @default 0 for all */
  readonly priority?: (number | ((args: readonly unknown[]) => number)) | undefined
}

/** How the calls of a bulkhead ended, and who is in it now. */
export interface BulkheadStats extends Stats {
  /** Slots in use, those of abandoned work included. */
  readonly running: number
  readonly queued: number
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** Slots held by work whose caller has gone. */
  readonly abandoned: number
}

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
 * Beyond that, `maxQueue` calls wait in line (by priority, first come first served within one); the
 * rest are refused at once with `BulkheadFullError`, and so is who waits longer than `maxWait`. A freed
 * slot goes to the first in line: nobody overtakes. Whoever aborts or times out in line leaves it at
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
  priority: optional(anyOf(count(-10, 10), fn)),
}

const forEver = Number.POSITIVE_INFINITY
const DEFAULTS = { maxQueue: 0, maxWait: 30_000, abandonAfter: forEver, priority: 0 } as const

class BulkheadPolicy extends StepPolicy implements Bulkhead, TurnListener {
  readonly followsWork = true
  override readonly traits: Traits
  readonly #slots: Semaphore
  readonly #maxQueue: number
  readonly #maxWait: number
  readonly #abandonAfter: number
  readonly #priority: BulkheadOptions['priority']
  #overdue: Timer | undefined
  #abandoned = 0
  #turn = -1

  constructor(options: BulkheadOptions) {
    const slots = new Semaphore(options.maxConcurrent)
    super('bulkhead', options, slots.gate, DEFAULTS)
    this.#slots = slots
    this.#maxQueue = options.maxQueue ?? DEFAULTS.maxQueue
    this.#maxWait = options.maxWait ?? DEFAULTS.maxWait
    this.#abandonAfter = options.abandonAfter ?? DEFAULTS.abandonAfter
    this.#priority = options.priority ?? DEFAULTS.priority
    this.traits = { holds: { maxWait: this.#maxQueue > 0 ? this.#maxWait : 0 } }
  }

  admit(call: CallView): Admission {
    if (this.#slots.queued >= this.#maxQueue) return this.#full(0)
    return new PlaceInLine(this, priorityOf(call, this.#priority))
  }

  /** @internal Used by a place in line. */
  join(place: PlaceInLine): void {
    const pulse = pulseOf(this.clock)
    place.since = pulse.now()
    if (this.#turn !== pulse.turn) {
      this.#turn = pulse.turn
      pulse.atTurnEnd(this)
    }
    this.#slots.enqueue(place)
    if (this.#overdue === undefined) this.#watchLine(this.#maxWait)
  }

  /** Nobody waited during a turn that was busy with something else. */
  turnEnded(began: number, now: number): void {
    if (now - began <= 1) return
    for (const waiter of this.#slots.line) {
      const place = waiter as PlaceInLine
      if (place.since === began) place.since = now
    }
  }

  /** @internal Used by a place in line. */
  quit(place: PlaceInLine): void {
    this.#slots.abandon(place)
    this.left()
  }

  /** @internal Used by a place in line: the timer goes with the last of them. */
  left(): void {
    if (this.#slots.queued > 0 || this.#overdue === undefined) return
    this.#overdue.cancel()
    this.#overdue = undefined
  }

  passed(): boolean {
    this.#slots.release()
    return true
  }

  leave(_outcome: Outcome, { work }: Exit): void {
    if (work === undefined) this.#slots.release()
    else this.#hold(work)
  }

  resize(maxConcurrent: number): void {
    checkOption('bulkhead', 'maxConcurrent', maxConcurrent, positiveInteger)
    this.#slots.resize(maxConcurrent)
  }

  override stats(): BulkheadStats {
    const { running, limit } = this.gate
    const queued = this.#slots.queued
    const abandoned = this.#abandoned
    return {
      ...super.stats(),
      inFlight: running - abandoned + queued,
      running,
      queued,
      maxConcurrent: limit,
      maxQueue: this.#maxQueue,
      abandoned,
    }
  }

  #hold(work: StrayWork): void {
    this.#abandoned++
    this.#tell('held')
    let held = true
    const free = (slot: 'ended' | 'forgotten'): void => {
      if (!held) return
      held = false
      timer.cancel()
      this.#abandoned--
      this.#slots.release()
      this.#tell(slot)
    }
    const timer = this.clock.setTimer(() => free('forgotten'), this.#abandonAfter)
    // Nobody waits for this: it must not keep a process alive.
    timer.unref()
    work.whenEnded(() => free('ended'))
  }

  #tell(slot: 'held' | 'ended' | 'forgotten'): void {
    if (!this.emitter.observed) return
    const { name: policy } = this
    const abandoned = this.#abandoned
    this.emitter.emit({ type: 'abandon', policy, at: this.clock.now(), slot, abandoned })
  }

  #full(waited: number): BulkheadFullError {
    const { running, limit: maxConcurrent } = this.gate
    const queued = this.#slots.queued
    const facts = { running, queued, maxConcurrent, maxQueue: this.#maxQueue, waited }
    return stackless(() => new BulkheadFullError(this.name, facts))
  }

  /** One timer for the whole line: everybody may wait equally long. */
  #watchLine(left: number): void {
    if (left < forEver) this.#overdue = this.clock.setTimer(this.#isOverdue, left)
  }

  /** After a blocked loop timers run first: a slot that is about to be freed gets one turn to be. */
  readonly #isOverdue = (): void => {
    inNextTurn(this.clock, () => this.#refuseOverdue())
  }

  #refuseOverdue(): void {
    if (this.#slots.queued === 0) return
    const now = this.clock.now()
    let oldest = forEver
    for (const waiter of this.#slots.line) {
      const place = waiter as PlaceInLine
      if (place.since + this.#maxWait <= now) place.refuse(this.#full(now - place.since))
      else oldest = Math.min(oldest, place.since)
    }
    this.#overdue?.cancel()
    this.#overdue = undefined
    this.#watchLine(oldest + this.#maxWait - now)
  }
}

class PlaceInLine implements Waiting, Waiter {
  readonly kind = 'waiting'
  readonly priority: number
  since = 0
  readonly #bulkhead: BulkheadPolicy
  state: Waiter['state'] = 'new'
  ticket: Ticket | undefined = undefined
  #done: ((refusal?: BulkheadFullError) => void) | undefined

  constructor(owner: BulkheadPolicy, priority: number) {
    this.#bulkhead = owner
    this.priority = priority
  }

  begin(done: (refusal?: BulkheadFullError) => void): void {
    this.#done = done
    this.#bulkhead.join(this)
  }

  cancel(): void {
    this.#bulkhead.quit(this)
  }

  onGrant(): void {
    this.#bulkhead.left()
    this.#done?.()
  }

  refuse(error: BulkheadFullError): void {
    this.cancel()
    this.#done?.(error)
  }
}

/** A place in line must be a number whatever a user's function does. */
function priorityOf(call: CallView, option: BulkheadOptions['priority']): number {
  let priority: unknown = call.priority ?? option
  try {
    if (typeof priority === 'function') priority = quiet(priority(call.args))
  } catch {
    priority = 0
  }
  if (typeof priority !== 'number' || Number.isNaN(priority)) return 0
  return Math.max(-10, Math.min(10, Math.round(priority)))
}
