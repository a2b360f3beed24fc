/**
 * What every built-in policy has in common: it is a step, and its own `execute` is an engine of one,
 * so that a policy behaves alone exactly as it does in a pipeline.
 */
import { type Clock, systemClock } from './clock.ts'
import { Engine } from './engine.ts'
import { Emitter, type HoldfastEvent, type Listener } from './events.ts'
import { NO_ARGS, type Report } from './flight.ts'
import { Gate } from './gate.ts'
import { Histogram } from './histogram.ts'
import * as check from './options.ts'
import type { Description, Detailed, ExecuteOptions, Operation, Policy, Stats } from './policy.ts'
import type { Step, Traits } from './step.ts'
import { resembling } from './wrapper.ts'

/** Options that every policy takes. */
export interface CommonOptions {
  /** Names the policy in errors, events and statistics. @default the kind of policy */
  readonly name?: string | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
  /** Measures how long calls stay in it, exactly: two clock reads per call. On while somebody listens. @default false */
  readonly latency?: boolean | undefined
}

/** Checks for `CommonOptions`. */
export const commonChecks: Readonly<Record<keyof CommonOptions, check.Check>> = {
  name: check.optional(check.string),
  clock: check.optional(check.clock),
  latency: check.optional(check.boolean),
}

export abstract class StepPolicy<Alt = never> implements Policy<Alt>, Step {
  readonly name: string
  readonly clock: Clock
  readonly gate: Gate
  readonly emitter: Emitter = new Emitter()
  /** While somebody asked for it, or listens. */
  latency: Histogram | undefined
  /** What is in force, defaults included, as it is told by `describe`. */
  readonly options: Readonly<Record<string, unknown>>
  /** What kind of policy it is, and its default name. */
  readonly kind: string
  /** What it does to a call, for whoever checks the order of a pipeline. */
  readonly traits: Traits = {}
  /** A closure: a method would have to find the engine anew for each class of policies it is called on. */
  execute: <T>(operation: Operation<T>, options?: ExecuteOptions) => Promise<T | Alt>
  readonly #measures: boolean
  #engine: Engine | undefined

  constructor(
    kind: string,
    options: CommonOptions,
    gate: Gate = new Gate(),
    defaults: Readonly<Record<string, unknown>> = {},
  ) {
    this.kind = kind
    this.name = options.name ?? kind
    this.clock = options.clock ?? systemClock
    this.gate = gate
    this.#measures = options.latency === true
    this.latency = this.#measures ? new Histogram() : undefined
    this.options = { ...defaults, ...options }
    gate.watch(this.latency !== undefined)
    let engine: Engine | undefined
    this.execute = <T>(operation: Operation<T>, options?: ExecuteOptions) => {
      engine ??= this.engine
      return engine.execute(operation, options) as Promise<T | Alt>
    }
  }

  executeDetailed<T>(
    operation: Operation<T>,
    options?: ExecuteOptions,
  ): Promise<Detailed<T | Alt>> {
    return this.detail(operation, (counted, report) =>
      this.engine.execute(counted, options, NO_ARGS, report),
    )
  }

  wrap<This, Args extends readonly unknown[], T>(
    fn: (this: This, ...args: Args) => T | PromiseLike<T>,
  ): (this: This, ...args: Args) => Promise<T | Alt> {
    return wrapWith(this.engine, fn)
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    this.engine.measureExactly()
    this.latency ??= new Histogram()
    const stop = watchStep(this, listener)
    return () => {
      stop()
      if (this.emitter.observed || this.#measures) return
      this.latency = undefined
      this.gate.watch(false)
    }
  }

  stats(): Stats {
    return statsOf(this)
  }

  describe(): Description {
    return { policy: this.kind, name: this.name, options: plain(this.options) }
  }

  /** Runs a call that keeps a report, and tells it with the answer. */
  protected async detail<T>(
    operation: Operation<T>,
    run: (operation: Operation<T>, report: Report) => Promise<unknown>,
  ): Promise<Detailed<T | Alt>> {
    const report: Report = { source: 'primary', errors: [] }
    let attempts = 0
    const counted: Operation<T> = (context) => {
      attempts++
      return operation(context)
    }
    const began = this.clock.now()
    const value = (await run(typeof operation === 'function' ? counted : operation, report)) as
      | T
      | Alt
    const { source, errors } = report
    const duration = Math.max(0, this.clock.now() - began)
    return { value, source, degraded: source !== 'primary', attempts, duration, errors }
  }

  /** The steps that a call passes, outermost first. */
  get steps(): readonly Step[] {
    return [this]
  }

  /** Whether forgetting this policy now would lose something: a call under way, an open circuit. */
  get pinned(): boolean {
    return this.gate.inside > 0
  }

  protected get engine(): Engine {
    if (this.#engine === undefined) {
      const { steps } = this
      const exact = steps.some((step) => step.latency !== undefined)
      this.#engine = new Engine(this.name, steps, this.clock, exact)
    }
    return this.#engine
  }
}

/** Puts `fn` behind an engine: same arguments, same `this`. */
export function wrapWith<This, Args extends readonly unknown[], T, Alt>(
  engine: Pick<Engine, 'execute' | 'name'>,
  fn: (this: This, ...args: Args) => T | PromiseLike<T>,
): (this: This, ...args: Args) => Promise<T | Alt> {
  if (typeof fn !== 'function') {
    throw new TypeError(`"${engine.name}": wrap needs a function, but was given ${check.show(fn)}`)
  }
  const wrapped = function (this: This, ...args: Args): Promise<T | Alt> {
    return engine.execute(() => fn.apply(this, args as never), undefined, args) as Promise<T | Alt>
  }
  return resembling(wrapped, fn)
}

/** Subscribes to one step; its gate lets the successes be seen as long as somebody listens. */
export function watchStep(step: Step, listener: Listener<HoldfastEvent>): () => void {
  const { gate, emitter, latency } = step
  const unsubscribe = emitter.subscribe(listener)
  gate.watch(true)
  return () => {
    unsubscribe()
    gate.watch(emitter.observed || latency !== undefined)
  }
}

export function statsOf(step: Step): Stats {
  const { name, gate, latency } = step
  const { successes: succeeded, failed, timedOut, rejected, aborted } = gate
  const calls = succeeded + failed + timedOut + rejected + aborted
  return {
    name,
    calls,
    succeeded,
    failed,
    timedOut,
    rejected,
    aborted,
    inFlight: gate.inside,
    latency: latency === undefined ? null : latency.stats(),
  }
}

/** Options as plain JSON: functions by their description or name, everything else that JSON can say. */
function plain(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [key, option] of Object.entries(value)) {
    if (key === 'name' || key === 'clock' || key === 'random' || option === undefined) continue
    result[key] = plainOption(option)
  }
  return result
}

function plainOption(option: unknown): unknown {
  if (typeof option === 'function') {
    const { describe } = option as { describe?: () => unknown }
    return typeof describe === 'function' ? describe() : `function ${option.name || 'anonymous'}`
  }
  if (option === Number.POSITIVE_INFINITY) return 'Infinity'
  if (Array.isArray(option)) return option.map(plainOption)
  if (typeof option !== 'object' || option === null) return option
  const { describe } = option as { describe?: () => unknown }
  return typeof describe === 'function' ? describe.call(option) : plain({ ...option })
}
