/**
 * The levels of protection that a request passes, what they are if nothing is said, and how each is
 * replaced. Their order and their defaults follow the standard handler of .NET's HTTP resilience.
 */
import type { Clock } from '../../core/clock.ts'
import {
  anyOf,
  type Check,
  checkOption,
  duration,
  fn,
  oneOf,
  optional,
  withMethods,
} from '../../core/options.ts'
import type { PolicyLike } from '../../core/policy.ts'
import type { RandomSource } from '../../core/random.ts'
import { type RetryBudget, retryBudget } from '../../core/retry-budget.ts'
import { timeWindow } from '../../core/window.ts'
import { type BulkheadOptions, bulkhead } from '../../policies/bulkhead.ts'
import { circuitBreaker } from '../../policies/circuit-breaker/circuit-breaker.ts'
import type { CircuitBreakerOptions } from '../../policies/circuit-breaker/options.ts'
import type { RetryOptions } from '../../policies/retry/options.ts'
import { retry } from '../../policies/retry/retry.ts'
import { timeout } from '../../policies/timeout.ts'

/** A policy of your own for one level; or one for each compartment, made from its key. */
export type OwnPolicy = PolicyLike | ((compartment: string) => PolicyLike)

/** What stands between a request and its server, outermost first. */
export interface HttpLevels {
  /** For everything together, body and pauses included, in ms; `false` or `Infinity` for no limit. @default 30_000 */
  readonly timeout?: number | false | OwnPolicy | undefined
  /** How failures are tried again. @default 3 retries from 500 ms, with a retry budget per compartment */
  readonly retry?: RetryOptions | false | OwnPolicy | undefined
  /** How many at a time, body included. @default 1_000 at a time, nobody waits */
  readonly bulkhead?: BulkheadOptions | false | OwnPolicy | undefined
  /** When to stop asking. @default half of at least 10 in 30 s failed; tried again after 5 s */
  readonly circuitBreaker?: CircuitBreakerOptions | false | OwnPolicy | undefined
  /** For the answer to begin, each time, in ms; `false` or `Infinity` for no limit. @default 10_000, or `timeout` if that is less */
  readonly attemptTimeout?: number | false | OwnPolicy | undefined
}

/** The levels of one compartment. */
export interface Levels {
  readonly timeout: PolicyLike | undefined
  readonly retry: PolicyLike | undefined
  readonly bulkhead: PolicyLike | undefined
  readonly circuitBreaker: PolicyLike | undefined
  readonly attemptTimeout: PolicyLike | undefined
}

/** What the retry of a door has to know and do besides what its options say. */
export interface RetryHooks {
  /** Whether this failure must not, or may, be tried again; undefined leaves it to the options. */
  readonly shouldRetry: (error: unknown) => boolean | undefined
  /** Another try will follow this failure. */
  readonly onRetry: (error: unknown) => void
}

/** Time and chance, for the levels that are made here. */
export interface Sources {
  readonly clock: Clock
  readonly random: RandomSource
}

const ownPolicy: Check = anyOf(withMethods('a policy', 'execute'), fn)
const limit: Check = anyOf(duration({ zero: false, infinite: true }), oneOf([false]), ownPolicy)
const level: Check = {
  expected: 'options, false, a policy, or a function that makes one',
  fault: (value) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return value === false || typeof value === 'function' || isObject ? undefined : 'type'
  },
}

/** Checks for `HttpLevels`. */
export const levelChecks: Readonly<Record<keyof HttpLevels, Check>> = {
  timeout: optional(limit),
  retry: optional(level),
  bulkhead: optional(level),
  circuitBreaker: optional(level),
  attemptTimeout: optional(limit),
}

/** Which of the levels one request may have otherwise. */
export type RouteLevels = Pick<HttpLevels, 'timeout' | 'retry' | 'attemptTimeout'>

/** Makes the levels that are the same for all requests of a compartment. */
export function sharedLevels(
  key: string,
  { bulkhead: slots, circuitBreaker: circuit }: HttpLevels,
  { clock, random }: Sources,
): Pick<Levels, 'bulkhead' | 'circuitBreaker'> {
  const own = { name: key, clock }
  return {
    bulkhead: policyOf(key, slots, (options) => bulkhead({ ...SLOTS, ...own, ...options })),
    circuitBreaker: policyOf(key, circuit, (options) =>
      circuitBreaker({
        ...(hasRule(options) ? {} : RULES),
        ...CIRCUIT,
        ...own,
        random,
        ...options,
      }),
    ),
  }
}

/** Makes the levels that one request may have otherwise. */
export function routeLevels(
  key: string,
  { timeout: total, retry: again, attemptTimeout: attempt }: RouteLevels,
  budget: RetryBudget,
  hooks: RetryHooks,
  { clock, random }: Sources,
): Pick<Levels, 'timeout' | 'retry' | 'attemptTimeout'> {
  const longest = typeof total === 'number' ? total : total === false ? forEver : TOTAL
  const limitOf = (name: string, given: RouteLevels['timeout'], standard: number) =>
    typeof given === 'number' || given === undefined
      ? timeout({ name: `${key} ${name}`, clock, duration: given ?? standard })
      : policyOf(key, given, () => undefined as never)
  return {
    timeout: limitOf('(total)', total, TOTAL),
    retry: policyOf(key, again, (options) => {
      const { shouldRetry, onRetry } = options
      return retry({
        ...(options.backoff === undefined ? pausesOf(options) : {}),
        ...{ name: key, clock, random, budget },
        ...options,
        shouldRetry: (error, info) => hooks.shouldRetry(error) ?? shouldRetry?.(error, info),
        onRetry: (info) => {
          hooks.onRetry(info.error)
          return onRetry?.(info)
        },
      })
    }),
    attemptTimeout: limitOf('(attempt)', attempt, Math.min(ATTEMPT, longest)),
  }
}

/** The budget of one compartment, unless the options bring one. */
export function budgetOf({ clock }: Sources): RetryBudget {
  return retryBudget({ clock })
}

/** @throws RangeError for an attempt that may take longer than all of them together. */
export function checkLimits(where: string, { timeout: total, attemptTimeout }: RouteLevels): void {
  if (typeof attemptTimeout !== 'number' || attemptTimeout === forEver) return
  const longest = total === undefined ? TOTAL : total
  if (typeof longest !== 'number' || attemptTimeout <= longest) return
  throw new RangeError(
    `${where}: attemptTimeout must be at most timeout, ${longest} ms, but was ${attemptTimeout}`,
  )
}

/** Lets every level that is described by options say what is wrong with them. */
export function checkLevels(where: string, levels: HttpLevels, sources: Sources): void {
  checkLimits(where, levels)
  const described = { ...levels }
  for (const name of LEVELS) {
    // What a function makes is known when there is a compartment to make it for.
    if (typeof described[name] === 'function') Object.assign(described, { [name]: false })
  }
  sharedLevels(where, described, sources)
  const hooks: RetryHooks = { shouldRetry: () => undefined, onRetry: () => undefined }
  routeLevels(where, described, budgetOf(sources), hooks, sources)
}

const LEVELS = ['timeout', 'retry', 'bulkhead', 'circuitBreaker', 'attemptTimeout'] as const

const forEver = Number.POSITIVE_INFINITY
const TOTAL = 30_000
const ATTEMPT = 10_000
const SLOTS = { maxConcurrent: 1_000 }
const CIRCUIT = { resetTimeout: 5_000 }
const RULES = { failureRate: 0.5, minimumCalls: 10, window: timeWindow(30_000) }

/** Quicker than a retry of anything: a server is asked again in the time that a person waits. */
function pausesOf({ baseDelay, maxDelay = 30_000 }: RetryOptions): RetryOptions {
  return { baseDelay: baseDelay ?? Math.min(500, maxDelay) }
}

/** Whoever says when it opens has said all of it. */
function hasRule(options: CircuitBreakerOptions): boolean {
  const { failureThreshold, failureRate, slowCallRate } = options
  return (failureThreshold ?? failureRate ?? slowCallRate) !== undefined
}

function policyOf<O extends object>(
  key: string,
  given: O | number | false | OwnPolicy | undefined,
  make: (options: O) => PolicyLike,
): PolicyLike | undefined {
  if (given === false) return undefined
  if (typeof given === 'function') {
    const made: unknown = (given as (compartment: string) => PolicyLike)(key)
    checkOption(key, 'the policy that was made', made, withMethods('a policy', 'execute'))
    return made as PolicyLike
  }
  if (isPolicy(given)) return given
  return make((given ?? {}) as O)
}

function isPolicy(value: unknown): value is PolicyLike {
  return typeof (value as { execute?: unknown } | null | undefined)?.execute === 'function'
}
