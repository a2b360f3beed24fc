/**
 * A policy that runs what is inside it on its own account: once for several callers, in the background,
 * or not at all. Callers pass it like any other step; what is inside it goes on in an engine of its own,
 * because it may outlive whoever began it.
 */
import type { Engine } from './engine.ts'
import { Attempt, NO_ARGS, type Report } from './flight.ts'
import type { Context, Detailed, ExecuteOptions, Operation } from './policy.ts'
import type { Step, Traits } from './step.ts'
import { StepPolicy, wrapWith } from './step-policy.ts'

/** Runs everything inside a relay, and the function, for whoever `context` stands for. */
export type Inside = (
  context: Context,
  limits: ExecuteOptions,
  report: Report | undefined,
) => unknown

/** The context of a relay's own calls. */
export interface RelayContext extends Context {
  /** The same function, whose work is followed to its end, whatever becomes of what stands around it. */
  following(operation: Operation<unknown>): Operation<unknown>
}

/** Besides what every step does to a call. */
export interface RelayTraits extends Traits {
  /** One call serves several callers. */
  readonly shares?: boolean
  /** Answers from what it kept of earlier calls. */
  readonly keeps?: boolean
  /** Makes further calls beside the first: how many, and each how long after the one before at most, in ms. */
  readonly hedges?: { readonly calls: number; readonly delay: number }
  /** Limits how many calls begin in a time; and how long one may have to wait for its turn, in ms. */
  readonly paces?: { readonly maxWait: number }
}

/** What a cache adds to the report of a call. */
export interface CacheReport extends Report {
  kept?: { readonly source: string; readonly age: number; readonly stale: boolean }
}

export abstract class RelayPolicy<Alt = never> extends StepPolicy<Alt> {
  /**
   * Answers one call.
   *
   * @param caller - The context of the call: its signal says when its caller has left.
   * @param mayLeave - False for a caller that brought neither a signal nor a limit, and wants no report.
   */
  abstract relay(
    caller: Context,
    inside: Inside,
    report: Report | undefined,
    mayLeave: boolean,
  ): unknown

  constructor(...given: ConstructorParameters<typeof StepPolicy>) {
    super(...given)
    this.execute = <T>(operation: Operation<T>, options?: ExecuteOptions) =>
      this.run(operation, options, NO_ARGS) as Promise<T | Alt>
  }

  override executeDetailed<T>(
    operation: Operation<T>,
    options?: ExecuteOptions,
  ): Promise<Detailed<T | Alt>> {
    return this.detail(operation, (counted, report) =>
      this.engine.execute(this.#around(counted, true, report), options, NO_ARGS, report),
    )
  }

  override wrap<This, Args extends readonly unknown[], T>(
    fn: (this: This, ...args: Args) => T | PromiseLike<T>,
  ): (this: This, ...args: Args) => Promise<T | Alt> {
    const execute: Engine['execute'] = (operation, options, args) =>
      this.run(operation, options, args)
    return wrapWith({ name: this.name, execute }, fn)
  }

  protected run(
    operation: Operation<unknown>,
    options: ExecuteOptions | undefined,
    args: readonly unknown[] = NO_ARGS,
  ): Promise<unknown> {
    return this.engine.execute(this.#around(operation, options !== undefined), options, args)
  }

  protected override async detail<T>(
    operation: Operation<T>,
    run: (operation: Operation<T>, report: Report) => Promise<unknown>,
  ): Promise<Detailed<T | Alt>> {
    return withAge((note) =>
      super.detail(operation, (counted, report) => {
        note(report)
        return run(counted, report)
      }),
    )
  }

  /** Lets a call pass that is nobody's but its caller's. */
  protected passOn(caller: Context, inside: Inside, report: Report | undefined): unknown {
    const { signal, deadline } = caller
    const limits = { signal, deadline }
    if (report === undefined) return inside(caller, limits, undefined)
    const within: Report = { source: 'primary', errors: [] }
    return passingOn(inside(caller, limits, within), report, within)
  }

  #around(
    operation: Operation<unknown>,
    mayLeave: boolean,
    report?: Report | undefined,
  ): Operation<unknown> {
    if (typeof operation !== 'function') return operation
    const inside: Inside = (context) => operation(context)
    return (caller) => this.relay(caller, inside, report, mayLeave)
  }
}

/** Runs a detailed call, and adds what a cache on its way has noted. */
export async function withAge<T>(
  run: (note: (report: Report) => void) => Promise<Detailed<T>>,
): Promise<Detailed<T>> {
  let report: CacheReport | undefined
  const detailed = await run((made) => {
    report = made
  })
  const kept = report?.kept
  // A note of an earlier attempt says nothing of an answer that came from elsewhere.
  if (kept === undefined || kept.source !== detailed.source) return detailed
  return { ...detailed, age: kept.age, degraded: kept.stale }
}

/** Notes that an answer was kept, and for how long. */
export function tellKept(
  report: Report | undefined,
  source: string,
  age: number,
  stale: boolean,
): void {
  if (report === undefined) return
  const told: CacheReport = report
  told.source = source
  told.kept = { source, age, stale }
}

/** The report of the call that `context` was made for, for a step of the same engine. */
export function reportOf(context: Context): Report | undefined {
  return context instanceof Attempt ? context.flight.detour?.report : undefined
}

/** Name of the pipeline that a call runs in, also behind another cut; `alone` if it runs in none. */
export function pipelineOf(context: Context, alone: string): string {
  const { attemptInside } = context as { attemptInside?: Attempt }
  const attempt = context instanceof Attempt ? context : attemptInside
  return attempt?.flight.pipeline ?? alone
}

/** The function was not called for this answer, although a relay was. */
export function notCalled(caller: Context): void {
  if (caller instanceof Attempt && caller.flight.calls > 0) caller.flight.calls--
}

/** Adds what happened inside to a report; what is thrown is noted by the steps outside themselves. */
export function tell(report: Report | undefined, within: CacheReport | undefined): void {
  if (report === undefined || within === undefined) return
  report.errors.push(...within.errors)
  if (within.source === 'primary') return
  report.source = within.source
  if (within.kept !== undefined) (report as CacheReport).kept = within.kept
}

/** As `tell`, for a call that ends with `thrown`. */
export function tellThrown(
  report: Report | undefined,
  within: Report | undefined,
  thrown: unknown,
): void {
  if (report === undefined || within === undefined) return
  const last = within.errors.at(-1) === thrown ? -1 : undefined
  tell(report, { ...within, errors: within.errors.slice(0, last) })
}

async function passingOn(work: unknown, report: Report, within: Report): Promise<unknown> {
  try {
    const value = await work
    tell(report, within)
    return value
  } catch (error) {
    tellThrown(report, within, error)
    throw error
  }
}

/** Whether a step is told to be one that keeps answers. */
export function keeps(step: Step): boolean {
  return (step.traits as RelayTraits).keeps === true
}
