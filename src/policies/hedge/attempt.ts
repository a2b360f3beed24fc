/**
 * One of several calls that are made for the same answer. It has a signal of its own, which is aborted
 * when another one was faster.
 */
import { begin } from '../../core/begin.ts'
import type { Report } from '../../core/flight.ts'
import { LazySignal } from '../../core/lazy-signal.ts'
import type { Context, Operation } from '../../core/policy.ts'
import type { RelayContext } from '../../core/relay.ts'

export class HedgeAttempt implements RelayContext {
  readonly attempt: number
  readonly report: Report | undefined
  /** The function's own promise, or that of all that stands around it. */
  work: Promise<unknown> | undefined = undefined
  isRunning = true
  readonly #caller: Context
  readonly #lazy = new LazySignal()
  /** Its deadline when it was over. */
  #lastDeadline: number | undefined = undefined

  constructor(caller: Context, attempt: number, detailed: boolean) {
    this.#caller = caller
    this.attempt = attempt
    this.report = detailed ? { source: 'primary', errors: [] } : undefined
  }

  get args(): readonly unknown[] {
    return this.#caller.args
  }

  get signal(): AbortSignal {
    return this.#lazy.signal
  }

  get deadline(): number {
    return this.#lastDeadline ?? this.#caller.deadline
  }

  get remaining(): number {
    return this.#lastDeadline === undefined ? this.#caller.remaining : 0
  }

  /** The same function, whose work is noted: what stands around it may leave it behind. */
  following(operation: Operation<unknown>): Operation<unknown> {
    return (context) => {
      this.work = begin(operation, context)
      return this.work
    }
  }

  /** What there is to log of it. */
  toJSON(): Record<string, unknown> {
    const { attempt, deadline, remaining, args } = this
    return { attempt, deadline, remaining, args }
  }

  /** Nobody waits for it any more. */
  end(reason: unknown): void {
    this.#lastDeadline = this.deadline
    this.#lazy.abort(reason)
  }
}
