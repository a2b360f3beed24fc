/**
 * What every door to an HTTP client does with a request: finds its compartment, decides whether it may
 * be repeated, and sends it through the levels.
 */
import { ambient, retriedAbove } from '../../core/ambient.ts'
import type { Clock } from '../../core/clock.ts'
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { checkOption, string } from '../../core/options.ts'
import type { Description, Stats } from '../../core/policy.ts'
import type { Circuit } from '../../pipeline/health.ts'
import { type Keyed, keyed } from '../../pipeline/keyed.ts'
import { Compartment } from './compartment.ts'
import type { Attempted, Order } from './exchange.ts'
import type { RouteLevels } from './levels.ts'
import { type Described, type HttpOptions, originOf, sourcesOf } from './options.ts'
import { discardAnswer, sendThrough, shouldRetry } from './sending.ts'
import { travelHeaders } from './travel.ts'
import { isIdempotentMethod } from './verdict.ts'

/** The name of the header that makes a request repeatable; a convention, and an expired draft. */
export const KEY = 'idempotency-key'

/** What can be seen of a door. */
export interface Watchable {
  /** How the requests of each compartment have ended, least recently used first. */
  stats(): readonly { readonly key: string; readonly stats: Stats }[]
  /** How the circuit of each compartment stands: for `healthChecks` of `holdfast/server`. */
  circuits(): readonly Circuit[]
  /** What the compartment of an address is made of, as plain JSON. */
  describe(address: string | URL): Description
  /** Hands every event of every compartment to `listener` until the returned function is called. */
  subscribe(listener: Listener<HoldfastEvent>): () => void
}

/** What one request says about being repeated, above its door. */
export interface Repeating {
  readonly idempotent?: boolean | undefined
  readonly idempotencyKey?: boolean | string | undefined
}

/** A header of a request. */
export type HeaderPair = readonly [name: string, value: string]

const NOTHING: readonly HeaderPair[] = []

/** How one request is to be sent. */
export interface Plan<T> extends Order<T> {
  readonly route?: RouteLevels | undefined
}

export class HttpDoor implements Watchable {
  readonly clock: Clock
  readonly #options: HttpOptions
  readonly #compartments: Keyed<Compartment>

  constructor(options: HttpOptions) {
    const sources = sourcesOf(options)
    const hooks = { shouldRetry, onRetry: discardAnswer }
    this.clock = sources.clock
    this.#options = options
    this.#compartments = keyed((key) => new Compartment(key, options, hooks, sources), {
      maxKeys: options.maxCompartments,
      clock: sources.clock,
    })
  }

  stats(): readonly { readonly key: string; readonly stats: Stats }[] {
    return this.#compartments.stats()
  }

  circuits(): readonly Circuit[] {
    return this.#compartments.circuits()
  }

  describe(address: string | URL): Description {
    const url = new URL(address)
    return this.#compartments.get(this.#keyOf({ origin: originOf(url), url })).describe()
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    return this.#compartments.subscribe(listener)
  }

  /** Sends a request through the levels of its compartment. */
  send<T>(plan: Plan<T>): Promise<T> {
    const compartment = this.#compartments.get(this.#keyOf(plan.facts))
    return sendThrough(compartment, compartment.route(plan.route), plan)
  }

  /** What the next service is told of an attempt: the time left, and which one it is. */
  telling({ attempt, maxAttempts, due }: Attempted): readonly HeaderPair[] {
    if (!(this.#options.travel ?? ambient.source?.() !== undefined)) return NOTHING
    // Who tries again above makes no further attempts here.
    const counts = retriedAbove() ? {} : { attempt, maxAttempts }
    return Object.entries(travelHeaders({ remaining: due() - this.clock.now(), ...counts }))
  }

  /** The key that has to be added to a request, if any. */
  keyFor(facts: Described, over: Repeating | undefined): string | undefined {
    const asked = over?.idempotencyKey
    if (typeof asked === 'string') return asked
    const wanted = asked ?? this.#options.idempotencyKey ?? false
    if (wanted === false || (asked === undefined && !/^(?:post|patch)$/i.test(facts.method))) {
      return undefined
    }
    if (facts.header(KEY)) return undefined
    if (typeof wanted !== 'function') return globalThis.crypto.randomUUID()
    const made: unknown = wanted()
    // The same for all requests, `undefined` would have the server take them for one.
    checkOption('idempotencyKey', 'the key that was made', made, string)
    return made as string
  }

  /** Whether a request may take effect twice. */
  isRepeatable(facts: Described, over: Repeating | undefined, key: string | undefined): boolean {
    if (over?.idempotent !== undefined) return over.idempotent
    if (isIdempotentMethod(facts.method) || key !== undefined) return true
    const { idempotent = false } = this.#options
    if (typeof idempotent === 'function' ? idempotent(facts) === true : idempotent) return true
    return Boolean(facts.header(KEY))
  }

  #keyOf(facts: Pick<Described, 'origin' | 'url'>): string {
    const { compartment } = this.#options
    return compartment === undefined ? facts.origin : String(compartment(facts.url))
  }
}
