/**
 * One policy per key: a host, a tenant, a route. Bounded, and it never forgets what matters: an open
 * circuit that is evicted would let everybody through again.
 */
import { type Clock, systemClock } from '../core/clock.ts'
import { Emitter, type HoldfastEvent, type Listener } from '../core/events.ts'
import {
  checkOption,
  clock,
  duration,
  fn,
  optional,
  positiveInteger,
  readOptions,
  show,
  withMethods,
} from '../core/options.ts'
import type {
  AlternativeOf,
  ExecuteOptions,
  Operation,
  Policy,
  PolicyLike,
  Stats,
} from '../core/policy.ts'
import { StepPolicy } from '../core/step-policy.ts'
import { type Circuit, circuitsOf } from './health.ts'

/** Options of {@link keyed}. */
export interface KeyedOptions {
  /** Most policies kept; keys beyond that share one. @default 1_000 */
  readonly maxKeys?: number | undefined
  /** A policy that was not used for so long is forgotten, in ms. @default 600_000 */
  readonly idleTime?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
}

/** Policies by key. */
export interface Keyed<P extends PolicyLike<unknown>> {
  /** How many policies there are, the shared one left out. */
  readonly size: number
  /** The policy of `key`, made when it is first asked for. */
  get(key: string): P
  /** Calls `operation` under the policy of `key`. */
  execute<T>(
    key: string,
    operation: Operation<T>,
    options?: ExecuteOptions,
  ): Promise<T | AlternativeOf<P>>
  /** Forgets the policy of `key`, whatever its state. False if there was none. */
  delete(key: string): boolean
  /** The keys that have a policy, least recently used first. */
  keys(): IterableIterator<string>
  /** How the calls of each key have ended, least recently used first; does not count as use. */
  stats(): readonly { readonly key: string; readonly stats: Stats }[]
  /** How the circuits of each key stand, least recently used first; does not count as use. */
  circuits(): readonly Circuit[]
  /** Hands every event of every key, also of keys to come, to `listener`. */
  subscribe(listener: Listener<HoldfastEvent>): () => void
}

/** The key for which the policy is made that all keys beyond `maxKeys` share. */
export const OVERFLOW_KEY = '(other)'

/**
 * Keeps one policy per key, made by `create` when the key is first used.
 *
 * The least recently used are forgotten when there are more than `maxKeys`, and those that were idle for
 * `idleTime`; never one with calls under way or a circuit that is not closed. When nothing can be
 * forgotten, further keys share one more policy, made for `OVERFLOW_KEY`: they are neither unprotected
 * nor refused.
 *
 * **Use it** when one dependency has many parts that fail apart: a breaker per host.
 * **Not for** keys that never come twice, such as request ids.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { circuitBreaker, keyed } from 'holdfast'
 *
 * const breakers = keyed((host) => circuitBreaker({ name: host }), { maxKeys: 100 })
 * await breakers.execute('a.example', () => 'answer') // => 'answer'
 * breakers.get('a.example') === breakers.get('a.example') // => true
 * breakers.size // => 1
 * ```
 */
export function keyed<P extends PolicyLike<unknown>>(
  create: (key: string) => P,
  options: KeyedOptions = {},
): Keyed<P> {
  checkOption('keyed', 'create', create, fn)
  return new KeyedPolicies(create, readOptions('keyed', options, checks))
}

const checks = {
  maxKeys: optional(positiveInteger),
  idleTime: optional(duration({ zero: false, infinite: true })),
  clock: optional(clock),
}

const policyCheck = withMethods('a policy', 'execute')

/** How many of the oldest are looked at when room is needed; a bound on the work of one call. */
const MOST_LOOKED_AT = 16

interface Entry<P> {
  readonly policy: P
  usedAt: number
}

class KeyedPolicies<P extends PolicyLike<unknown>> implements Keyed<P> {
  readonly #create: (key: string) => P
  readonly #maxKeys: number
  readonly #idleTime: number
  readonly #clock: Clock
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Entry<P>>()
  /** The one used last: most of the time the next to be used. */
  #newest: Entry<P> | undefined
  #shared: P | undefined
  readonly #emitter = new Emitter()
  /** How to stop watching each. */
  readonly #watched = new WeakMap<P, () => void>()

  constructor(create: (key: string) => P, options: KeyedOptions) {
    this.#create = create
    this.#maxKeys = options.maxKeys ?? 1000
    this.#idleTime = options.idleTime ?? 600_000
    this.#clock = options.clock ?? systemClock
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): P {
    const usedAt = this.#clock.now()
    const entry = this.#entries.get(key)
    const stale = entry !== undefined && usedAt - entry.usedAt >= this.#idleTime
    if (stale && !isPinned(entry.policy)) this.#entries.delete(key)
    else if (entry !== undefined) {
      entry.usedAt = usedAt
      if (entry !== this.#newest) this.#renew(key, entry)
      return entry.policy
    }
    this.#forgetIdle(usedAt)
    return (this.#hasRoom() && this.#add(key, usedAt)) || this.#overflow()
  }

  async execute<T>(
    key: string,
    operation: Operation<T>,
    options?: ExecuteOptions,
  ): Promise<T | AlternativeOf<P>> {
    const call = operation as (inherit?: ExecuteOptions) => T | PromiseLike<T>
    return this.get(key).execute(call, options) as Promise<T | AlternativeOf<P>>
  }

  delete(key: string): boolean {
    this.#newest = undefined
    return this.#entries.delete(key)
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys()
  }

  stats(): { key: string; stats: Stats }[] {
    const all = [...this.#entries].map(([key, { policy }]) => ({ key, stats: statsFrom(policy) }))
    if (this.#shared !== undefined) all.push({ key: OVERFLOW_KEY, stats: statsFrom(this.#shared) })
    return all.flatMap(({ key, stats }) => (stats === undefined ? [] : [{ key, stats }]))
  }

  circuits(): Circuit[] {
    return this.#present().flatMap(circuitsOf)
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    const stop = this.#emitter.subscribe(listener)
    for (const policy of this.#present()) this.#watch(policy)
    return () => {
      stop()
      if (this.#emitter.observed) return
      for (const policy of this.#present()) this.#unwatch(policy)
    }
  }

  /** Undefined if `create`, which may ask for other keys, has left no room for this one. */
  #add(key: string, usedAt: number): P | undefined {
    const policy = this.#make(key)
    const known = this.#entries.get(key)
    if (known !== undefined) return known.policy
    if (!this.#hasRoom()) return undefined
    this.#renew(key, { policy, usedAt })
    return this.#watch(policy)
  }

  #overflow(): P {
    this.#shared ??= this.#watch(this.#make(OVERFLOW_KEY))
    return this.#shared
  }

  #make(key: string): P {
    const policy = this.#create(key)
    checkOption('keyed', `what create returns for ${show(key)}`, policy, policyCheck)
    return policy
  }

  #present(): P[] {
    const policies = [...this.#entries.values()].map(({ policy }) => policy)
    return this.#shared === undefined ? policies : [...policies, this.#shared]
  }

  /** From the first listener on, each policy is watched once, for all listeners there are. */
  #watch(policy: P): P {
    const { subscribe } = policy as unknown as Partial<Policy>
    if (!this.#emitter.observed || subscribe === undefined || this.#watched.has(policy))
      return policy
    this.#watched.set(
      policy,
      subscribe.call(policy, (event) => this.#emitter.emit(event)),
    )
    return policy
  }

  /** Unobserved it costs nothing. */
  #unwatch(policy: P): void {
    this.#watched.get(policy)?.()
    this.#watched.delete(policy)
  }

  #renew(key: string, entry: Entry<P>): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#newest = entry
  }

  #forgetIdle(now: number): void {
    let looked = 0
    for (const [key, entry] of this.#entries) {
      if (now - entry.usedAt < this.#idleTime || ++looked > MOST_LOOKED_AT) return
      if (isPinned(entry.policy)) this.#renew(key, entry)
      else this.#entries.delete(key)
    }
  }

  #hasRoom(): boolean {
    return this.#entries.size < this.#maxKeys || this.#makeRoom()
  }

  /** Forgets the oldest that may be forgotten. Pinned ones go to the end: next time others are looked at. */
  #makeRoom(): boolean {
    let looked = 0
    for (const [key, entry] of this.#entries) {
      if (++looked > MOST_LOOKED_AT) return false
      if (!isPinned(entry.policy)) return this.#entries.delete(key)
      this.#renew(key, entry)
    }
    return false
  }
}

function isPinned(policy: PolicyLike<unknown>): boolean {
  return policy instanceof StepPolicy && policy.pinned
}

/** A policy of the user's own may keep none. */
function statsFrom(policy: PolicyLike<unknown>): Stats | undefined {
  return (policy as unknown as Partial<Policy>).stats?.()
}
