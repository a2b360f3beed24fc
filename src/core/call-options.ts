/**
 * What a caller may hand over with one call, checked: it comes from code that nobody compiled against us,
 * and a wrong value must become a rejection that says so.
 */
import type { Clock } from './clock.ts'
import { show } from './options.ts'
import type { ExecuteOptions } from './policy.ts'

/** What a call brings along. */
export interface CallOptions {
  readonly signal: AbortSignal | undefined
  /** In ms of the clock; `Infinity` for none. */
  readonly deadline: number
  readonly priority: number | undefined
  readonly args: readonly unknown[] | undefined
}

/** Between them are the dates of our time in ms: as moments of a monotonic clock they limit nothing. */
const DATES_FROM = 1.5e12
const DATES_TO = 1e13

/**
 * Reads each option once.
 *
 * @throws TypeError for a value of the wrong kind, naming it; and whatever a getter throws.
 */
export function readCallOptions(name: string, options: ExecuteOptions, clock: Clock): CallOptions {
  if (typeof options !== 'object' || options === null) {
    throw notA(name, 'options', 'an object', options)
  }
  const { signal, deadline = Number.POSITIVE_INFINITY, priority, args } = options
  // As cockatiel takes it: passed by, it would abort nothing.
  if (signal === undefined && isSignal(options)) {
    throw notA(name, 'options', '{ signal }, no bare signal', options)
  }
  if (signal !== undefined && !isSignal(signal))
    throw notA(name, 'signal', 'an AbortSignal', signal)
  if (typeof deadline !== 'number' || Number.isNaN(deadline)) {
    throw notA(name, 'deadline', 'a number', deadline)
  }
  if (deadline > DATES_FROM && deadline < DATES_TO && clock.now() < DATES_FROM) {
    throw notA(name, 'deadline', 'in ms of the clock, no Date.now()', deadline)
  }
  if (args !== undefined && !Array.isArray(args)) throw notA(name, 'args', 'a list', args)
  return { signal, deadline, priority, args }
}

function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) return false
  const { addEventListener, removeEventListener } = value as Partial<AbortSignal>
  return typeof addEventListener === 'function' && typeof removeEventListener === 'function'
}

function notA(name: string, option: string, wanted: string, found: unknown): TypeError {
  return new TypeError(`"${name}": ${option} must be ${wanted}, but was ${show(found)}`)
}
