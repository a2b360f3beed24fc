/**
 * Several policies as one, the first outermost. Built-in policies are compiled into one engine; one of
 * the user's own splits it, and is called between the halves.
 */
import { type Clock, systemClock } from '../core/clock.ts'
import { Engine } from '../core/engine.ts'
import type { HoldfastEvent, Listener, Warned } from '../core/events.ts'
import { NO_ARGS, type Report } from '../core/flight.ts'
import { boolean, clock, fn, optional, readOptions, show, string } from '../core/options.ts'
import type {
  AlternativeOf,
  Description,
  Detailed,
  ExecuteOptions,
  Operation,
  Policy,
  PolicyLike,
} from '../core/policy.ts'
import { RelayPolicy, withAge } from '../core/relay.ts'
import type { Step, Traits } from '../core/step.ts'
import { type CommonOptions, StepPolicy, watchStep, wrapWith } from '../core/step-policy.ts'
import { type Finding, findingsIn } from './check.ts'
import { type Cut, Foreign, Relayed, Rest } from './foreign.ts'
import { type WorstCase, worstCaseOf } from './worst-case.ts'

/** Options of {@link pipeline}. */
export interface PipelineOptions extends CommonOptions {
  /** Names the pipeline in errors, events and statistics. */
  readonly name: string
  /** Makes every finding of `check()` an error at construction. @default false */
  readonly strict?: boolean | undefined
  /** A first listener, which also hears the warnings of construction. */
  readonly onEvent?: Listener<HoldfastEvent> | undefined
}

/** Several policies as one. */
export interface Pipeline<Alt = never> extends Policy<Alt> {
  /** What in its order cannot work or was probably not meant. */
  check(): readonly Finding[]
  /** The most that one call can cost. */
  worstCase(): WorstCase
}

/**
 * Composes policies into one, **the first outermost**: a call passes them from left to right, its answer
 * from right to left.
 *
 * The standard order is fallback, retry, circuit breaker, bulkhead, timeout. `check()` names what in an
 * order cannot work; each finding is also emitted once as a `warning` event, and is an error with
 * `strict: true`. A policy may serve many pipelines: sharing a breaker is passing the same value.
 *
 * @param nameOrOptions - The name, or options with the name.
 * @param policies - Outermost first. None at all is fine: calls then just pass.
 * @throws TypeError at construction for anything that is no policy, or for findings if `strict`.
 *
 * @example
 * ```ts
 * import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
 *
 * const catalogue = pipeline(
 *   'catalogue',
 *   fallback(() => 'last known product'),
 *   retry({ maxRetries: 1, baseDelay: 1 }),
 *   circuitBreaker(),
 *   bulkhead({ maxConcurrent: 10 }),
 *   timeout(2_000),
 * )
 * await catalogue.execute(() => Promise.reject(new Error('down'))) // => 'last known product'
 * catalogue.check() // => []
 * ```
 */
export function pipeline<const P extends readonly PolicyLike<unknown>[]>(
  nameOrOptions: string | PipelineOptions,
  ...policies: P
): Pipeline<AlternativeOf<P[number]>> {
  if (isPolicy(nameOrOptions)) {
    throw new TypeError("pipeline: its name comes first: pipeline('name', ...policies)")
  }
  const given = typeof nameOrOptions === 'string' ? { name: nameOrOptions } : nameOrOptions
  const options = readOptions('pipeline', given, checks)
  policies.forEach((policy, index) => {
    if (isPolicy(policy)) return
    throw new TypeError(
      `pipeline "${options.name}": policy ${index + 1} must have an execute method, but was ${show(policy)}${adviceFor(policy)}`,
    )
  })
  return new PipelinePolicy<AlternativeOf<P[number]>>(options, policies)
}

const checks = {
  name: string,
  strict: optional(boolean),
  latency: optional(boolean),
  clock: optional(clock),
  onEvent: optional(fn),
}

function isPolicy(value: unknown): value is PolicyLike<unknown> {
  return typeof (value as { execute?: unknown } | null | undefined)?.execute === 'function'
}

function adviceFor(found: unknown): string {
  if (Array.isArray(found)) return ' (spread it: ...policies)'
  return typeof found === 'function' ? ' (call it: it makes a policy)' : ''
}

export class PipelinePolicy<Alt> extends StepPolicy<Alt> implements Pipeline<Alt> {
  readonly passive = true
  readonly #policies: readonly PolicyLike<unknown>[]
  /** The steps up to the first cut. */
  readonly #members: readonly Step[]
  /** Those inside it too. */
  readonly #all: readonly Step[]
  readonly #cut: Cut | undefined
  readonly #findings: readonly Finding[]
  #untold: readonly Finding[]

  constructor(options: PipelineOptions, policies: readonly PolicyLike<unknown>[]) {
    super('pipeline', { clock: clockOf(policies), ...options })
    this.#policies = policies
    this.#members = fusedSteps(policies)
    this.#cut = firstCut(this, policies)
    if (this.#cut !== undefined) this.#relay()
    this.#all = policies.flatMap(allStepsOf)
    this.#findings = [...findingsIn(this.#all), ...twiceIn(policies)]
    this.#untold = this.#findings
    const [finding] = this.#findings
    if (options.strict && finding !== undefined) throw orderError(this.name, this.#findings)
    if (options.onEvent !== undefined) this.subscribe(options.onEvent)
  }

  override get steps(): readonly Step[] {
    return [this, ...this.#members]
  }

  /** Whether it can be fused into a pipeline around it. */
  get fuses(): boolean {
    return this.#cut === undefined
  }

  override get pinned(): boolean {
    return (
      super.pinned || this.#policies.some((policy) => policy instanceof StepPolicy && policy.pinned)
    )
  }

  override executeDetailed<T>(
    operation: Operation<T>,
    options?: ExecuteOptions,
  ): Promise<Detailed<T | Alt>> {
    return withAge((note) =>
      this.detail(operation, (counted, report) => {
        note(report)
        return this.engine.execute(this.#through(counted, report), options, NO_ARGS, report)
      }),
    )
  }

  override wrap<This, Args extends readonly unknown[], T>(
    fn: (this: This, ...args: Args) => T | PromiseLike<T>,
  ): (this: This, ...args: Args) => Promise<T | Alt> {
    const { engine } = this
    const execute: Engine['execute'] = (operation, options, args) =>
      engine.execute(this.#through(operation, undefined), options, args)
    return wrapWith({ name: this.name, execute }, fn)
  }

  override subscribe(listener: Listener<HoldfastEvent>): () => void {
    const own = (event: HoldfastEvent): unknown =>
      'pipeline' in event && event.pipeline !== this.name ? undefined : listener(event)
    const stops = [super.subscribe(listener)]
    for (const step of new Set(this.#all)) stops.push(watchStep(step, own))
    const untold = this.#untold
    this.#untold = []
    for (const finding of untold) this.emitter.emit(this.#warning(finding))
    return () => {
      for (const stop of stops) stop()
    }
  }

  override describe(): Description {
    const policies = this.#policies.map(
      (policy): Description =>
        policy instanceof StepPolicy
          ? policy.describe()
          : { policy: 'custom', name: nameOf(policy), options: {} },
    )
    return { ...super.describe(), policies }
  }

  check(): readonly Finding[] {
    return this.#findings
  }

  worstCase(): WorstCase {
    return worstCaseOf(this.#policies.flatMap(traitsOf))
  }

  get policies(): readonly PolicyLike<unknown>[] {
    return this.#policies
  }

  /** Every step, also behind a policy of the user's own, the pipeline's own left out. */
  get all(): readonly Step[] {
    return this.#all
  }

  #relay(): void {
    const { engine } = this
    engine.relays = true
    this.execute = <T>(operation: Operation<T>, options?: ExecuteOptions) =>
      engine.execute(this.#through(operation, undefined), options) as Promise<T | Alt>
  }

  #through<T>(operation: Operation<T>, report: Report | undefined): Operation<T> {
    const cut = this.#cut
    if (cut === undefined || typeof operation !== 'function') return operation
    const tally = { calls: 0 }
    return (context) => cut.execute(operation, context, report, tally) as Promise<T>
  }

  #warning({ code, message }: Finding): Warned {
    return { type: 'warning', policy: this.name, at: this.clock.now(), code, message }
  }
}

/** A policy of the user's own that stands twice; of those that can be fused, the steps tell. */
function twiceIn(policies: readonly PolicyLike<unknown>[]): Finding[] {
  const twice = policies.filter((policy, index) => policies.indexOf(policy) < index)
  const names = twice.filter((policy) => stepsOf(policy) === undefined).map(nameOf)
  return names.map((name) => ({
    code: 'same-instance-twice',
    message: `"${name}" stands in this pipeline twice: each call passes it twice; use it once`,
    policies: [name],
  }))
}

function nameOf(policy: PolicyLike<unknown>): string {
  return policy.name ?? 'custom'
}

/** What each policy does to a call; of one of the user's own nobody knows. */
function traitsOf(policy: PolicyLike<unknown>): readonly Traits[] {
  if (policy instanceof PipelinePolicy) return policy.policies.flatMap(traitsOf)
  return policy instanceof StepPolicy ? [policy.traits] : [{ unknown: true }]
}

/** Halves a list of policies where it has to be cut; undefined if nowhere. */
function firstCut(
  owner: StepPolicy<unknown>,
  policies: readonly PolicyLike<unknown>[],
): Cut | undefined {
  const at = policies.findIndex(cuts)
  const policy = policies[at]
  if (policy === undefined) return undefined
  const inside = policies.slice(at + 1)
  const engine = new Engine(owner.name, fusedSteps(inside), owner.clock, false, false)
  const rest = new Rest(engine, firstCut(owner, inside))
  return policy instanceof RelayPolicy ? new Relayed(policy, rest) : new Foreign(policy, rest)
}

/** The steps up to the first cut. Through one that relays calls pass as through any other. */
function fusedSteps(policies: readonly PolicyLike<unknown>[]): readonly Step[] {
  const at = policies.findIndex(cuts)
  const last = policies[at]
  const end = at < 0 ? policies.length : last instanceof RelayPolicy ? at + 1 : at
  return policies.slice(0, end).flatMap((policy) => stepsOf(policy) ?? [])
}

function cuts(policy: PolicyLike<unknown>): boolean {
  return policy instanceof RelayPolicy || stepsOf(policy) === undefined
}

/** The steps of a policy that can be fused; undefined for one of the user's own. */
function stepsOf(policy: PolicyLike<unknown>): readonly Step[] | undefined {
  if (policy instanceof PipelinePolicy && !policy.fuses) return undefined
  return policy instanceof StepPolicy ? policy.steps : undefined
}

function allStepsOf(policy: PolicyLike<unknown>): readonly Step[] {
  return policy instanceof PipelinePolicy ? policy.all : (stepsOf(policy) ?? [])
}

/** A pipeline lives in the time that its policies were given; most have none of their own. */
function clockOf(policies: readonly PolicyLike<unknown>[]): Clock {
  for (const policy of policies) {
    if (policy instanceof StepPolicy && policy.clock !== systemClock) return policy.clock
  }
  return systemClock
}

function orderError(name: string, findings: readonly Finding[]): TypeError {
  const list = findings.map(({ code, message }) => `${code}: ${message}`).join('; ')
  return new TypeError(`pipeline "${name}" (strict): ${list}`)
}
