/** What the contract is proven for: each policy alone, and the ways to put them together. */
import {
  adaptiveConcurrency,
  adaptiveThrottle,
  bulkhead,
  type Clock,
  circuitBreaker,
  coalesce,
  type Detailed,
  type ExecuteOptions,
  fallback,
  type HoldfastEvent,
  hedge,
  keyed,
  type Listener,
  type Operation,
  type Policy,
  type PolicyLike,
  pipeline,
  rateLimiter,
  retry,
  type Stats,
  staleCache,
  timeout,
} from 'holdfast'

/** A policy under test that is told the time by `clock`, lets failures pass and has a few retries at most. */
export type Make = (clock: Clock) => Policy

/** Every call is a call of its own. */
const distinct = (): (() => string) => {
  let calls = 0
  return () => `call ${++calls}`
}

/** No alternative is ever tried: what went wrong has to come out as it was. */
const passOn = (clock: Clock): Policy<string> =>
  fallback({ steps: [() => 'never'], handles: () => false, clock })

const fivePolicies = (clock: Clock): PolicyLike<unknown>[] => [
  passOn(clock),
  retry({ maxRetries: 1, baseDelay: 100, clock }),
  circuitBreaker({ failureThreshold: 1_000_000, clock }),
  bulkhead({ maxConcurrent: 200, maxQueue: 200, clock }),
  timeout({ duration: 10_000, clock }),
]

const named = (clock: Clock, ...policies: PolicyLike<unknown>[]): Policy =>
  pipeline({ name: 'subject', clock }, ...policies) as unknown as Policy

type Subjects = readonly (readonly [name: string, make: Make])[]

export const policies: Subjects = [
  ['circuitBreaker', (clock) => circuitBreaker({ failureThreshold: 1_000_000, clock })],
  [
    'a circuitBreaker with rates',
    (clock) =>
      circuitBreaker({
        failureRate: 1,
        slowCallRate: 1,
        slowCallDuration: 60_000,
        minimumCalls: 100,
        clock,
      }),
  ],
  ['retry', (clock) => retry({ maxRetries: 2, baseDelay: 100, clock })],
  ['retry without a pause', (clock) => retry({ maxRetries: 2, baseDelay: 0, clock })],
  ['timeout', (clock) => timeout({ duration: 10_000, clock })],
  ['bulkhead', (clock) => bulkhead({ maxConcurrent: 200, clock })],
  ['bulkhead with a line', (clock) => bulkhead({ maxConcurrent: 1, maxQueue: 200, clock })],
  ['fallback', (clock) => passOn(clock) as Policy],
  ['coalesce', (clock) => coalesce({ key: distinct(), clock })],
  [
    'staleCache',
    (clock) => staleCache({ key: distinct(), staleFor: 60_000, softTimeout: 1_000, clock }),
  ],
  [
    'staleCache over a store',
    (clock) => {
      const store = new Map<string, unknown>()
      return staleCache({ name: 'stored', key: distinct(), staleFor: 60_000, store, clock })
    },
  ],
  ['coalesce of calls without a key', (clock) => coalesce({ key: () => undefined, clock })],
  ['hedge', (clock) => hedge({ delay: 20_000, clock })],
  ['hedge by percentile', (clock) => hedge({ percentile: 0.9, shouldHedge: () => false, clock })],
  ['adaptiveThrottle', (clock) => adaptiveThrottle({ minimumCalls: 1_000_000, clock })],
  ['adaptiveConcurrency', (clock) => adaptiveConcurrency({ initialLimit: 200, clock })],
  ['rateLimiter', (clock) => rateLimiter({ limit: 2_000, clock })],
  [
    'a rateLimiter with a sliding window and a line',
    (clock) => rateLimiter({ limit: 2_000, algorithm: 'sliding-window', maxQueue: 200, clock }),
  ],
]

export const pipelines: Subjects = [
  ['the empty pipeline', (clock) => named(clock)],
  ['a pipeline of five', (clock) => named(clock, ...fivePolicies(clock))],
  ['a pipeline of five, inside out', (clock) => named(clock, ...fivePolicies(clock).reverse())],
  ['a nested pipeline', nestedPipeline],
  ['a pipeline around a policy of the user', (clock) => named(clock, ...withOwnPolicy(clock))],
  [
    'a pipeline that begins with a policy of the user',
    (clock) => named(clock, ownPolicy, strangePolicy),
  ],
  ['a policy by key', byKey],
  [
    'a pipeline around a staleCache',
    (clock) => {
      const [outer, again, ...inner] = fivePolicies(clock)
      const cache = staleCache({ key: distinct(), staleFor: 60_000, freshFor: 30_000, clock })
      return named(clock, outer as PolicyLike, again as PolicyLike, cache, ...inner)
    },
  ],
  [
    'a pipeline around a coalesce',
    (clock) => {
      const [outer, again, ...inner] = fivePolicies(clock)
      return named(
        clock,
        outer as PolicyLike,
        again as PolicyLike,
        coalesce({ key: distinct(), clock }),
        ...inner,
      )
    },
  ],
]

function nestedPipeline(clock: Clock): Policy {
  const [outer, again, ...inner] = fivePolicies(clock)
  const nested = pipeline({ name: 'inner', clock }, ...inner, pipeline({ name: 'empty', clock }))
  return named(clock, outer as PolicyLike, again as PolicyLike, nested)
}

function withOwnPolicy(clock: Clock): PolicyLike<unknown>[] {
  const [outer, again, breaker, ...inner] = fivePolicies(clock)
  return [outer, again, ownPolicy, breaker, ...inner] as PolicyLike<unknown>[]
}

/** As a user would write it, by the page of the contract. */
const ownPolicy: PolicyLike = {
  name: 'own',
  async execute(operation, options) {
    await Promise.resolve()
    return await operation(options)
  },
}

/** Of another library, which knows neither our contexts nor our options. */
const strangePolicy: PolicyLike = { execute: async (operation) => await operation() }

function byKey(clock: Clock): Policy {
  const kept = keyed(() => named(clock, ...fivePolicies(clock)), { maxKeys: 3, clock })
  return {
    name: 'by key',
    execute: <T>(operation: Operation<T>, options?: ExecuteOptions): Promise<T> =>
      kept.execute('key', operation, options),
    executeDetailed: <T>(op: Operation<T>, options?: ExecuteOptions): Promise<Detailed<T>> =>
      kept.get('key').executeDetailed(op, options),
    wrap: (fn) => kept.get('key').wrap(fn),
    subscribe: (listener: Listener<HoldfastEvent>) => kept.get('key').subscribe(listener),
    stats: (): Stats => kept.get('key').stats(),
    describe: () => kept.get('key').describe(),
  }
}
