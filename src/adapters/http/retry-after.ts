/**
 * How long a server asks us to wait, from the headers of its answer: Retry-After first, then what it
 * says of its rate limits. What cannot be read is ignored: headers come from strangers.
 */
import { retryAfterOf } from '../../core/outcome.ts'

/** One header of an answer by its name in lower case; null or undefined if it has none. */
export type HeaderOf = (name: string) => string | null | undefined

/** The wait in ms, or undefined if the server asks for none. Never negative; may be very long. */
export function waitOf(
  status: number,
  header: HeaderOf,
  wallTime: () => number,
): number | undefined {
  const asked = retryAfterOf({ headers: { get: header } }, wallTime)
  if (asked !== undefined) return asked
  return status === 429 || status === 503 ? rateLimitWait(header, wallTime) : undefined
}

/**
 * Until the limit that is used up is renewed. The structured fields of
 * draft-ietf-httpapi-ratelimit-headers-11 first, then the single headers of older drafts and of habit.
 */
export function rateLimitWait(header: HeaderOf, wallTime: () => number): number | undefined {
  const limits = header('ratelimit')
  if (limits) {
    const wait = structuredWait(limits)
    if (wait !== undefined) return wait
  }
  return (
    resetOf(header, 'ratelimit-remaining', 'ratelimit-reset', wallTime) ??
    resetOf(header, 'x-ratelimit-remaining', 'x-ratelimit-reset-after', wallTime) ??
    resetOf(header, 'x-ratelimit-remaining', 'x-ratelimit-reset', wallTime)
  )
}

/** `"burst";r=0;t=30, "daily";r=5;t=9000`: the longest `t` of what has nothing left. */
function structuredWait(field: string): number | undefined {
  let longest: number | undefined
  for (const item of splitOutside(field, ',')) {
    const [name = '', ...parameters] = splitOutside(item, ';')
    if (!NAME.test(name.trim())) continue
    const found = new Map(parameters.flatMap(parameterOf))
    const remaining = found.get('r')
    const time = found.get('t')
    if (remaining === undefined || remaining > 0 || time === undefined) continue
    longest = Math.max(longest ?? 0, time * 1000)
  }
  return longest
}

/** An sf-string or an sf-token (RFC 9651). */
const NAME = /^(?:"(?:[^"\\]|\\.)*"|[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*)$/
const PARAMETER = /^([a-z*][a-z0-9_.*-]*)=(\d{1,15})$/

function parameterOf(text: string): [string, number][] {
  const match = PARAMETER.exec(text.trim())
  return match === null ? [] : [[match[1] as string, Number(match[2])]]
}

/** Splits where the separator does not stand in a quoted string. One pass, whatever the text. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = []
  let from = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (quoted && sign === '\\') at++
    else if (sign === '"') quoted = !quoted
    else if (sign === separator && !quoted) {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  parts.push(text.slice(from))
  return parts
}

/** Above this a number of seconds is a date: 2001 as seconds since 1970, thirty years as a wait. */
const EPOCH = 1_000_000_000

function resetOf(
  header: HeaderOf,
  remainingName: string,
  resetName: string,
  wallTime: () => number,
): number | undefined {
  const remaining = numberIn(header(remainingName))
  const reset = numberIn(header(resetName))
  if (reset === undefined || (remaining !== undefined && remaining > 0)) return undefined
  if (reset < EPOCH) return reset * 1000
  const date = reset < EPOCH * 1000 ? reset * 1000 : reset
  return Math.max(0, date - wallTime())
}

function numberIn(text: string | null | undefined): number | undefined {
  const match = /^\d{1,15}(?:\.\d{1,9})?$/.exec(text?.trim() ?? '')
  return match === null ? undefined : Number(match[0])
}
