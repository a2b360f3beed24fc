/**
 * The options of a resilient fetch: of all its requests, and of one.
 */
import {
  anyOf,
  boolean,
  type Check,
  count,
  duration,
  fn,
  optional,
  readOptions,
  string,
} from '../../core/options.ts'
import { checkLimits, type HttpLevels, levelChecks, type RouteLevels } from '../http/levels.ts'
import {
  checkHttpOptions,
  type HttpOptions,
  httpChecks,
  type RequestFacts,
} from '../http/options.ts'
import type { FetchInput } from './request.ts'

/** Options of `resilientFetch`. */
export interface ResilientFetchOptions extends HttpOptions {
  /** What sends the requests: the fetch of your own undici, or one that is wrapped already. @default globalThis.fetch, as it is at the time of the call */
  readonly fetch?: FetchFunction | undefined
  /** Longest wait for a further piece of a body, in ms; `Infinity` for no limit. @default 60_000 */
  readonly idleTimeout?: number | undefined
  /** What single requests have otherwise, for clients that cannot say it themselves. @default nothing */
  readonly override?: ((request: RequestFacts) => RequestOverrides | undefined) | undefined
}

/** What one request has otherwise: `fetch(url, { resilience: { timeout: 60_000 } })`. */
export interface RequestOverrides extends RouteLevels {
  /** Longest wait for a further piece of the body, in ms. */
  readonly idleTimeout?: number | undefined
  /** Whether it may be repeated, whatever its method. */
  readonly idempotent?: boolean | undefined
  /** Sent as `Idempotency-Key` with each attempt; `true` makes one. Allows repeating. */
  readonly idempotencyKey?: boolean | string | undefined
  /** Its place in the queue when all slots are taken, from -10 to 10. @default 0 */
  readonly priority?: number | undefined
  /** Latest moment for the answer, in ms of the clock (`performance.now()`). The smaller limit wins. */
  readonly deadline?: number | undefined
}

/** `fetch`, by whoever makes it. */
export type FetchFunction = (input: never, init: never) => PromiseLike<unknown>

/** How `fetch` is called here. */
export type CallFetch = (input: FetchInput, init: RequestInit) => PromiseLike<Response>

const checks: Readonly<Record<keyof ResilientFetchOptions, Check>> = {
  ...httpChecks,
  fetch: optional(fn),
  idleTimeout: optional(duration({ zero: false, infinite: true })),
  override: optional(fn),
}

const overrideChecks: Readonly<Record<keyof RequestOverrides, Check>> = {
  timeout: levelChecks.timeout,
  retry: levelChecks.retry,
  attemptTimeout: levelChecks.attemptTimeout,
  idleTimeout: checks.idleTimeout,
  idempotent: optional(boolean),
  idempotencyKey: optional(anyOf(boolean, string)),
  priority: optional(count(-10, 10)),
  deadline: optional(duration({ infinite: true })),
}

/** Checks the options and what they say together. */
export function readFetchOptions(given: ResilientFetchOptions): ResilientFetchOptions {
  const options = readOptions('resilientFetch', given, checks)
  checkHttpOptions('resilientFetch', options)
  return options
}

const known = new WeakSet<object>()

/** Checks what one request asks for; the same object once. */
export function readOverrides(
  given: RequestOverrides | undefined,
  levels: HttpLevels,
): RequestOverrides | undefined {
  if (given === undefined || known.has(given)) return given
  const read = readOptions('resilientFetch: resilience', given, overrideChecks)
  const { timeout = levels.timeout, attemptTimeout } = read
  checkLimits('resilientFetch: resilience', { timeout, attemptTimeout })
  known.add(given)
  return given
}
