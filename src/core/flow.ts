/**
 * The slow path: everything that can happen to a call besides simply succeeding.
 *
 * A call is always held by its outermost steps down to some depth. An outcome walks outwards from
 * there: each step gives back what it took, or decides what runs next. Whatever a call waits for (the
 * function, a pause, a line, an alternative) hangs on one guard promise whose handlers were registered
 * by the call itself, so that whoever ends the wait, the rest runs in the caller's own async context.
 */
import { begin } from './begin.ts'
import { stackless, TimeoutError } from './errors.ts'
import { Attempt, Detour, type Flight, type Pilot, Stray, straysUnder } from './flight.ts'
import { eras } from './gate.ts'
import { type Outcome, succeeded, unsuccessful, unwrap } from './outcome.ts'
import type { Reaction, Step, Visit, Waiting } from './step.ts'
import { Track } from './track.ts'

export abstract class Flow extends Track implements Pilot {
  /** Calls the function. Returns the answer, for a caller that does not have one yet. */
  protected abstract launch(flight: Flight): unknown
  protected abstract release(flight: Flight): void

  /** Admits from step `from` inwards, then calls the function. For calls that left the fast path. */
  protected proceed(flight: Flight, from: number): void {
    const { gates, steps } = this
    const detour = this.detour(flight)
    if (flight.attempt !== undefined && flight.calls === flight.attempt.attempt) {
      flight.attempt = flight.attempt.again()
    }
    for (let index = from; index < gates.length; index++) {
      const gate = gates[index] as (typeof gates)[number]
      if (gate.running < gate.limit) gate.running++
      else {
        const admission = (steps[index] as Step).admit?.(flight)
        if (admission instanceof Error) return this.refuse(flight, index, admission)
        if (admission?.kind === 'waiting') return this.#queue(flight, index, admission)
        detour.permits[index] = admission
      }
      this.enter(flight, index)
    }
    detour.depth = gates.length - 1
    if (flight.cutWith !== undefined) return void this.cutOff(flight)
    detour.running = true
    this.launch(flight)
  }

  /** The step at `index` has not admitted the call. */
  protected refuse(flight: Flight, index: number, error: unknown): void {
    const step = this.steps[index] as Step
    step.gate.rejected++
    if (step.emitter.observed) {
      const { name: pipeline } = this
      step.emitter.emit({
        type: 'reject',
        policy: step.name,
        pipeline,
        at: step.clock.now(),
        error,
      })
    }
    this.pass(flight, index - 1, unsuccessful('rejected', error))
  }

  /** An outcome leaves the steps from `from` outwards; the caller is answered if nothing runs again. */
  protected pass(flight: Flight, from: number, outcome: Outcome): void {
    const last = this.#leave(flight, from, outcome)
    if (!(last instanceof Promise)) this.finish(flight, last)
  }

  /** As `pass`, from within a promise handler whose promise may be the caller's own. */
  protected conclude(flight: Flight, from: number, outcome: Outcome): unknown {
    flight.cut = undefined
    const derived = flight.resolve === undefined
    const last = this.#leave(flight, from, outcome)
    if (last instanceof Promise) return derived ? last : undefined
    return this.finish(flight, last)
  }

  /** Walks outwards. The caller's promise, instead of an outcome, when a step had something else run. */
  #leave(flight: Flight, from: number, ending: Outcome): Outcome | Promise<unknown> {
    let outcome = ending
    if (outcome.ending !== 'succeeded') flight.detour?.report?.errors.push(outcome.error)
    for (let index = from; index >= 0; index--) {
      const step = this.steps[index] as Step
      if (step.react !== undefined && outcome.ending !== 'aborted') {
        const { visits } = this.detour(flight)
        visits[index] ??= { call: flight, memo: undefined }
        const visit = visits[index] as Visit
        const reaction = step.react(outcome, visit)
        if (reaction?.kind === 'fail') outcome = unsuccessful('failed', reaction.error)
        else if (reaction !== undefined) {
          // Taken first: what runs next may be over, and the flight gone, before this returns.
          const answer = this.defer(flight)
          this.#follow(flight, index, reaction, outcome)
          return answer
        }
        visits[index] = undefined
      }
      this.exit(flight, index, outcome)
    }
    return outcome
  }

  /** Answers the caller: by its promise, or through the handler that it hangs on. */
  protected finish(flight: Flight, outcome: Outcome): unknown {
    const { resolve, reject } = flight
    const report = flight.detour?.report
    if (report !== undefined) report.attempts = flight.calls
    this.release(flight)
    if (resolve === undefined) return unwrap(outcome)
    if (outcome.ending === 'succeeded') resolve(outcome.value)
    else reject?.(outcome.error)
    return undefined
  }

  /** Gives the caller a promise of its own, once. */
  protected defer(flight: Flight): Promise<unknown> {
    const detour = this.detour(flight)
    detour.answer ??= new Promise((resolve, reject) => {
      flight.resolve = resolve
      flight.reject = reject
    })
    return detour.answer
  }

  /** A limit or the caller ends the wait. Decided here; what follows runs in the call's own context. */
  protected interrupt(flight: Flight, at: number, outcome: Outcome): void {
    if (flight.cutWith !== undefined) return
    flight.cutWith = outcome
    flight.cutAt = at
    const { attempt, cut, detour } = flight
    if (detour === undefined || detour.running) this.strand(flight)
    if (cut !== undefined) cut(outcome.error)
    else if (flight.lent) this.cutOff(flight)
    // Otherwise the engine is busy with this very call, which calls user code that did this:
    // it looks at `cutWith` before it waits again.
    detour?.cancel?.()
    attempt?.end(outcome.error)
  }

  /** Lets go of everything inside the step that ended the wait, then goes on outwards from there. */
  protected cutOff(flight: Flight): unknown {
    const outcome = flight.cutWith as Outcome
    const at = flight.cutAt
    const detour = this.detour(flight)
    detour.cancel = undefined
    detour.running = false
    for (let index = detour.depth; index > at; index--) {
      detour.visits[index] = undefined
      // A limit outside a retry cuts the last attempt short: that says nothing of the dependency.
      const { ending } = outcome
      const had = ending === 'timedOut' && at >= 0 && !this.decides(at, index)
      this.exit(flight, index, had ? outcome : unsuccessful('aborted', outcome.error))
    }
    if (!flight.lent) flight.cutWith = undefined
    return this.conclude(flight, at, outcome)
  }

  #follow(
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
      this.proceed(flight, index + 1)
    }
    // After a refusal nothing has been awaited yet: without a pause of its own this would recurse.
    if (delay <= 0 && outcome.ending !== 'rejected') return again()
    const { clock } = this.steps[index] as Step
    const sleep = (wake: (value: unknown) => void): (() => void) | undefined => {
      if (delay > 0) {
        const timer = clock.setTimer(() => wake(undefined), delay)
        return () => timer.cancel()
      }
      wake(undefined)
      return undefined
    }
    this.#await(flight, index, sleep, again)
  }

  #instead(flight: Flight, index: number, { run, source }: Reaction & { kind: 'instead' }): void {
    const former = flight.attempt as Attempt
    const attempt = new Attempt(flight, former.operation, former.args, former.attempt)
    flight.attempt = attempt
    const work = begin(run, attempt)
    attempt.work = work
    this.#await(
      flight,
      index,
      (resolve, reject) => {
        work.then(resolve, reject)
        return undefined
      },
      (value) => {
        const report = flight.detour?.report
        if (report !== undefined) report.source = source
        this.pass(flight, index, succeeded(value))
      },
      true,
    )
  }

  #queue(flight: Flight, index: number, waiting: Waiting): void {
    this.defer(flight)
    this.#await(
      flight,
      index - 1,
      (resolve) => {
        waiting.begin(resolve)
        return () => waiting.cancel()
      },
      (refusal) => {
        if (refusal instanceof Error) return this.refuse(flight, index, refusal)
        this.enter(flight, index)
        this.proceed(flight, index + 1)
      },
    )
  }

  /** Waits for something, held by the steps down to `depth`. `start` gives the way to stop it early. */
  #await(
    flight: Flight,
    depth: number,
    start: (
      resolve: (value: unknown) => void,
      reject: (error: unknown) => void,
    ) => (() => void) | undefined,
    then: (value: unknown) => void,
    running = false,
  ): void {
    const detour = this.detour(flight)
    detour.depth = depth
    detour.running = running
    const guard = new Promise((resolve, reject) => {
      flight.cut = reject
      detour.cancel = start(resolve, reject)
    })
    const resume = (value: unknown, failed: boolean): void => {
      if (flight.cutWith !== undefined) return void this.cutOff(flight)
      detour.cancel = undefined
      flight.cut = undefined
      if (failed) this.pass(flight, depth, unsuccessful('failed', value))
      else then(value)
    }
    guard.then(
      (value) => resume(value, false),
      (error) => resume(error, true),
    )
    if (flight.cutWith === undefined) return
    if (running) this.strand(flight)
    flight.cut?.(undefined)
    detour.cancel?.()
  }

  /** The function still runs although nobody waits: slots that follow the work must know. */
  protected strand(flight: Flight): void {
    const work = flight.attempt?.work
    if (!this.followsWork || work === undefined) return
    const detour = this.detour(flight)
    detour.strays ??= []
    detour.strays.push(new Stray(work, this.gates.length))
  }

  protected detour(flight: Flight): Detour {
    flight.detour ??= new Detour(this.gates.length - 1)
    return flight.detour
  }

  /** Notes when and in which era the step at `index` admitted a call that is on a detour. */
  protected enter(flight: Flight, index: number): void {
    const detour = flight.detour as Detour
    detour.eras[index] = eras.now
    if (!this.usesTime) return
    const now = this.time()
    detour.starts[index] = now
    this.limits[index]?.begin(flight.slot, now)
  }

  /** Takes the call out of the step at `index`, which gets back what it gave. */
  protected exit(flight: Flight, index: number, outcome: Outcome): void {
    const step = this.steps[index] as Step
    const { gate } = step
    const { detour, slot } = flight
    this.limits[index]?.end(slot)
    gate.count(outcome.ending)
    const since = detour?.starts[index] ?? (this.starts[slot] as number)
    if (step.leave === undefined) gate.running--
    else {
      const permit = detour?.permits[index]
      if (detour !== undefined) detour.permits[index] = undefined
      step.leave(outcome, {
        call: flight,
        permit,
        since,
        late: gate.since > (detour?.eras[index] ?? flight.era),
        work: detour?.strays === undefined ? undefined : straysUnder(detour.strays, index),
      })
    }
    this.measure(flight, index, outcome, since)
  }

  /** The limit of the step at `index` was reached. */
  protected expire(flight: Flight, index: number): void {
    const step = this.steps[index] as Step
    const duration = step.duration as number
    if (flight.cutWith !== undefined) return
    const error = stackless(() => new TimeoutError(step.name, duration))
    const { name: pipeline } = this
    this.interrupt(flight, index, unsuccessful('timedOut', error))
    if (step.emitter.observed) {
      const at = step.clock.now()
      step.emitter.emit({ type: 'timeout', policy: step.name, pipeline, at, duration })
    }
  }

  aborted(flight: Flight, reason: unknown): void {
    this.interrupt(flight, -1, unsuccessful('aborted', reason))
  }

  abstract landed(flight: Flight, value: unknown): unknown
  abstract crashed(flight: Flight, error: unknown): unknown
}
