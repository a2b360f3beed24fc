/**
 * Decides, for each request, whether this server works on it now, a little later or not at all. Decided
 * in one place, synchronously; the doors (doors.ts) only carry requests in and answers out.
 */
import { nextTurn, systemClock, type Timer } from '../../core/clock.ts'
import { Emitter, type HoldfastEvent, type Listener, quiet } from '../../core/events.ts'
import { readTravelled } from '../http/travel.ts'
import type { SurroundingsOptions } from '../node/surroundings.ts'
import { ClientRates } from './client-rates.ts'
import type { GuardStats, Incoming, RefusalReason } from './contract.ts'
import { type Waiter, WaitingLine } from './line.ts'
import type { Settings } from './options.ts'
import { Pressure } from './pressure.ts'
import { refusalOf } from './refusal.ts'
import type { GuardedRequest } from './request.ts'
import { RefusalShare } from './share.ts'

/** Takes requests in, counts them, and lets them go. */
export class Guard {
  readonly settings: Settings
  readonly emitter: Emitter = new Emitter()
  readonly #line: WaitingLine
  readonly #pressure: Pressure
  readonly #late: RefusalShare
  readonly #rates: ClientRates | undefined
  readonly #refused: Record<RefusalReason, number> = {
    full: 0,
    'waited-too-long': 0,
    displaced: 0,
    'deadline-passed': 0,
    pressure: 0,
    'client-limit': 0,
    closing: 0,
  }
  /** On each request that was seen. A weak set would be walked by the collector. */
  readonly #mark = Symbol('holdfast.guard')
  #limit: number
  #running = 0
  #admitted = 0
  #expired = 0
  #gone = 0
  #closing = false
  #serving = false
  #timer: Timer | undefined // And when it is due.
  #due = Number.POSITIVE_INFINITY

  constructor(settings: Settings) {
    this.settings = settings
    this.#limit = settings.maxConcurrent
    const { targetWait, maxWait, maxDeadlineRefusals, perClient } = settings
    const givesUpOn = (now: number): boolean => this.#givesUpOn(now)
    this.#line = new WaitingLine(systemClock.now(), targetWait, maxWait, givesUpOn)
    this.#pressure = new Pressure(settings)
    this.#late = new RefusalShare(maxDeadlineRefusals)
    this.#rates = perClient === undefined ? undefined : new ClientRates(perClient)
  }

  get closing(): boolean {
    return this.#closing
  }

  /** Whether it sees this request for the first time. */
  meets(request: object): boolean {
    const marked = request as Record<symbol, unknown>
    if (marked[this.#mark] === true) return false
    marked[this.#mark] = true
    return true
  }

  /** Admits now, later or not at all; exactly one of the incoming's two ways out is taken, once. */
  take(incoming: Incoming): void {
    if (!this.#closing) this.#pressure.start()
    const { request } = incoming
    if (this.#isExempt(request)) return void incoming.enter({ release: nothing, surroundings: {} })
    const now = systemClock.now()
    const travelled = readTravelled(request, this.settings.deadlineHeader)
    const { deadlines, maxTime } = this.settings
    const limit = deadlines === 'ignore' ? maxTime : Math.min(travelled.remaining, maxTime)
    const deadline = now + limit
    const retriedAbove = this.settings.callerRetries === 'trust' && travelled.maxAttempts > 1
    const passage = { incoming, deadline, retriedAbove, attempt: travelled.attempt }
    if (this.#closing) return this.#refuse(incoming, 'closing', 0)
    const wait = this.#rates?.wait(request, now) ?? 0
    if (wait > 0) return this.#refuse(incoming, 'client-limit', 0, wait)
    if (deadlines === 'enforce') this.#late.count(now)
    if (deadline <= now && this.#givesUpOn(now)) return this.#refuse(incoming, 'deadline-passed', 0)
    const priority = this.#priorityOf(request)
    if (
      priority <= 0 &&
      this.#pressure.excess > 0 &&
      this.settings.random() < this.#pressure.excess
    ) {
      return this.#refuse(incoming, 'pressure', 0)
    }
    if (this.#running < this.#limit && this.#line.size === 0) return this.#enter(passage)
    this.#queue(passage, priority, now)
  }

  resize(maxConcurrent: number): void {
    this.#limit = maxConcurrent
    this.#serve()
  }

  /** Takes nobody in any more, and sends away whoever stands in line. */
  close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#line.clear()
    this.#timer?.cancel()
    this.#pressure.stop()
  }

  stats(): GuardStats {
    const { name, maxQueue } = this.settings
    return {
      name,
      running: this.#running,
      queued: this.#line.size,
      maxConcurrent: this.#limit,
      maxQueue,
      overloaded: this.#line.overloaded(systemClock.now()),
      admitted: this.#admitted,
      refused: { ...this.#refused },
      expired: this.#expired,
      disconnected: this.#gone,
      ...this.#pressure.reading,
    }
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    return this.emitter.subscribe(listener)
  }

  #queue(passage: Passage, priority: number, now: number): void {
    const { incoming, deadline } = passage
    const { maxQueue } = this.settings
    // After a late turn of the loop those whose time is up still stand there.
    if (this.#line.size >= maxQueue) this.#line.sweep(now)
    if (this.#line.size >= maxQueue && !(maxQueue > 0 && this.#line.displace(priority))) {
      return this.#refuse(incoming, 'full', 0)
    }
    const run = incoming.remember()
    const waiter: Waiter = {
      priority,
      since: now,
      // One that came too late has been counted, and was let in all the same.
      deadline: deadline > now ? deadline : Number.POSITIVE_INFINITY,
      serve: () => {
        forget()
        try {
          run(() => this.#enter(passage))
        } catch (error) {
          // What a handler throws is not for the one whose end made its turn come.
          nextTurn(() => {
            throw error
          })
        }
      },
      refuse: (why) => {
        forget()
        const reason = this.#closing ? 'closing' : REASONS[why]
        run(() => this.#refuse(incoming, reason, systemClock.now() - now))
      },
    }
    const forget = incoming.onGone(() => {
      if (this.#line.leave(waiter)) this.#gone++
    })
    this.#line.join(waiter, now)
    this.#arm(this.#line.dueOf(waiter, now), now)
  }

  #enter({ incoming, deadline, retriedAbove, attempt }: Passage): void {
    this.#running++
    this.#admitted++
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      this.#running--
      this.#serve()
    }
    const surroundings = surroundingsOf(deadline, retriedAbove, attempt)
    try {
      incoming.enter({ release, surroundings })
    } catch (error) {
      release()
      throw error
    }
  }

  #serve(): void {
    // Whoever is served may end at once: one loop, however many do.
    if (this.#serving) return
    this.#serving = true
    while (this.#running < this.#limit && this.#line.size > 0) {
      const next = this.#line.shift(systemClock.now())
      if (next === undefined) break
      next.serve()
    }
    this.#serving = false
  }

  #refuse(incoming: Incoming, reason: RefusalReason, waited: number, wait?: number): void {
    this.#refused[reason]++
    const refusal = refusalOf(this.settings, reason, {
      waited,
      running: this.#running,
      queued: this.#line.size,
      chance: this.settings.random(),
      wait,
    })
    const { name: policy } = this.settings
    if (this.emitter.observed) {
      this.emitter.emit({ type: 'shed', policy, at: systemClock.now(), reason, waited })
    }
    incoming.refuse(refusal)
  }

  /** Its caller has given up: refused if that is wanted, and not too many were. */
  #givesUpOn(now: number): boolean {
    this.#expired++
    return this.settings.deadlines === 'enforce' && this.#late.tryRefuse(now)
  }

  /** Somebody must look at the line even if no request ever ends. */
  #arm(due: number, now: number): void {
    if (due >= this.#due) return
    this.#timer?.cancel()
    this.#due = due
    this.#timer = systemClock.setTimer(this.#look, Math.max(1, due - now))
    // Whoever waits has a connection, which keeps the process alive.
    this.#timer.unref()
  }

  readonly #look = (): void => {
    const now = systemClock.now()
    this.#due = Number.POSITIVE_INFINITY
    this.#line.sweep(now)
    this.#arm(this.#line.nextDue(now), now)
  }

  #isExempt(request: GuardedRequest): boolean {
    try {
      return quiet(this.settings.exempt?.(request)) === true
    } catch {
      return false
    }
  }

  #priorityOf(request: GuardedRequest): number {
    let priority: unknown = 0
    try {
      priority = quiet(this.settings.priority?.(request) ?? 0)
    } catch {
      // Somebody else's mistake must not decide who is served.
    }
    if (typeof priority !== 'number' || Number.isNaN(priority)) return 0
    return Math.max(-10, Math.min(10, Math.round(priority)))
  }
}

/** What a guard knows of a request. */
interface Passage {
  readonly incoming: Incoming
  readonly deadline: number
  readonly retriedAbove: boolean
  readonly attempt: number
}

/** A caller that says nothing of itself. */
const UNKNOWN: SurroundingsOptions = {}

/** A deadline that has passed is not handed on: the request was let in nonetheless, and could do nothing. */
function surroundingsOf(
  deadline: number,
  retriedAbove: boolean,
  attempt: number,
): SurroundingsOptions {
  if (deadline === Number.POSITIVE_INFINITY && !retriedAbove) return UNKNOWN
  const left = deadline - systemClock.now()
  const remaining = left > 0 ? left : Number.POSITIVE_INFINITY
  const isKnown = remaining < Number.POSITIVE_INFINITY || retriedAbove
  return isKnown ? { remaining, retriedAbove, attempt } : UNKNOWN
}

const REASONS = {
  wait: 'waited-too-long',
  displaced: 'displaced',
  deadline: 'deadline-passed',
} as const

function nothing(): void {}
