/**
 * The way out. An outcome walks from the innermost step that holds the call towards the caller: each
 * step gives back what it took, or decides that something else runs first.
 */
import type { Ending } from './events.ts'
import { Fleet } from './fleet.ts'
import { Detour, type Flight } from './flight.ts'
import { eras } from './gate.ts'
import { type Outcome, unsuccessful, unwrap } from './outcome.ts'
import type { Admission, Permit, Reaction, Step, Visit } from './step.ts'
import { straysUnder } from './strays.ts'
import { UNTIMED } from './track.ts'

/** Says that the answer comes later, by a promise that the caller already has. */
const HAS_ONE: Promise<unknown> = Promise.resolve()

export abstract class Walk extends Fleet {
  /** Lets something else run, as the step at `index` decided. */
  protected abstract follow(
    flight: Flight,
    index: number,
    reaction: Exclude<Reaction, { kind: 'fail' }>,
    outcome: Outcome,
  ): void
  /** The caller aborted before the step at `index` was entered. */
  protected abstract cutBefore(flight: Flight, index: number): void

  /** Asks the step at `index`. What the user has a call weighed by may throw in there. */
  protected ask(flight: Flight, index: number): Admission {
    const step = this.steps[index] as Step
    try {
      return step.admit?.(flight)
    } catch (cause) {
      return cause instanceof Error
        ? cause
        : new TypeError(`"${step.name}": admission failed`, { cause })
    }
  }

  /** The step at `index` has not admitted the call. */
  protected refuse(flight: Flight, index: number, error: unknown): void {
    if (flight.cutWith !== undefined) return this.cutBefore(flight, index)
    this.noteRefusal(flight, index, error)
    this.pass(flight, index - 1, unsuccessful('rejected', error))
  }

  protected noteRefusal(flight: Flight, index: number, error: unknown): void {
    const { name: pipeline } = this
    const { name: policy, gate, emitter, clock } = this.steps[index] as Step
    gate.rejected++
    if (emitter.observed) emitter.emit({ type: 'reject', policy, pipeline, at: clock.now(), error })
    this.measure(flight, index, 'rejected', this.starts[flight.slot] as number, error)
  }

  /** An outcome leaves the steps from `from` outwards; the caller is answered if nothing runs again. */
  protected pass(flight: Flight, from: number, outcome: Outcome): void {
    const last = this.#leave(flight, from, outcome)
    if (!(last instanceof Promise)) this.finish(flight, last)
  }

  /** As `pass`, from within a promise handler whose promise may be the caller's own. */
  protected conclude(flight: Flight, from: number, outcome: Outcome): unknown {
    const { attempt } = flight
    attempt.cut = undefined
    const derived = attempt.resolve === undefined
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
        const detour = this.detour(flight)
        detour.visits ??= []
        const { visits } = detour
        visits[index] ??= { call: flight, memo: undefined }
        const visit = visits[index] as Visit
        const reaction = step.react(outcome, visit)
        if (reaction?.kind === 'fail') outcome = unsuccessful('failed', reaction.error)
        else if (reaction !== undefined) {
          // Taken first: what runs next may be over, and the flight gone, before this returns.
          const answer = this.defer(flight)
          this.follow(flight, index, reaction, outcome)
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
    const { resolve, reject } = flight.attempt
    // A hook that was called on the way out may have had the caller abort; a result is still a result.
    const answer = outcome.ending === 'succeeded' ? outcome : (flight.cutWith ?? outcome)
    this.release(flight)
    if (resolve === undefined) return unwrap(answer)
    if (answer.ending === 'succeeded') resolve(answer.value)
    else reject?.(answer.error)
    return undefined
  }

  /** Gives the caller a promise of its own, once. Of no use to a caller that has one already. */
  protected defer(flight: Flight): Promise<unknown> {
    if (flight.attempt.resolve !== undefined) return flight.detour?.answer ?? HAS_ONE
    const detour = this.detour(flight)
    const { attempt } = flight
    detour.answer = new Promise((resolve, reject) => {
      attempt.resolve = resolve
      attempt.reject = reject
    })
    return detour.answer
  }

  /** Notes how, when and in which era the step at `index` admitted a call that is on a detour. */
  protected enter(flight: Flight, index: number, permit: Permit | undefined): void {
    this.limits[index]?.begin(flight.slot)
    const detour = this.detour(flight)
    const fresh = detour.passages === undefined && eras.now === flight.era && !this.usesTime
    if (fresh && permit === undefined) return
    const since = this.usesTime ? this.time() : UNTIMED
    detour.passages ??= []
    detour.passages[index] = { era: eras.now, since, permit }
  }

  /** Takes the call out of the step at `index`, which gets back what it gave. */
  protected exit(
    flight: Flight,
    index: number,
    outcome: Outcome,
    counted: Ending = outcome.ending,
  ): void {
    const step = this.steps[index] as Step
    const { gate } = step
    const { detour, slot } = flight
    const passage = detour?.passages?.[index]
    const since = passage?.since ?? (this.starts[slot] as number)
    this.limits[index]?.end(slot)
    gate.count(counted)
    if (step.leave === undefined) gate.running--
    else {
      const late = gate.since > (passage?.era ?? flight.era)
      const strays = detour?.strays
      const work = strays === undefined ? undefined : straysUnder(strays, index)
      step.leave(outcome, { call: flight, permit: passage?.permit, since, late, work })
    }
    this.measure(flight, index, counted, since, outcome.error)
  }

  /**
   * The call leaves the convoy while it runs: the steps outside `last` go on with it one by one, those
   * inside have seen it succeed.
   */
  protected disperse(flight: Flight, last: number = this.steps.length): Detour {
    const detour = this.detour(flight)
    if (detour.alone) return detour
    detour.alone = true
    this.convoy.running--
    for (let index = 0; index < this.steps.length; index++) {
      const { passive, gate } = this.steps[index] as Step
      if (index > last) this.limits[index]?.end(flight.slot)
      if (!passive) continue
      if (index <= last) gate.running++
      else {
        gate.succeeded++
        this.measure(flight, index, 'succeeded', this.starts[flight.slot] as number)
      }
    }
    return detour
  }

  protected detour(flight: Flight): Detour {
    flight.detour ??= new Detour(this.gates.length - 1)
    return flight.detour
  }
}
