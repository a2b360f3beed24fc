/**
 * The fast path: one call through a whole stack of policies at the price of one promise layer.
 *
 * On the way in each gate takes the call with one comparison; on the way out each takes note with one more.
 * A gate that is at its limit, an outcome that is not a plain success, a signal, a pause: all that is
 * the slow path, in flow.ts, which nothing here waits for.
 *
 * How a call is tied to its answer depends on what may happen to it:
 * - nothing can end it early: the answer is derived from the function's promise (one `then`);
 * - a limit or a signal can: the caller gets a promise of its own, settled by whoever is first;
 * - and something may run afterwards: a guard promise in between, so that even after a timeout a retry
 *   or fallback runs in the caller's async context.
 */
import { ambient } from './ambient.ts'
import { begin, hang } from './begin.ts'
import { Boarding } from './boarding.ts'
import { Attempt, type Flight, NO_ARGS, NOTHING, type Report, UNMADE } from './flight.ts'
import { ASKS, eras, type Gate, WATCHED } from './gate.ts'
import { show } from './options.ts'
import { relayed, succeeded, unsuccessful } from './outcome.ts'
import type { ExecuteOptions, Operation } from './policy.ts'
import type { Admission, Step } from './step.ts'

const settled = Promise.resolve()

export class Engine extends Boarding {
  /** What it calls is the inner half of a pipeline, whose refusals and limits are the pipeline's own. */
  relays = false
  readonly #reacts = this.steps.some((step) => step.react)
  readonly #unlimited = this.outermost === undefined

  execute(
    operation: Operation<unknown>,
    options?: ExecuteOptions,
    args: readonly unknown[] = NO_ARGS,
    report?: Report,
    parent?: Attempt,
  ): Promise<unknown> {
    if (typeof operation !== 'function') return Promise.reject(notAFunction(this.name, operation))
    const flight = this.take()
    flight.era = eras.now
    if (this.usesTime || this.convoy.watched) this.stamp(flight)
    const alone = options === undefined && report === undefined && ambient.source === undefined
    if (alone && this.#unlimited) return this.#flyFree(flight, operation, args)
    let attempt = new Attempt(flight, operation, args, 1)
    // A pointer from a pooled object to a young one is the most expensive store there is.
    flight.attempt = attempt
    if (!alone) {
      const refused = this.tryBoard(flight, options, report, parent)
      if (refused !== undefined) return refused
      attempt = flight.attempt
    }
    const full = this.#enterAll()
    if (full >= 0) {
      this.#leaveConvoy(flight, full)
      return this.#divert(flight, full, this.ask(flight, full))
    }
    for (let limit = this.outermost; limit !== undefined; limit = limit.inner) {
      limit.begin(flight.slot)
    }
    return this.launch(flight, attempt)
  }

  /** Nothing can end it early: the answer is derived from the function's promise. */
  #flyFree(
    flight: Flight,
    operation: Operation<unknown>,
    args: readonly unknown[],
  ): Promise<unknown> {
    if (this.#reacts) flight.begunWith(operation, args)
    const full = this.#enterAll()
    if (full < 0) return this.#callFree(flight, operation, args)
    flight.begunWith(operation, args)
    return this.#askFree(flight, full)
  }

  #callFree(
    flight: Flight,
    operation: Operation<unknown>,
    args: readonly unknown[],
  ): Promise<unknown> {
    flight.calls = 1
    const work = begin(operation, new Attempt(flight, operation, args, 1))
    return hang(work, flight.okFree, flight.erFree)
  }

  /** As `landed`, for a flight that nothing could end. */
  landedFree(flight: Flight, value: unknown): unknown {
    if (flight.detour !== undefined) return this.landed(flight.bind(), value)
    const alert = this.#passAll(flight, value)
    if (alert >= 0) return this.#landAlert(flight.bind(), alert, value)
    if (this.#reacts) flight.begunWith(NOTHING, NO_ARGS)
    flight.calls = 0
    flight.generation++
    this.shelve(flight)
    return value
  }

  crashedFree(flight: Flight, error: unknown): unknown {
    return this.crashed(flight.bind(), error)
  }

  /** A gate has no room by itself. A flight that the innermost lets in, or in line, remains free. */
  #askFree(flight: Flight, index: number): Promise<unknown> {
    const admission = this.ask(flight, index)
    const told = this.usesTime || this.convoy.watched
    const refused = admission instanceof Error || admission?.kind === 'permit'
    if (told || refused || index < this.steps.length - 1) {
      this.#leaveConvoy(flight.bind(), index)
      return this.#divert(flight, index, admission)
    }
    this.convoy.running++
    if (admission === undefined) return this.#boardFree(flight)
    const turn = new Promise<unknown>((resolve) => admission.begin(resolve))
    return turn.then(flight.board)
  }

  /** It has stood in line. */
  boarded(flight: Flight, refusal: unknown): unknown {
    if (!(refusal instanceof Error)) return this.#boardFree(flight)
    const index = this.steps.length - 1
    this.disperse(flight.bind(), index)
    this.noteRefusal(flight, index, refusal)
    return this.conclude(flight, index - 1, unsuccessful('rejected', refusal))
  }

  #boardFree(flight: Flight): Promise<unknown> {
    const { operation, given } = flight
    if (!this.#reacts) flight.begunWith(NOTHING, NO_ARGS)
    return this.#callFree(flight, operation, given)
  }

  /** In through all gates. The index of the step that has no room, or -1. */
  #enterAll(): number {
    for (let point = this.first; point !== undefined; point = point.inner) {
      const { gate } = point
      if (gate.running >= gate.limit) return point.index
      gate.running++
    }
    this.convoy.running++
    return -1
  }

  protected launch(flight: Flight, attempt: Attempt = flight.attempt): Promise<unknown> {
    if (flight.ok === UNMADE) flight.equip()
    flight.calls = attempt.attempt
    const work = begin(attempt.operation, attempt)
    const { detour } = flight
    if (this.followsWork || detour?.parent !== undefined) attempt.work = work
    if (detour !== undefined) detour.running = true
    if (flight.cutWith !== undefined) return this.#cutAtOnce(flight, work)
    if (this.fenced) {
      const guard = new Promise((resolve, reject) => {
        attempt.cut = reject
        hang(work, resolve, reject)
      })
      return guard.then(flight.ok, flight.er)
    }
    flight.lent = true
    if (attempt.resolve !== undefined) return hang(work, flight.ok, flight.er)
    const answer = new Promise((resolve, reject) => {
      attempt.resolve = resolve
      attempt.reject = reject
    })
    hang(work, flight.ok, flight.er)
    return answer
  }

  /** The function's promise was fulfilled. */
  landed(flight: Flight, value: unknown): unknown {
    if (flight.cutWith !== undefined) return this.#comeHome(flight)
    flight.lent = false
    if (flight.detour !== undefined) return this.#landAlone(flight, value)
    const alert = this.#passAll(flight, value)
    if (alert >= 0) return this.#landAlert(flight, alert, value)
    for (let limit = this.outermost; limit !== undefined; limit = limit.inner) {
      limit.end(flight.slot)
    }
    return this.#answer(flight, value)
  }

  /** Out through all gates, with a plain success. The index of the step that has more to say, or -1. */
  #passAll(flight: Flight, value: unknown): number {
    for (let point = this.last; point !== undefined; point = point.outer) {
      const { gate } = point
      if (gate.alert === 0 && gate.since <= flight.era) gate.running--
      else if (!this.#passAlert(flight, point.index, gate, value)) return point.index
      gate.succeeded++
    }
    const { convoy } = this
    convoy.running--
    convoy.succeeded++
    if (convoy.watched) this.measureConvoy(flight)
    return -1
  }

  #landAlert(flight: Flight, index: number, value: unknown): unknown {
    this.disperse(flight, index)
    return this.conclude(flight, index, succeeded(value))
  }

  /** The same for a call that is on a detour: each gate is visited. */
  #landAlone(flight: Flight, value: unknown): unknown {
    const detour = this.disperse(flight)
    const { gates, limits } = this
    let index = gates.length - 1
    if (!detour.plain) return this.conclude(flight, index, succeeded(value))
    for (; index >= 0; index--) {
      const gate = gates[index] as Gate
      if (gate.alert === 0 && gate.since <= flight.era) gate.running--
      else if (!this.#passAlert(flight, index, gate, value)) {
        return this.conclude(flight, index, succeeded(value))
      }
      limits[index]?.end(flight.slot)
      gate.succeeded++
    }
    return this.#answer(flight, value)
  }

  #answer(flight: Flight, value: unknown): unknown {
    const { resolve } = flight.attempt
    this.release(flight)
    if (resolve === undefined) return value
    resolve(value)
    return undefined
  }

  /** A plain success at a gate that wants to hear of it; false if it has to go the slow way. */
  #passAlert(flight: Flight, index: number, gate: Gate, value: unknown): boolean {
    if (gate.since > flight.era) return false
    const since = this.starts[flight.slot] as number
    if ((gate.alert & ASKS) === 0) gate.running--
    else if (!this.steps[index]?.passed?.(value, since)) return false
    if ((gate.alert & WATCHED) !== 0) this.measure(flight, index, 'succeeded', since)
    return true
  }

  /** The function's promise was rejected. */
  crashed(flight: Flight, error: unknown): unknown {
    if (flight.cutWith !== undefined) return this.#comeHome(flight)
    flight.lent = false
    this.disperse(flight)
    const outcome = this.relays ? relayed(error) : unsuccessful('failed', error)
    return this.conclude(flight, this.gates.length - 1, outcome)
  }

  /** The wait was over before: the call goes on from there, or has gone and only its work comes home. */
  #comeHome(flight: Flight): unknown {
    return flight.lent ? undefined : this.cutOff(flight)
  }

  /** The function itself, while it was being called, had its caller's signal abort. */
  #cutAtOnce(flight: Flight, work: Promise<unknown>): Promise<unknown> {
    hang(work, ignore, ignore)
    this.strand(flight)
    const answer = this.defer(flight)
    this.cutOff(flight)
    return answer
  }

  /** The steps outside `index`, where a gate has no room, count the call by themselves. */
  #leaveConvoy(flight: Flight, index: number): void {
    for (let outer = 0; outer < index; outer++) {
      const { passive, gate } = this.steps[outer] as Step
      if (passive) gate.running++
      this.limits[outer]?.begin(flight.slot)
    }
  }

  /** The rest of the way is the slow path's. */
  #divert(flight: Flight, index: number, admission: Admission): Promise<unknown> {
    if (admission instanceof Error && !this.decides(-1, index) && flight.cutWith === undefined) {
      return this.#refuseAtOnce(flight, index, admission)
    }
    this.detour(flight).alone = true
    const answer = this.defer(flight)
    if (this.admit(flight, index, admission)) this.proceed(flight, index + 1)
    return answer
  }

  /** A refusal that nobody will turn into anything else: the most frequent call of an outage. */
  #refuseAtOnce(flight: Flight, index: number, error: unknown): Promise<unknown> {
    flight.detour?.report?.errors.push(error)
    this.noteRefusal(flight, index, error)
    const outcome = unsuccessful('rejected', error)
    for (let outer = index - 1; outer >= 0; outer--) this.exit(flight, outer, outcome)
    this.release(flight)
    // A promise that is born rejected goes through the runtime's tracker of unhandled rejections, and
    // a throw in a handler unwinds: both cost more than all the rest of a refusal.
    return new Promise((_resolve, reject) => {
      settled.then(reject.bind(undefined, error))
    })
  }
}

function ignore(): void {}

function notAFunction(name: string, found: unknown): TypeError {
  return new TypeError(`"${name}": execute needs a function, but was given ${show(found)}`)
}
