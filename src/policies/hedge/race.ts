/**
 * The calls that are made for one answer. The first success is the answer; the call fails only when all
 * that were made have failed and no further one may be made.
 */
import { type Linked, link, type SignalHub, unlink } from '../../core/abort.ts'
import { begin, hang } from '../../core/begin.ts'
import { isRejection } from '../../core/errors.ts'
import { Attempt, type Report } from '../../core/flight.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import type { Context } from '../../core/policy.ts'
import { type Inside, tell } from '../../core/relay.ts'
import { stackless } from '../../core/stackless.ts'
import { HedgeAttempt } from './attempt.ts'
import type { WaitingRoom, Waits } from './waits.ts'

/** What a race asks of its policy. */
export interface RaceMaster {
  readonly name: string
  readonly maxHedges: number
  /** Where to wait for an answer; undefined when nobody knows yet how long. */
  readonly room: WaitingRoom | undefined
  /** Whether a failure is worth a further call. */
  isWorthIt(error: unknown): boolean
  /** Whether a result is worth a further call. */
  isPoor(value: unknown): boolean
  /** Whether a further call may be made. */
  allows(race: Race): boolean
  /** A further call is about to be made, because the last one failed or is slow. */
  sends(race: Race, attempt: number, error: unknown): void
  /** It has an answer, or the last failure. */
  ends(race: Race, winner: HedgeAttempt | undefined): void
  /** An answer came too late. */
  discards(value: unknown): void
}

export class Race implements Linked, Waits {
  readonly caller: Context
  /** When it began, in ms of the clock, if that matters. */
  readonly began: number
  readonly answer: Promise<unknown>
  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  readonly #master: RaceMaster
  readonly #inside: Inside
  readonly #report: Report | undefined
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  readonly #first: HedgeAttempt
  /** Those after the first. */
  #others: HedgeAttempt[] | undefined = undefined
  #sent = 1
  #running = 0
  #isOver = false
  /** Calls that run although the caller has left. */
  #left = 0
  /** No further call is made. */
  #isClosed = false
  #room: WaitingRoom | undefined = undefined
  #place = 0
  /** Wakes the race in the async context of its caller. */
  #wake: ((value: unknown) => void) | undefined = undefined
  #failure: { readonly error: unknown; readonly wasCalled: boolean } | undefined = undefined
  /** The first result that was not good enough: better than a failure. */
  #poor: Success | undefined = undefined
  #given: Success | undefined = undefined

  constructor(
    master: RaceMaster,
    caller: Context,
    inside: Inside,
    report: Report | undefined,
    began: number,
  ) {
    this.#master = master
    this.caller = caller
    this.#inside = inside
    this.#report = report
    this.began = began
    this.answer = new Promise(capture)
    this.#resolve = resolveNew
    this.#reject = rejectNew
    this.#first = new HedgeAttempt(caller, caller.attempt, report !== undefined)
  }

  /** Makes the first call, and with no delay the others too. */
  begin(mayLeave: boolean): void {
    if (mayLeave) link(this.caller.signal, this)
    this.#run(this.#first)
    if (this.#isOver || this.#isClosed) return
    if (this.#master.room?.duration === 0) this.#sendAll()
    else this.#wait()
  }

  /** The caller has left, and was answered by whoever made it leave. */
  onAbort(reason: unknown): void {
    this.#stop()
    if (this.#poor !== undefined) this.#discard(this.#poor.value)
    const running = this.#attempts().filter((attempt) => attempt.isRunning)
    this.#left = running.length
    if (running.length === 0) this.#resolve(undefined)
    for (const attempt of running) {
      attempt.end(reason)
      // A function that made its own caller leave has not returned yet: see #run.
      if (attempt.work !== undefined) this.#outlast(attempt.work)
    }
  }

  /** A slot that follows the work is kept until all of it has ended. */
  #outlast(work: Promise<unknown>): void {
    const ended = (): void => {
      if (--this.#left === 0) this.#resolve(undefined)
    }
    hang(work, ended, ended)
  }

  onDue(): void {
    this.#room = undefined
    this.#wake?.(undefined)
  }

  #sendAll(): void {
    while (!this.#isOver && this.#mayGoOn() && this.#goOn(undefined));
  }

  #wait(): void {
    const { room } = this.#master
    if (room === undefined || !this.#mayGoOn()) return
    const guard = new Promise(capture)
    this.#wake = resolveNew
    guard.then(this.#waited)
    this.#room = room
    this.#place = room.enter(this)
  }

  /** No answer for so long. */
  readonly #waited = (): void => {
    if (this.#isOver || !this.#mayGoOn()) return
    if (this.#goOn(undefined) && !this.#isOver) this.#wait()
  }

  #mayGoOn(): boolean {
    return !this.#isClosed && this.#sent <= this.#master.maxHedges
  }

  /** Makes a further call, if one is allowed. */
  #goOn(error: unknown): boolean {
    if (this.caller.remaining <= 0 || !this.#master.allows(this)) {
      this.#isClosed = true
      return false
    }
    this.#leaveRoom()
    const number = this.#numberNext()
    const attempt = new HedgeAttempt(this.caller, number, this.#report !== undefined)
    this.#others ??= []
    this.#others.push(attempt)
    this.#sent++
    this.#master.sends(this, this.#sent, error)
    this.#run(attempt)
    return true
  }

  #run(attempt: HedgeAttempt): void {
    this.#running++
    const work = begin(() => this.#inside(attempt, attempt, attempt.report), attempt)
    attempt.work ??= work
    if (this.#isOver) this.#outlast(attempt.work)
    hang(
      work,
      (value) => this.#succeeded(attempt, value),
      (error) => this.#failed(attempt, error),
    )
  }

  #succeeded(attempt: HedgeAttempt, value: unknown): void {
    attempt.isRunning = false
    this.#running--
    if (this.#isOver) return this.#discard(value)
    if (!this.#master.isPoor(value)) return this.#end({ attempt, value })
    if (this.#poor === undefined) this.#poor = { attempt, value }
    else this.#discard(value)
    this.#goOnOrEnd(undefined)
  }

  #failed(attempt: HedgeAttempt, error: unknown): void {
    attempt.isRunning = false
    this.#running--
    if (this.#isOver) return
    this.#note(attempt, error)
    if (!this.#master.isWorthIt(error)) this.#isClosed = true
    this.#goOnOrEnd(error)
  }

  #goOnOrEnd(error: unknown): void {
    if (this.#mayGoOn() && this.#goOn(error)) {
      if (!this.#isOver) this.#wait()
      return
    }
    if (this.#isClosed) this.#leaveRoom()
    if (this.#running > 0) return
    if (this.#poor !== undefined) return this.#end(this.#poor)
    this.#stop()
    this.#master.ends(this, undefined)
    const last = this.#failure?.error
    const report = this.#report
    if (report?.errors.includes(last)) report.errors.splice(report.errors.indexOf(last), 1)
    this.#reject(last)
  }

  #end(success: Success): void {
    const { attempt, value } = success
    this.#given = success
    this.#stop()
    this.#master.ends(this, attempt === this.#first ? undefined : attempt)
    if (this.#running > 0) this.#cancelLosers()
    if (this.#poor !== undefined) this.#discard(this.#poor.value)
    tell(this.#report, attempt.report)
    this.#resolve(value)
  }

  /** Calls that share their answer give the very object that the caller has. */
  #discard(value: unknown): void {
    if (this.#given === undefined || this.#given.value !== value) this.#master.discards(value)
  }

  /** The first failure of a call that was really made is what the caller gets if all fail. */
  #note(attempt: HedgeAttempt, error: unknown): void {
    const wasCalled = !isRejection(error)
    if (this.#failure === undefined || (wasCalled && !this.#failure.wasCalled)) {
      this.#failure = { error, wasCalled }
    }
    const report = this.#report
    if (report === undefined) return
    const { errors = [] } = attempt.report ?? {}
    report.errors.push(...errors)
    if (errors.at(-1) !== error) report.errors.push(error)
  }

  #cancelLosers(): void {
    const { name } = this.#master
    const reason = stackless(() => new Error(`hedge "${name}": another call was faster`))
    reason.name = 'AbortError'
    for (const attempt of this.#attempts()) {
      if (!attempt.isRunning) continue
      if (attempt.work !== undefined) this.#adopt(attempt.work)
      attempt.end(reason)
    }
  }

  /** A slot outside must know of work that goes on after the answer. */
  #adopt(work: Promise<unknown>): void {
    const { caller } = this
    if (!(caller instanceof Attempt) || caller.generation !== caller.flight.generation) return
    caller.flight.pilot.adopt(caller.flight, work)
  }

  #numberNext(): number {
    const { caller } = this
    const isOwn = caller instanceof Attempt && caller.generation === caller.flight.generation
    return isOwn ? ++caller.flight.calls : caller.attempt + this.#sent
  }

  #stop(): void {
    this.#isOver = true
    this.#leaveRoom()
    unlink(this)
  }

  #leaveRoom(): void {
    this.#room?.leave(this.#place)
    this.#room = undefined
  }

  #attempts(): HedgeAttempt[] {
    return this.#others === undefined ? [this.#first] : [this.#first, ...this.#others]
  }
}

interface Success {
  readonly attempt: HedgeAttempt
  readonly value: unknown
}
