/**
 * Calls in the line of a limiter that nothing can call off: whoever frees the slot begins the next one,
 * in the async context of its own caller.
 */
import { begin, hang } from '../../core/begin.ts'
import { Scope, scopeOptions } from '../../core/scope.ts'
import type { Place, Slots } from './slots.ts'

type Settle = (outcome: unknown) => void

export class QueuedCall extends Scope implements Place {
  state: Place['state'] = 'new'
  ahead: Place | undefined = undefined
  behind: Place | undefined = undefined
  number = 0
  readonly fn: () => unknown
  // Only declared: as fields they would be written twice.
  declare resolve: Settle
  declare reject: Settle
  readonly answer: Promise<unknown> = new Promise((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
  readonly #runs: Runs

  constructor(runs: Runs, fn: () => unknown) {
    super('holdfast:limiter', scopeOptions)
    this.#runs = runs
    this.fn = fn
  }

  granted(): void {
    this.runInAsyncScope(this.#runs.begin, undefined, this)
  }

  refused(error: unknown): void {
    this.reject(error)
    this.#runs.slots.release()
  }
}

/** What follows the calls that run: as many as run at a time, made once and used again. */
export class Runs {
  readonly slots: Slots
  #idle: Run | undefined = undefined

  constructor(slots: Slots) {
    this.slots = slots
  }

  readonly begin = (call: QueuedCall): void => {
    const run = this.#idle ?? new Run(this)
    this.#idle = run.spare
    run.spare = undefined
    run.call = call
    hang(begin(call.fn, undefined as never), run.succeed, run.fail)
  }

  /** The call of `run` has been answered. */
  end(run: Run): void {
    run.call = undefined
    run.spare = this.#idle
    this.#idle = run
    this.slots.release()
  }
}

class Run {
  call: QueuedCall | undefined = undefined
  spare: Run | undefined = undefined
  readonly #runs: Runs

  constructor(runs: Runs) {
    this.#runs = runs
  }

  readonly succeed = (value: unknown): void => {
    this.call?.resolve(value)
    this.#runs.end(this)
  }

  readonly fail = (error: unknown): void => {
    this.call?.reject(error)
    this.#runs.end(this)
  }
}
