/**
 * A policy of the user's own inside a pipeline: it is called as anybody would call it, and what stands
 * inside it goes on in an engine of its own.
 */
import type { Engine } from '../core/engine.ts'
import { Attempt, type Report } from '../core/flight.ts'
import type { Context, ExecuteOptions, Operation, PolicyLike } from '../core/policy.ts'

/** How often one call has called the function, whoever made it do so. */
export interface Tally {
  calls: number
}

export class Foreign {
  readonly #policy: PolicyLike<unknown>
  readonly #engine: Engine
  readonly #next: Foreign | undefined

  constructor(policy: PolicyLike<unknown>, engine: Engine, next: Foreign | undefined) {
    this.#policy = policy
    this.#engine = engine
    this.#next = next
  }

  async execute<T>(
    operation: Operation<T>,
    outer: Context,
    report: Report | undefined,
    tally: Tally,
  ): Promise<unknown> {
    const { signal, deadline } = outer
    const parent = outer instanceof Attempt ? outer : (outer as InnerContext).attemptInside
    const within: Report | undefined = report && { source: 'primary', errors: [] }
    const inside = (given?: ExecuteOptions): Promise<T> => {
      // A policy of another library may hand over nothing, or a signal alone.
      const inherited = {
        signal: given?.signal ?? signal,
        deadline: given?.deadline ?? deadline,
        priority: given?.priority ?? parent.flight.priority,
      }
      const goOn: Operation<unknown> = (inner) => {
        const next = this.#next
        if (next === undefined) tally.calls++
        const context = new InnerContext(outer, inner as Attempt, tally.calls)
        if (next === undefined) return operation(context)
        return next.execute(operation, context, within, tally)
      }
      return this.#engine.execute(goOn, inherited, outer.args, within, parent) as Promise<T>
    }
    try {
      const value = await this.#policy.execute(inside, { signal, deadline })
      tell(report, within)
      return value
    } catch (error) {
      // The steps outside will note this error themselves.
      if (within?.errors.at(-1) === error) within?.errors.pop()
      tell(report, within)
      throw error
    }
  }
}

function tell(report: Report | undefined, within: Report | undefined): void {
  if (report === undefined || within === undefined) return
  report.errors.push(...within.errors)
  if (within.source !== 'primary') report.source = within.source
}

/** The context of a call inside a foreign policy: limits from within, counts and arguments from without. */
class InnerContext implements Context {
  readonly #outer: Context
  readonly #inner: Attempt

  readonly attempt: number

  constructor(outer: Context, inner: Attempt, attempt: number) {
    this.#outer = outer
    this.#inner = inner
    this.attempt = attempt
  }

  /** The attempt that it stands for. */
  get attemptInside(): Attempt {
    return this.#inner
  }

  get signal(): AbortSignal {
    return this.#inner.signal
  }

  get deadline(): number {
    return Math.min(this.#outer.deadline, this.#inner.deadline)
  }

  get remaining(): number {
    return Math.min(this.#outer.remaining, this.#inner.remaining)
  }

  get args(): readonly unknown[] {
    return this.#outer.args
  }
}
