/**
 * What a call may bring along: a signal, a deadline, a priority, a report to fill in, an outer call that
 * it is a part of. Most calls bring nothing and pass by.
 */
import { link } from './abort.ts'
import { inheritedDeadline } from './ambient.ts'
import { readCallOptions } from './call-options.ts'
import { inNextTurn } from './clock.ts'
import { TimeoutError } from './errors.ts'
import { Attempt, type Flight, type Report } from './flight.ts'
import { Flow } from './flow.ts'
import { unsuccessful } from './outcome.ts'
import type { ExecuteOptions } from './policy.ts'
import { stackless } from './stackless.ts'

export abstract class Boarding extends Flow {
  /** What a caller hands over may be anything, and have getters that throw. */
  protected tryBoard(
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

  /** Takes on what the call brings along and inherits; a promise if it must not even start. */
  #board(
    flight: Flight,
    options: ExecuteOptions | undefined,
    report: Report | undefined,
    parent: Attempt | undefined,
  ): Promise<unknown> | undefined {
    if (report !== undefined) this.detour(flight).report = report
    const inherited = inheritedDeadline(this.clock)
    if (options === undefined) return this.#limit(flight, inherited)
    const { signal, deadline, priority, args } = readCallOptions(this.name, options, this.clock)
    const outer = options instanceof Attempt ? options : parent
    if (outer !== undefined) this.detour(flight).parent = outer
    if (args !== undefined) flight.attempt = new Attempt(flight, flight.attempt.operation, args, 1)
    if (priority !== undefined) this.detour(flight).priority = priority
    if (signal?.aborted) return this.#refuseBoarding(flight, 'aborted', signal.reason)
    // The context of an outer call aborts its signal by itself when its time is up.
    const watched = options instanceof Attempt && deadline <= inherited
    const refused = this.#limit(flight, Math.min(deadline, inherited), watched)
    if (refused !== undefined) return refused
    if (signal !== undefined) link(signal, flight)
    return undefined
  }

  #limit(flight: Flight, deadline: number, watched: boolean = false): Promise<unknown> | undefined {
    if (deadline === Number.POSITIVE_INFINITY) return undefined
    const left = deadline - this.clock.now()
    if (left <= 0) return this.#refuseBoarding(flight, 'timedOut', this.#tooLate(0))
    const detour = this.detour(flight)
    detour.deadline = deadline
    if (!watched)
      detour.limit = this.clock.setTimer(() => this.#deadlineReached(flight, left), left)
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
    const outcome = left > 0 ? undefined : 'not called'
    return stackless(
      () => new TimeoutError(this.name, duration, 'deadline reached, no answer', outcome),
    )
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
}
