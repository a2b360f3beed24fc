/**
 * Where a pipeline is cut: at a policy of the user's own, which is called as anybody would call it, and
 * behind one that runs what is inside it on its own account. What stands inside goes on in an engine of
 * its own.
 */
import type { Engine } from '../core/engine.ts'
import { Attempt, type Report } from '../core/flight.ts'
import type { Context, ExecuteOptions, Operation, PolicyLike } from '../core/policy.ts'
import {
  type Inside,
  type RelayContext,
  type RelayPolicy,
  tell,
  tellThrown,
} from '../core/relay.ts'

/** How often one call has called the function, whoever made it do so. */
export interface Tally {
  calls: number
}

/** A policy that is not a part of the engine, and all that stands inside it. */
export interface Cut {
  execute(
    operation: Operation<unknown>,
    outer: Context,
    report: Report | undefined,
    tally: Tally,
  ): unknown
}

/** What stands inside a cut. */
export class Rest {
  readonly #engine: Engine
  readonly #next: Cut | undefined

  constructor(engine: Engine, next: Cut | undefined) {
    this.#engine = engine
    this.#next = next
    engine.relays = next !== undefined
  }

  /** Calls it for `outer`, within the limits given; work that nobody waits for is made known to `parent`. */
  run(
    operation: Operation<unknown>,
    outer: Context,
    limits: ExecuteOptions,
    report: Report | undefined,
    tally: Tally,
    parent: Attempt,
  ): Promise<unknown> {
    const next = this.#next
    const { signal, deadline } = limits
    const inherited = { signal, deadline, priority: limits.priority ?? parent.flight.priority }
    const goOn: Operation<unknown> = (inner) => {
      if (next === undefined) tally.calls++
      const context = new InnerContext(outer, inner as Attempt, tally.calls)
      if (next === undefined) return operation(context)
      return next.execute(operation, context, report, tally)
    }
    return this.#engine.execute(goOn, inherited, outer.args, report, parent)
  }
}

/** A policy of the user's own. */
export class Foreign implements Cut {
  readonly #policy: PolicyLike<unknown>
  readonly #rest: Rest

  constructor(policy: PolicyLike<unknown>, rest: Rest) {
    this.#policy = policy
    this.#rest = rest
  }

  async execute(
    operation: Operation<unknown>,
    outer: Context,
    report: Report | undefined,
    tally: Tally,
  ): Promise<unknown> {
    const { signal, deadline, args } = outer
    const parent = attemptOf(outer)
    const within: Report | undefined = report && { source: 'primary', errors: [] }
    const inside = (given?: ExecuteOptions): Promise<unknown> => {
      // A policy of another library may hand over nothing, or a signal alone.
      const limits = {
        signal: given?.signal ?? signal,
        deadline: given?.deadline ?? deadline,
        priority: given?.priority,
      }
      return this.#rest.run(operation, outer, limits, within, tally, parent)
    }
    try {
      const value = await this.#policy.execute(inside, { signal, deadline, args })
      tell(report, within)
      return value
    } catch (error) {
      tellThrown(report, within, error)
      throw error
    }
  }
}

/** One that calls what is inside it once for several callers, in the background, or not at all. */
export class Relayed implements Cut {
  readonly #policy: RelayPolicy<unknown>
  readonly #rest: Rest

  constructor(policy: RelayPolicy<unknown>, rest: Rest) {
    this.#policy = policy
    this.#rest = rest
  }

  execute(
    operation: Operation<unknown>,
    outer: Context,
    report: Report | undefined,
    tally: Tally,
  ): unknown {
    const inside: Inside = (context, limits, within) => {
      const work =
        'following' in context ? (context as RelayContext).following(operation) : operation
      return this.#rest.run(work, context, limits, within, tally, attemptOf(outer))
    }
    return this.#policy.relay(outer, inside, report, true)
  }
}

function attemptOf(context: Context): Attempt {
  return context instanceof Attempt ? context : (context as InnerContext).attemptInside
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
