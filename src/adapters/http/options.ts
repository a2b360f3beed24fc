/**
 * The options that all doors to HTTP clients have in common, and what their functions are told.
 */
import { type Clock, systemClock } from '../../core/clock.ts'
import {
  anyOf,
  boolean,
  type Check,
  chance,
  clock,
  fn,
  optional,
  positiveInteger,
} from '../../core/options.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import { checkLevels, type HttpLevels, levelChecks, type Sources } from './levels.ts'

/** Options of every door to an HTTP client. */
export interface HttpOptions extends HttpLevels {
  /** Which requests share breaker, slots and retry budget. @default those to the same origin */
  readonly compartment?: ((url: URL) => string) | undefined
  /** Most compartments kept; further ones share one, and an open circuit is never forgotten. @default 1_000 */
  readonly maxCompartments?: number | undefined
  /** Whether requests that are not idempotent by their method may be repeated; or a function that says so. @default false */
  readonly idempotent?: boolean | ((request: RequestFacts) => boolean) | undefined
  /** Gives POST and PATCH requests without an `Idempotency-Key` one, the same for each attempt; or a function that makes it. @default false */
  readonly idempotencyKey?: boolean | (() => string) | undefined
  /** Tells the next service the time left and the attempt, as `x-deadline-ms` and `x-attempt`. @default whether `holdfast/node` follows the work that asks */
  readonly travel?: boolean | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
  /** Where chance comes from. @default Math.random */
  readonly random?: RandomSource | undefined
}

/** What the functions among the options are told of a request. */
export interface RequestFacts {
  readonly url: URL
  readonly method: string
  /** One of its headers. */
  header(name: string): string | null
}

/** A request as a door sees it. */
export interface Described extends RequestFacts {
  /** Which server it is for: scheme, host and port; only the scheme for what has no server. */
  readonly origin: string
  readonly signal: AbortSignal | undefined
}

/** Checks for `HttpOptions`. */
export const httpChecks: Readonly<Record<keyof HttpOptions, Check>> = {
  ...levelChecks,
  compartment: optional(fn),
  maxCompartments: optional(positiveInteger),
  idempotent: optional(anyOf(boolean, fn)),
  idempotencyKey: optional(anyOf(boolean, fn)),
  travel: optional(boolean),
  clock: optional(clock),
  random: optional(chance),
}

/** Checks what the options of a door say together. */
export function checkHttpOptions(where: string, options: HttpOptions): void {
  const { timeout, retry, bulkhead, circuitBreaker, attemptTimeout } = options
  const levels = { timeout, retry, bulkhead, circuitBreaker, attemptTimeout }
  checkLevels(where, levels, sourcesOf(options))
}

export function sourcesOf({ clock = systemClock, random = systemRandom }: HttpOptions): Sources {
  return { clock, random }
}

/** Which server a URL is for. */
export function originOf(url: URL): string {
  return url.origin === 'null' ? url.protocol : url.origin
}
