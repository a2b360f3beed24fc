/**
 * One call for several callers (golang.org/x/sync/singleflight). Each may leave without hurting the
 * others; with the last of them the call is told to stop, unless it is wanted for its own sake.
 */

import { type Linked, link, type SignalHub, unlink } from './abort.ts'
import { outside } from './ambient.ts'
import { begin, hang } from './begin.ts'
import type { Clock, Timer } from './clock.ts'
import type { Report } from './flight.ts'
import { capture, rejectNew, resolveNew } from './handles.ts'
import { LazySignal } from './lazy-signal.ts'
import { type Outcome, succeeded, unsuccessful } from './outcome.ts'
import type { Context, ExecuteOptions, Operation } from './policy.ts'
import { type Inside, tell, tellThrown } from './relay.ts'

/** Whoever keeps shared calls by key. */
export interface SharedCallOwner {
  /** It has ended; told before its callers are. */
  ended(call: SharedCall, outcome: Outcome): void
  /** Its last caller has left, and it was told to stop: nobody may join it any more. */
  deserted(call: SharedCall): void
}

/** What the function gets: the call of nobody in particular. */
export class SharedCall implements Context {
  readonly key: string
  readonly attempt = 1
  /** Those of the caller who began it. */
  readonly args: readonly unknown[]
  /** When it began, in ms of the clock. */
  readonly began: number
  /** Goes on when nobody waits for it any more. */
  alone: boolean
  readonly report: Report = { source: 'primary', errors: [] }
  readonly #owner: SharedCallOwner
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  /** How many wait who cannot leave: one promise serves all of them. */
  #stayers = 0
  #common: Pick<Waiter, 'answer' | 'resolve' | 'reject'> | undefined = undefined
  /** Who left last: a slot that follows the work is kept until the work has ended. */
  #last: Waiter | undefined = undefined
  /** Calls of the function that have not ended, whatever became of their caller. */
  #running = 0
  #ended = false
  readonly #lazy = new LazySignal()
  /** That of who left last, when it was over. */
  #lastDeadline: number | undefined = undefined

  constructor(
    key: string,
    args: readonly unknown[],
    owner: SharedCallOwner,
    clock: Clock,
    alone: boolean,
  ) {
    this.key = key
    this.args = args
    this.alone = alone
    this.began = clock.now()
    this.#owner = owner
    this.#clock = clock
  }

  /** How many wait for it. */
  get waiting(): number {
    return this.#waiters.size + this.#stayers
  }

  get signal(): AbortSignal {
    return this.#lazy.signal
  }

  /** That of the most patient caller. */
  get deadline(): number {
    if (this.#lastDeadline !== undefined) return this.#lastDeadline
    if (this.alone || this.#stayers > 0 || this.#waiters.size === 0) return Number.POSITIVE_INFINITY
    let latest = Number.NEGATIVE_INFINITY
    for (const { caller } of this.#waiters) latest = Math.max(latest, caller.deadline)
    return latest
  }

  get remaining(): number {
    if (this.#lastDeadline !== undefined) return 0
    return Math.max(0, this.deadline - this.#clock.now())
  }

  /** What there is to log of it. */
  toJSON(): Record<string, unknown> {
    const { attempt, deadline, remaining, args } = this
    return { attempt, deadline, remaining, args }
  }

  /** Runs it. Its first caller has joined before, and may leave while the function is being called. */
  begin(inside: Inside): void {
    const work = begin(() => outside(() => inside(this, new SharedLimits(this), this.report)), this)
    hang(
      work,
      (value) => this.#end(succeeded(value)),
      (error) => this.#end(unsuccessful('failed', error)),
    )
  }

  /** The same function, whose work is followed to its end. */
  following(operation: Operation<unknown>): Operation<unknown> {
    return (context) => {
      const work = begin(operation, context)
      this.#running++
      const end = (): void => {
        this.#running--
        this.#freeLast()
      }
      hang(work, end, end)
      return work
    }
  }

  /** One more caller waits for it, to its end: it brought neither signal nor limit, and wants no report. */
  stay(): Promise<unknown> {
    this.#stayers++
    if (this.#common === undefined) {
      const answer = new Promise<unknown>(capture)
      this.#common = { answer, resolve: resolveNew, reject: rejectNew }
    }
    return this.#common.answer
  }

  /** One more caller waits for it. */
  join(caller: Context, report: Report | undefined, mayLeave: boolean): Waiter {
    const waiter = new Waiter(this, caller, report)
    this.#waiters.add(waiter)
    if (mayLeave) link(caller.signal, waiter)
    return waiter
  }

  /** The caller of `waiter` has left; it was answered by whoever made it leave. */
  left(waiter: Waiter, reason: unknown): void {
    if (!this.#waiters.delete(waiter)) return
    if (this.alone || this.waiting > 0) return waiter.resolve(undefined)
    this.#last = waiter
    this.#lastDeadline = waiter.caller.deadline
    this.#owner.deserted(this)
    this.#lazy.abort(reason)
  }

  /** Answers `waiter` with something else; the call itself goes on, with or without others. */
  release(waiter: Waiter, value: unknown): void {
    if (!this.#waiters.delete(waiter)) return
    this.alone = true
    waiter.end()
    waiter.resolve(value)
  }

  #end(outcome: Outcome): void {
    this.#owner.ended(this, outcome)
    const { value, error } = outcome
    this.#ended = true
    this.#freeLast()
    if (outcome.ending === 'succeeded') this.#common?.resolve(value)
    else this.#common?.reject(error)
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    this.#stayers = 0
    for (const waiter of waiters) {
      waiter.end()
      if (outcome.ending === 'succeeded') {
        tell(waiter.report, this.report)
        waiter.resolve(value)
      } else {
        tellThrown(waiter.report, this.report, error)
        waiter.reject(error)
      }
    }
  }

  #freeLast(): void {
    if (this.#ended && this.#running === 0) this.#last?.resolve(undefined)
  }
}

/** A caller that waits for a shared call. */
export class Waiter implements Linked {
  readonly caller: Context
  readonly report: Report | undefined
  readonly answer: Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Ends its patience. */
  timer: Timer | undefined = undefined
  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  readonly #call: SharedCall

  constructor(call: SharedCall, caller: Context, report: Report | undefined) {
    this.#call = call
    this.caller = caller
    this.report = report
    this.answer = new Promise(capture)
    this.resolve = resolveNew
    this.reject = rejectNew
  }

  onAbort(reason: unknown): void {
    this.timer?.cancel()
    this.#call.left(this, reason)
  }

  /** It waits no more. */
  end(): void {
    unlink(this)
    this.timer?.cancel()
  }
}

/** Its own signal speaks for all callers; there is no one deadline that would hold for all of them. */
class SharedLimits implements ExecuteOptions {
  readonly deadline: number = Number.POSITIVE_INFINITY
  readonly #call: SharedCall

  constructor(call: SharedCall) {
    this.#call = call
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }
}
