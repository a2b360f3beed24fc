/**
 * The fast path: one call through a whole stack of policies at the price of one promise layer.
 *
 * On the way in each gate takes the call with one comparison; on the way out each is told with one more.
 * A gate that is at its limit, an outcome that is not a plain success, a signal, a pause: all that is
 * the slow path, in flow.ts, which nothing here waits for.
 *
 * How a call is tied to its answer depends on what may happen to it:
 * - nothing can end it early: the answer is derived from the function's promise (one `then`);
 * - a limit or a signal can: the caller gets a promise of its own, settled by whoever is first;
 * - and something may run afterwards: a guard promise in between, so that even after a timeout a retry
 *   or fallback runs in the caller's async context.
 */
import { link } from './abort.ts'
import { begin, hang } from './begin.ts'
import { readCallOptions } from './call-options.ts'
import { inNextTurn } from './clock.ts'
import { isRejection, isResilienceError, stackless, TimeoutError } from './errors.ts'
import { Attempt, Flight, type Report } from './flight.ts'
import { Flow } from './flow.ts'
import { ASKS, eras, type Gate, WATCHED } from './gate.ts'
import { capture, rejectNew, resolveNew } from './handles.ts'
import { succeeded, unsuccessful } from './outcome.ts'
import type { ExecuteOptions, Operation } from './policy.ts'
import { UNTIMED } from './track.ts'

export const NO_ARGS: readonly unknown[] = []

const settled = Promise.resolve()

/** Idle flights beyond this are dropped, so that a peak does not stay in memory. */
const MAX_IDLE = 4_096

export class Engine extends Flow {
  /** What it calls is the inner half of a pipeline, whose refusals and limits are the pipeline's own. */
  relays = false
  readonly #idle: Flight[] = []
  readonly #vacant: number[] = []
  readonly #gatesOnly = this.steps.every((step) => !(step.react || step.duration))
  readonly #unlimited = this.limits.every((limit) => limit === undefined)

  execute(
    operation: Operation<unknown>,
    options?: ExecuteOptions,
    args: readonly unknown[] = NO_ARGS,
    report?: Report,
    parent?: Attempt,
  ): Promise<unknown> {
    if (typeof operation !== 'function') return Promise.reject(notAFunction(this.name, operation))
    const flight = this.#idle.pop() ?? this.#create()
    flight.era = eras.now
    if (this.#gatesOnly && options === undefined && report === undefined) {
      return this.#pass(flight, operation, args)
    }
    flight.attempt = new Attempt(flight, operation, args, 1)
    this.starts[flight.slot] = this.usesTime ? this.time() : UNTIMED
    if (options !== undefined || report !== undefined) {
      const refused = this.#tryBoard(flight, options, report, parent)
      if (refused !== undefined) return refused
    }
    const { gates, limits } = this
    for (let index = 0; index < gates.length; index++) {
      const gate = gates[index] as Gate
      if (gate.running >= gate.limit) return this.#divert(flight, index)
      gate.running++
      limits[index]?.begin(flight.slot)
    }
    return this.launch(flight)
  }

  /**
   * Gates alone: nothing can end such a call early or run anything else, so the flight does not need to
   * know its attempt. (A pointer from a pooled object to a young one is the dearest store there is.)
   */
  #pass(flight: Flight, operation: Operation<unknown>, args: readonly unknown[]): Promise<unknown> {
    const { gates } = this
    const attempt = new Attempt(flight, operation, args, 1)
    this.starts[flight.slot] = this.usesTime ? this.time() : UNTIMED
    for (let index = 0; index < gates.length; index++) {
      const gate = gates[index] as Gate
      if (gate.running >= gate.limit) {
        flight.attempt = attempt
        return this.#divert(flight, index)
      }
      gate.running++
    }
    flight.calls = 1
    flight.lent = true
    return hang(begin(operation, attempt), flight.ok, flight.er)
  }

  protected launch(flight: Flight): Promise<unknown> {
    const { attempt } = flight
    flight.calls = attempt.attempt
    const work = begin(attempt.operation, attempt)
    const { detour } = flight
    if (this.followsWork || detour?.parent !== undefined) attempt.work = work
    if (detour !== undefined) detour.running = true
    if (flight.cutWith !== undefined) return this.#cutAtOnce(flight, work)
    if (this.fenced) {
      const guard = new Promise(capture)
      attempt.cut = rejectNew
      hang(work, resolveNew, rejectNew)
      return guard.then(flight.ok, flight.er)
    }
    flight.lent = true
    const derived = this.#unlimited && flight.hub === undefined && detour === undefined
    if (derived || attempt.resolve !== undefined) return hang(work, flight.ok, flight.er)
    const answer = new Promise(capture)
    attempt.resolve = resolveNew
    attempt.reject = rejectNew
    hang(work, flight.ok, flight.er)
    return answer
  }

  /** The function's promise was fulfilled. */
  landed(flight: Flight, value: unknown): unknown {
    if (flight.cutWith !== undefined) return this.#comeHome(flight)
    flight.lent = false
    const { gates, limits } = this
    const { era } = flight
    let index = gates.length - 1
    const { detour } = flight
    if (detour !== undefined && !detour.plain) return this.conclude(flight, index, succeeded(value))
    for (; index >= 0; index--) {
      const gate = gates[index] as Gate
      if (gate.alert === 0 && gate.since <= era) gate.running--
      else if (gate.since > era || !this.#passAlert(flight, index, gate, value)) {
        return this.conclude(flight, index, succeeded(value))
      }
      limits[index]?.end(flight.slot)
      gate.succeeded++
    }
    const { resolve } = flight.attempt
    this.release(flight)
    if (resolve === undefined) return value
    resolve(value)
    return undefined
  }

  /** A plain success at a gate that wants to hear of it; false if it has to go the slow way. */
  #passAlert(flight: Flight, index: number, gate: Gate, value: unknown): boolean {
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
    const ending = this.relays ? relayed(error) : 'failed'
    return this.conclude(flight, this.gates.length - 1, unsuccessful(ending, error))
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

  /** A gate has no room: the rest of the way is the slow path's. */
  #divert(flight: Flight, index: number): Promise<unknown> {
    const admission = this.ask(flight, index)
    if (admission instanceof Error && !this.decides(-1, index) && flight.cutWith === undefined) {
      return this.#refuseAtOnce(flight, index, admission)
    }
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
    const answer = new Promise(capture)
    settled.then(rejectNew.bind(undefined, error))
    return answer
  }

  /** What a caller hands over may be anything, and have getters that throw. */
  #tryBoard(
    flight: Flight,
    options: ExecuteOptions | undefined,
    report: Report | undefined,
    parent: Attempt | undefined,
  ): Promise<unknown> | undefined {
    try {
      return this.#board(flight, options, report, parent)
    } catch (error) {
      return this.#refuseBoarding(flight, 'failed', error)
    }
  }

  /** Takes on what the call brings along; a promise if it must not even start. */
  #board(
    flight: Flight,
    options: ExecuteOptions | undefined,
    report: Report | undefined,
    parent: Attempt | undefined,
  ): Promise<unknown> | undefined {
    if (report !== undefined) this.detour(flight).report = report
    if (options === undefined) return undefined
    const { signal, deadline, priority, args } = readCallOptions(this.name, options)
    const outer = options instanceof Attempt ? options : parent
    if (outer !== undefined) this.detour(flight).parent = outer
    if (args !== undefined) flight.attempt = new Attempt(flight, flight.attempt.operation, args, 1)
    if (priority !== undefined) this.detour(flight).priority = priority
    if (signal?.aborted) return this.#refuseBoarding(flight, 'aborted', signal.reason)
    if (deadline !== Number.POSITIVE_INFINITY) {
      const left = deadline - this.clock.now()
      if (left <= 0) return this.#refuseBoarding(flight, 'timedOut', this.#tooLate(0))
      const detour = this.detour(flight)
      detour.deadline = deadline
      // The context of an outer call aborts its signal by itself when its time is up.
      if (!(options instanceof Attempt)) {
        detour.limit = this.clock.setTimer(() => this.#deadlineReached(flight, left), left)
      }
    }
    if (signal !== undefined) link(signal, flight)
    return undefined
  }

  /** After a blocked loop an answer that is already there gets one turn to arrive, as with a timeout. */
  #deadlineReached(flight: Flight, left: number): void {
    const { generation } = flight
    inNextTurn(this.clock, () => {
      if (flight.generation !== generation) return
      this.interrupt(flight, -1, unsuccessful('timedOut', this.#tooLate(left)))
    })
  }

  #tooLate(left: number): TimeoutError {
    const duration = Math.max(0, Math.round(left))
    return stackless(() => new TimeoutError(this.name, duration, 'deadline reached, no answer'))
  }

  #refuseBoarding(
    flight: Flight,
    ending: 'failed' | 'aborted' | 'timedOut',
    error: unknown,
  ): Promise<unknown> {
    this.gates[0]?.count(ending)
    const since = this.starts[flight.slot] as number
    if (this.steps.length > 0) this.measure(flight, 0, ending, since, error)
    this.release(flight)
    return Promise.reject(error)
  }

  #create(): Flight {
    const slot = this.#vacant.pop() ?? this.flights.length
    if (slot >= this.starts.length) this.grow()
    const flight = new Flight(this, slot)
    this.flights[slot] = flight
    return flight
  }

  protected release(flight: Flight): void {
    flight.clear()
    // One that is lent has its handlers on a promise that may never settle: it must not be used again,
    // and goes with that promise.
    if (!flight.lent && this.#idle.length < MAX_IDLE) {
      flight.cutWith = undefined
      this.#idle.push(flight)
    } else {
      this.flights[flight.slot] = undefined
      this.#vacant.push(flight.slot)
    }
  }
}

function ignore(): void {}

function relayed(error: unknown): 'failed' | 'rejected' | 'timedOut' {
  if (isRejection(error)) return 'rejected'
  return isResilienceError(error) && error instanceof TimeoutError ? 'timedOut' : 'failed'
}

function notAFunction(name: string, found: unknown): TypeError {
  return new TypeError(`"${name}": execute needs a function, but was given ${typeof found}`)
}
