/**
 * How a call ended, as a value, and what its error says about the dependency.
 * Retry, breaker and fallback share this one judgement, so that they cannot disagree.
 */
import { isRejection, isResilienceError, TimeoutError } from './errors.ts'
import type { Ending } from './events.ts'
import { parseHttpDate } from './http-date.ts'

/** A result or an error, and which of the five endings it is. */
export interface Outcome {
  readonly ending: Ending
  /** The result, when `ending` is `'succeeded'`. */
  readonly value: unknown
  /** The error, otherwise. */
  readonly error: unknown
}

export function succeeded(value: unknown): Outcome {
  return { ending: 'succeeded', value, error: undefined }
}

export function unsuccessful(ending: Exclude<Ending, 'succeeded'>, error: unknown): Outcome {
  return { ending, value: undefined, error }
}

/** What an inner half of a pipeline threw: its refusals and limits are the pipeline's own. */
export function relayed(error: unknown): Outcome {
  if (isRejection(error)) return unsuccessful('rejected', error)
  const timedOut = isResilienceError(error) && error instanceof TimeoutError
  return unsuccessful(timedOut ? 'timedOut' : 'failed', error)
}

/** Gives a result, or throws the error as it came. */
export function unwrap(outcome: Outcome): unknown {
  if (outcome.ending === 'succeeded') return outcome.value
  throw outcome.error
}

/**
 * What an error says of the dependency.
 * - `transient`: it is in trouble, another try may help (also everything unknown)
 * - `permanent`: it answered, and will answer the same again (other 4xx)
 * - `rejected`: a policy refused, the dependency was not touched
 * - `aborted`: somebody changed their mind
 * - `bug`: our own code is wrong
 */
export type Verdict = 'transient' | 'permanent' | 'rejected' | 'aborted' | 'bug'

/** Judges anything that can be thrown; never throws itself, whatever getters or proxies it meets. */
export function judge(error: unknown): Verdict {
  if (typeof error !== 'object' || error === null) return 'transient'
  try {
    return judgeObject(error)
  } catch {
    return 'transient'
  }
}

function judgeObject(error: object): Verdict {
  if (isRejection(error)) return 'rejected'
  if (error instanceof Error) {
    if (error.name === 'AbortError') return 'aborted'
    if (isProgrammingError(error)) return 'bug'
  }
  const status = statusOf(error)
  if (status === undefined || status < 400 || status >= 500) return 'transient'
  return status === 408 || status === 429 ? 'transient' : 'permanent'
}

const BUGS = new Set([
  'TypeError',
  'ReferenceError',
  'SyntaxError',
  'RangeError',
  'EvalError',
  'URIError',
])

function isProgrammingError(error: Error): boolean {
  const code = (error as { code?: unknown }).code
  if (error.name === 'AssertionError' || code === 'ERR_ASSERTION') return true
  if (!(BUGS.has(error.name) || error instanceof TypeError)) return false
  // fetch reports a refused or broken connection as a TypeError: in undici the cause has a code,
  // in browsers and Deno there is nothing but a message that is theirs alone.
  const cause = error.cause as { code?: unknown; name?: unknown; message?: unknown } | undefined
  if (typeof cause === 'object' && cause !== null) {
    // A wrong URL, scheme or port fails in the same way.
    const { code, name, message } = cause
    // An answer that is no HTTP: undici 7 and later give it no code.
    if (name === 'HTTPParserError') return false
    if (typeof code === 'string') return code.startsWith('ERR_INVALID')
    return !isNetworkTypeError(error) || WRONG_REQUEST.test(String(message))
  }
  return !isNetworkTypeError(error)
}

function isNetworkTypeError(error: Error): boolean {
  return error instanceof TypeError && FETCH_MESSAGES.test(error.message)
}

const WRONG_REQUEST = /unknown scheme|parse url|invalid|bad port|redirect/i

const FETCH_MESSAGES =
  /^(fetch failed|failed to fetch|network ?error|load failed|terminated|error sending request)/i

/** The HTTP status that an error carries, wherever clients are used to put it. */
export function statusOf(error: object): number | undefined {
  const { status, statusCode, response } = error as {
    status?: unknown
    statusCode?: unknown
    response?: { status?: unknown; statusCode?: unknown } | null
  }
  if (typeof status === 'number') return status
  if (typeof statusCode === 'number') return statusCode
  if (typeof response?.status === 'number') return response.status
  return typeof response?.statusCode === 'number' ? response.statusCode : undefined
}

/**
 * How long the other side asks us to wait, in ms, or undefined.
 * Read from the `retryAfter` of our own errors, or from a Retry-After header (seconds or an HTTP date) of the
 * error or its response. Digits are tried first and never fall through to the date (RFC 9110 §10.2.3).
 */
export function retryAfterOf(error: unknown, wallTime: () => number): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  try {
    const { retryAfter, headers, response } = error as {
      retryAfter?: unknown
      headers?: unknown
      response?: { headers?: unknown } | null
    }
    // Elsewhere the same name may mean seconds or a date: only our own errors are known to say ms.
    if (isResilienceError(error)) return typeof retryAfter === 'number' ? retryAfter : undefined
    return parseRetryAfter(headerOf(headers) ?? headerOf(response?.headers), wallTime)
  } catch {
    return undefined
  }
}

function headerOf(headers: unknown): string | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined
  const { get } = headers as { get?: unknown }
  const value =
    typeof get === 'function'
      ? get.call(headers, 'retry-after')
      : Object.entries(headers).find(([name]) => name.toLowerCase() === 'retry-after')?.[1]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

function parseRetryAfter(header: string | undefined, wallTime: () => number): number | undefined {
  const text = header?.trim()
  if (text === undefined || text === '') return undefined
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const date = parseHttpDate(text, wallTime)
  return date === undefined ? undefined : Math.max(0, date - wallTime())
}
