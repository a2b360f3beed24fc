/**
 * The slow path: everything that can happen to a call besides simply succeeding.
 *
 * Whatever a call waits for (the function, a pause, a place in line, an alternative) hangs on one guard
 * promise, whose handlers the call itself registered: whoever ends the wait, what follows runs in the
 * caller's own async context.
 */
import { begin, hang } from './begin.ts'
import { inNextTurn } from './clock.ts'
import { TimeoutError } from './errors.ts'
import type { Flight, Pilot, Wait } from './flight.ts'
import { capture, rejectNew, resolveNew } from './handles.ts'
import { type Outcome, succeeded, unsuccessful } from './outcome.ts'
import { stackless } from './stackless.ts'
import type { Admission, Reaction, Step, Waiting } from './step.ts'
import { Stray } from './strays.ts'
import { Walk } from './walk.ts'

/** After so many calls without a pause the event loop gets a turn: an abort must be able to arrive. */
const BREATH = 64

export abstract class Flow extends Walk implements Pilot {
  /** Calls the function. Returns the answer, for a caller that does not have one yet. */
  protected abstract launch(flight: Flight): unknown

  /** Admits from step `from` inwards, then calls the function. For calls that left the fast path. */
  protected proceed(flight: Flight, from: number): void {
    const { gates } = this
    const detour = this.detour(flight)
    for (let index = from; index < gates.length; index++) {
      const gate = gates[index] as (typeof gates)[number]
      if (gate.running < gate.limit) {
        gate.running++
        this.enter(flight, index, undefined)
      } else if (!this.admit(flight, index, this.ask(flight, index))) return
    }
    detour.depth = gates.length - 1
    if (flight.cutWith !== undefined) return void this.cutOff(flight)
    this.launch(flight)
  }

  /** What the step at `index` said. False if the call is not in: refused, or in line. */
  protected admit(flight: Flight, index: number, admission: Admission): boolean {
    if (admission instanceof Error) this.refuse(flight, index, admission)
    else if (admission?.kind === 'waiting') this.#queue(flight, index, admission)
    else {
      this.enter(flight, index, admission)
      return true
    }
    return false
  }

  /** A limit or the caller ends the wait. Decided here; what follows runs in the call's own context. */
  protected interrupt(flight: Flight, at: number, outcome: Outcome, tell?: () => void): void {
    if (flight.cutWith !== undefined) return
    flight.cutWith = outcome
    flight.cutAt = at
    tell?.()
    const { attempt, detour } = flight
    const { cut } = attempt
    const deadline = this.deadlineOf(flight)
    if (detour === undefined || detour.running) this.strand(flight)
    if (cut !== undefined) cut(outcome.error)
    else if (flight.lent) this.cutOff(flight)
    // Otherwise the engine is busy with this very call, which calls user code that did this:
    // it looks at `cutWith` before it waits again.
    stopWaiting(detour?.wait)
    attempt.end(outcome.error, deadline)
  }

  /** Lets go of everything inside the step that ended the wait, then goes on outwards from there. */
  protected cutOff(flight: Flight): unknown {
    const outcome = flight.cutWith as Outcome
    const at = flight.cutAt
    const detour = this.disperse(flight)
    const { wait } = detour
    detour.wait = undefined
    detour.running = false
    if (wait?.for === 'line') this.#leftLine(flight, wait.index, outcome)
    for (let index = detour.depth; index > at; index--) {
      if (detour.visits !== undefined) detour.visits[index] = undefined
      // A limit outside a retry cuts the last attempt short: that says nothing of the dependency.
      const { ending } = outcome
      const had = ending === 'timedOut' && at >= 0 && !this.decides(at, index)
      this.exit(flight, index, had ? outcome : unsuccessful('aborted', outcome.error), ending)
    }
    if (!flight.lent) flight.cutWith = undefined
    return this.conclude(flight, at, outcome)
  }

  protected cutBefore(flight: Flight, index: number): void {
    this.detour(flight).depth = index - 1
    this.cutOff(flight)
  }

  protected follow(
    flight: Flight,
    index: number,
    reaction: Exclude<Reaction, { kind: 'fail' }>,
    outcome: Outcome,
  ): void {
    for (const stray of flight.detour?.strays ?? []) stray.reach = Math.min(stray.reach, index + 1)
    if (reaction.kind === 'instead') return this.#instead(flight, index, reaction)
    const { delay, before } = reaction
    const again = (): void => {
      before?.()
      flight.attempt = flight.attempt.successor(flight.calls + 1)
      this.proceed(flight, index + 1)
    }
    // After a refusal nothing has been awaited yet: without a pause of its own this would recurse.
    const breathes = flight.calls % BREATH === 0
    if (delay <= 0 && outcome.ending !== 'rejected' && !breathes) return again()
    this.#pause(flight, { for: 'pause', index, again }, delay)
  }

  #pause(flight: Flight, wait: Wait & { for: 'pause' }, delay: number): void {
    const guard = new Promise(capture)
    const wake = resolveNew
    this.#await(flight, wait.index, wait, guard)
    const { clock } = this.steps[wait.index] as Step
    if (delay > 0) wait.timer = clock.setTimer(() => wake(undefined), delay)
    else if (flight.calls % BREATH === 0) inNextTurn(clock, () => wake(undefined))
    else wake(undefined)
    this.#lookBeforeWaiting(flight)
  }

  #instead(flight: Flight, index: number, { run, source }: Reaction & { kind: 'instead' }): void {
    const attempt = flight.attempt.successor(flight.attempt.attempt)
    flight.attempt = attempt
    const work = begin(run, attempt)
    attempt.work = work
    const guard = new Promise(capture)
    hang(work, resolveNew, rejectNew)
    this.#await(flight, index, { for: 'alternative', index, source }, guard)
    this.#lookBeforeWaiting(flight)
  }

  #queue(flight: Flight, index: number, place: Waiting): void {
    this.defer(flight)
    const guard = new Promise(capture)
    const done = resolveNew
    this.#await(flight, index - 1, { for: 'line', index, place }, guard)
    place.begin(done)
    this.#lookBeforeWaiting(flight)
  }

  /** The call waits for `guard`, which was made just now, held by the steps down to `depth`. */
  #await(flight: Flight, depth: number, wait: Wait, guard: Promise<unknown>): void {
    flight.attempt.cut = rejectNew
    const detour = this.detour(flight)
    detour.depth = depth
    detour.wait = wait
    detour.running = wait.for === 'alternative'
    guard.then(flight.go, flight.stop)
  }

  /** User code that was just called may have ended the wait before it began. */
  #lookBeforeWaiting(flight: Flight): void {
    if (flight.cutWith === undefined) return
    const detour = this.detour(flight)
    if (detour.running) this.strand(flight)
    flight.attempt.cut?.(undefined)
    stopWaiting(detour.wait)
  }

  /** The wait is over, in the call's own async context. */
  resumed(flight: Flight, value: unknown, failed: boolean): void {
    if (flight.cutWith !== undefined) return void this.cutOff(flight)
    const detour = this.detour(flight)
    const wait = detour.wait as Wait
    detour.wait = undefined
    flight.attempt.cut = undefined
    if (wait.for === 'pause') wait.again()
    else if (wait.for === 'line') this.#served(flight, wait.index, value)
    else if (failed) this.pass(flight, wait.index, unsuccessful('failed', value))
    else {
      if (detour.report !== undefined) detour.report.source = wait.source
      this.pass(flight, wait.index, succeeded(value))
    }
  }

  #served(flight: Flight, index: number, refusal: unknown): void {
    if (refusal instanceof Error) return this.refuse(flight, index, refusal)
    this.enter(flight, index, undefined)
    this.proceed(flight, index + 1)
  }

  /** It had not been admitted: nothing to give back, but it counts. */
  #leftLine(flight: Flight, index: number, { ending, error }: Outcome): void {
    this.gates[index]?.count(ending)
    this.measure(flight, index, ending, this.starts[flight.slot] as number, error)
  }

  /** The function still runs although nobody waits: slots that follow the work must know. */
  protected strand(flight: Flight): void {
    const { work } = flight.attempt
    if (work !== undefined) this.adopt(flight, work)
  }

  /** Notes a stray, here and wherever this call is a part of another. */
  adopt(flight: Flight, work: Promise<unknown>): void {
    if (this.followsWork) {
      const detour = this.detour(flight)
      const others = detour.strays?.filter((stray) => !stray.ended) ?? []
      detour.strays = [...others, new Stray(work, this.gates.length)]
    }
    const parent = flight.detour?.parent
    if (parent === undefined || parent.generation !== parent.flight.generation) return
    parent.flight.pilot.adopt(parent.flight, work)
  }

  /** The limit of the step at `index` was reached. */
  protected expire(flight: Flight, index: number): void {
    const { name: policy, duration = 0, emitter, clock } = this.steps[index] as Step
    const { name: pipeline } = this
    const error = stackless(() => new TimeoutError(policy, duration))
    this.interrupt(flight, index, unsuccessful('timedOut', error), () => {
      if (!emitter.observed) return
      emitter.emit({ type: 'timeout', policy, pipeline, at: clock.now(), duration })
    })
  }

  aborted(flight: Flight, reason: unknown): void {
    this.interrupt(flight, -1, unsuccessful('aborted', reason))
  }

  abstract landed(flight: Flight, value: unknown): unknown
  abstract crashed(flight: Flight, error: unknown): unknown
  abstract landedFree(flight: Flight, value: unknown): unknown
  abstract crashedFree(flight: Flight, error: unknown): unknown
  abstract boarded(flight: Flight, refusal: unknown): unknown
}

function stopWaiting(wait: Wait | undefined): void {
  if (wait?.for === 'pause') wait.timer?.cancel()
  else if (wait?.for === 'line') wait.place.cancel()
}
