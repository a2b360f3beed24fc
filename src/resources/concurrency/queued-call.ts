/**
 * Calls in the line of a limiter that nothing can call off: whoever frees the slot begins the next one,
 * in the async context of its own caller.
 */
import { begin } from '../../core/begin.ts'
import { type AsyncScope, Scope } from '../../core/scope.ts'
import { Place, type Slots } from './slots.ts'

type Settle = (outcome: unknown) => void

export class QueuedCall extends Place {
  readonly fn: () => unknown
  readonly resolve: Settle
  readonly reject: Settle
  readonly #runs: Runs
  readonly #scope: AsyncScope = new Scope('holdfast:limiter')

  constructor(runs: Runs, fn: () => unknown, resolve: Settle, reject: Settle) {
    super()
    this.#runs = runs
    this.fn = fn
    this.resolve = resolve
    this.reject = reject
  }

  override granted(): void {
    this.#scope.runInAsyncScope(this.#runs.begin, undefined, this)
  }

  override refused(error: unknown): void {
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
    begin(call.fn, undefined as never).then(run.succeed, run.fail)
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
