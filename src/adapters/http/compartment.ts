/**
 * All that is kept for one server: its levels, and how the requests to it have ended. One server that is
 * down or slow costs its own compartment, and no other.
 */
import { isRejection, TimeoutError } from '../../core/errors.ts'
import type { Ending, HoldfastEvent, Listener } from '../../core/events.ts'
import type { Description, Policy, PolicyLike } from '../../core/policy.ts'
import type { Traits } from '../../core/step.ts'
import { StepPolicy, watchStep } from '../../core/step-policy.ts'
import { type Circuit, circuitsOf } from '../../pipeline/health.ts'
import { type Pipeline, pipeline } from '../../pipeline/pipeline.ts'
import {
  budgetOf,
  type HttpLevels,
  type RetryHooks,
  type RouteLevels,
  routeLevels,
  type Sources,
  sharedLevels,
} from './levels.ts'

/** How the requests of one compartment go: what may differ from request to request. */
export interface Route {
  /** Total limit and retry: they end when the answer that the caller gets has begun. */
  readonly outer: Pipeline
  /** In place of the retry stands a policy of the user's own. */
  readonly isOwn: boolean
  readonly attempt: PolicyLike | undefined
  /** How long an attempt may wait for its answer, and how many there may be, as far as is known. */
  readonly attemptLimit: number
  readonly mostAttempts: number
}

export class Compartment extends StepPolicy {
  readonly bulkhead: PolicyLike | undefined
  readonly circuitBreaker: PolicyLike | undefined
  readonly #levels: HttpLevels
  readonly #sources: Sources
  readonly #hooks: RetryHooks
  readonly #budget: ReturnType<typeof budgetOf>
  readonly #standard: Route
  /** Of requests that have levels of their own, by what these are. */
  #routes = new Map<string, Route>()

  constructor(key: string, levels: HttpLevels, hooks: RetryHooks, sources: Sources) {
    super('compartment', { name: key, clock: sources.clock })
    this.#levels = levels
    this.#sources = sources
    this.#hooks = hooks
    this.#budget = budgetOf(sources)
    const { bulkhead, circuitBreaker } = sharedLevels(key, levels, sources)
    this.bulkhead = bulkhead
    this.circuitBreaker = circuitBreaker
    this.#standard = this.#make({})
  }

  /** The route of requests that ask for these levels; the same for the same levels. */
  route(levels: RouteLevels | undefined): Route {
    if (levels === undefined) return this.#standard
    const what = `${nameOf(levels.timeout)} ${nameOf(levels.attemptTimeout)} ${nameOf(levels.retry)}`
    const known = this.#routes.get(what)
    if (known !== undefined) return known
    const route = this.#make(levels)
    if (this.#routes.size >= MOST_ROUTES) this.#routes.clear()
    if (this.emitter.observed) hear(route, (event) => this.emitter.emit(event))
    this.#routes.set(what, route)
    return route
  }

  override get pinned(): boolean {
    return super.pinned || this.#policies().some(isPinned)
  }

  circuits(): readonly Circuit[] {
    return this.circuitBreaker === undefined ? [] : circuitsOf(this.circuitBreaker)
  }

  override subscribe(listener: Listener<HoldfastEvent>): () => void {
    const stops = [watchStep(this, listener), hear(this.#standard, listener)]
    for (const policy of this.#shared()) stops.push(hearOne(policy, listener))
    // Routes of single requests are made anew, and are heard from the beginning.
    this.#routes = new Map()
    return () => {
      for (const stop of stops) stop()
    }
  }

  override describe(): Description {
    return { ...super.describe(), policies: this.#described() }
  }

  /** A request begins; its end is told to `ended`. */
  begin(): number {
    this.gate.running++
    return this.clock.now()
  }

  /** The caller of a request got its answer, which `failure` says was a bad one, or an error. */
  ended(
    began: number,
    attempts: number,
    failure: { readonly error: unknown } | undefined,
    signal: AbortSignal | undefined,
  ): void {
    const ending = endingOf(failure, signal)
    this.gate.running--
    this.gate.count(ending)
    if (!this.emitter.observed) return
    const { name: policy } = this
    const at = this.clock.now()
    const call = { type: 'call', policy, pipeline: policy, at, ending, attempts } as const
    this.emitter.emit({ ...call, duration: Math.max(0, at - began), ...failure })
  }

  #make(levels: RouteLevels): Route {
    const merged = mergeLevels(this.#levels, levels)
    const { timeout, retry, attemptTimeout } = routeLevels(
      this.name,
      merged,
      this.#budget,
      this.#hooks,
      this.#sources,
    )
    const outside = [timeout, retry].filter((policy) => policy !== undefined)
    const { clock } = this
    return {
      outer: pipeline({ name: this.name, clock }, ...outside),
      isOwn: retry !== undefined && merged.retry !== undefined && !isOptions(merged.retry),
      attempt: attemptTimeout,
      attemptLimit: traitsOf(attemptTimeout).limits ?? Number.POSITIVE_INFINITY,
      mostAttempts: traitsOf(retry).repeats?.calls ?? 1,
    }
  }

  #shared(): PolicyLike[] {
    return [this.bulkhead, this.circuitBreaker].filter((policy) => policy !== undefined)
  }

  #policies(): PolicyLike[] {
    const { attempt } = this.#standard
    return attempt === undefined ? this.#shared() : [...this.#shared(), attempt]
  }

  #described(): Description[] {
    const outside = this.#standard.outer.describe().policies ?? []
    return [...outside, ...this.#policies().map(describe)]
  }
}

/** Further ones begin anew: whoever has so many makes them up as he goes. */
const MOST_ROUTES = 100

const numbers = new WeakMap<object, number>()
let lastNumber = 0

/** The same for levels that are the same: by their value where they have one, otherwise by identity. */
function nameOf(level: unknown): string {
  if (typeof level !== 'object' && typeof level !== 'function') return String(level)
  if (level === null) return 'null'
  const plain = typeof level === 'object' && Object.values(level).every(isPrimitive)
  if (plain && !('execute' in level)) return JSON.stringify(Object.entries(level), inWords)
  if (!numbers.has(level)) numbers.set(level, ++lastNumber)
  return `#${numbers.get(level)}`
}

function isPrimitive(value: unknown): boolean {
  return typeof value !== 'object' && typeof value !== 'function'
}

/** JSON knows neither Infinity nor undefined. */
function inWords(_key: string, value: unknown): unknown {
  return typeof value === 'object' ? value : String(value)
}

function traitsOf(policy: PolicyLike | undefined): Traits {
  return policy instanceof StepPolicy ? policy.traits : {}
}

/** The levels of one request over those of its compartment; options of a retry are merged one by one. */
export function mergeLevels(levels: HttpLevels, over: RouteLevels): RouteLevels {
  const { timeout = levels.timeout, attemptTimeout = levels.attemptTimeout } = over
  const retry =
    isOptions(levels.retry) && isOptions(over.retry)
      ? { ...levels.retry, ...over.retry }
      : (over.retry ?? levels.retry)
  return { timeout, retry, attemptTimeout }
}

function isOptions(level: HttpLevels['retry']): level is object {
  return typeof level === 'object' && !('execute' in level)
}

function endingOf(
  failure: { readonly error: unknown } | undefined,
  signal: AbortSignal | undefined,
): Ending {
  if (failure === undefined) return 'succeeded'
  const { error } = failure
  if (signal?.aborted && signal.reason === error) return 'aborted'
  if (isRejection(error)) return 'rejected'
  return error instanceof TimeoutError ? 'timedOut' : 'failed'
}

function hear({ outer, attempt }: Route, listener: Listener<HoldfastEvent>): () => void {
  const stops = [hearOne(outer, listener)]
  if (attempt !== undefined) stops.push(hearOne(attempt, listener))
  return () => {
    for (const stop of stops) stop()
  }
}

/** What single policies say of a call are parts of a call that is told as a whole. */
function hearOne(policy: PolicyLike, listener: Listener<HoldfastEvent>): () => void {
  const { subscribe } = policy as Partial<Policy>
  if (subscribe === undefined) return () => undefined
  return subscribe.call(policy, (event) => (event.type === 'call' ? undefined : listener(event)))
}

function isPinned(policy: PolicyLike): boolean {
  return policy instanceof StepPolicy && policy.pinned
}

function describe(policy: PolicyLike): Description {
  const { describe: own } = policy as Partial<Policy>
  return own?.call(policy) ?? { policy: 'custom', name: policy.name ?? 'custom', options: {} }
}
