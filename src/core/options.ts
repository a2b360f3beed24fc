/**
 * Options are checked once, where they are given, and copied.
 * An unknown name, a wrong type or a value out of range is an error that names
 * the policy, the option, what it must be and what it was; 0 is a value, undefined is "the default".
 */

import type { Clock } from './clock.ts'
import { guarded } from './guarded-clock.ts'
import { nearestName } from './nearest-name.ts'
import { guardedRandom, type RandomSource } from './random.ts'

/** What one option may be. */
export interface Check {
  /** What a good value is, as it reads after "must be". */
  readonly expected: string
  /** What is wrong with a value: its type, its range, or nothing. */
  readonly fault: (value: unknown) => 'type' | 'range' | undefined
  /** A guess at what a bad value was meant to be, in a few words. */
  readonly hint?: (value: unknown) => string | undefined
  /** True when the option may be left out. */
  readonly isOptional?: boolean
  /** What is kept of a good value, when it is not the value itself. */
  readonly keep?: (value: unknown) => unknown
}

/** A check for every option of `O`, and for nothing else. */
export type Checks<O extends object> = { readonly [K in keyof Required<O>]: Check }

/**
 * Checks the options of `where` and returns a copy of the values that were given.
 *
 * The copy has no prototype and holds own, defined values only: inherited options are not
 * honoured, and changing the caller's object later changes nothing. Each value is read once.
 *
 * @param where - Whose options they are, as the messages name it: `circuitBreaker`.
 * @throws TypeError on an unknown name, a missing option, a wrong type, or no plain object at all.
 * @throws RangeError on a value of the right type that is out of range.
 */
export function readOptions<O extends object>(
  where: string,
  options: O | undefined,
  checks: Checks<O>,
): Readonly<O> {
  const known: Record<string, Check> = checks
  const copy = Object.create(null) as Record<string, unknown>
  for (const [name, value] of Object.entries(plainObject(where, options))) {
    const check = Object.hasOwn(known, name) ? known[name] : undefined
    if (check === undefined) throw unknownOption(where, name, Object.keys(known))
    if (value === undefined) continue
    checkOption(where, name, value, check)
    copy[name] = check.keep === undefined ? value : check.keep(value)
  }
  for (const [name, check] of Object.entries(known)) {
    if (check.isOptional !== true && !(name in copy)) {
      throw new TypeError(`${where}: ${name} is required and must be ${check.expected}`)
    }
  }
  return copy as Readonly<O>
}

/** Checks one value, by the name it has in messages. */
export function checkOption(where: string, name: string, value: unknown, check: Check): void {
  const fault = check.fault(value)
  if (fault === undefined) return
  const hint = check.hint?.(value)
  const message =
    `${where}: ${name} must be ${check.expected}, but was ${show(value)}` +
    (hint === undefined ? '' : ` (${hint})`)
  throw fault === 'type' ? new TypeError(message) : new RangeError(message)
}

/** The same check for an option that may be left out. */
export function optional(check: Check): Check {
  return { ...check, isOptional: true }
}

/** A time in ms. Finite and from 0 unless said otherwise; `infinite` allows `Infinity` for never. */
export function duration(limits: DurationLimits = {}): Check {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, zero = true, infinite = false } = limits
  const from = zero ? `from ${min}` : 'above 0'
  const to = max === Number.MAX_SAFE_INTEGER ? (zero ? ' up' : '') : ` up to ${max}`
  return {
    expected: `a number of milliseconds ${from}${to}${infinite ? ', or Infinity' : ''}`,
    fault: (value) => {
      if (infinite && value === Number.POSITIVE_INFINITY) return undefined
      if (!zero && value === 0) return 'range'
      return numberFault(value, min, max)
    },
  }
}

/** What a time may be: `zero: false` leaves out 0. */
export interface DurationLimits {
  readonly min?: number
  readonly max?: number
  readonly zero?: boolean
  readonly infinite?: boolean
}

/** A whole number from `min` to `max`. Without `max` any size goes, `Infinity` included. */
export function count(min = 0, max: number = Number.POSITIVE_INFINITY): Check {
  const unlimited = max === Number.POSITIVE_INFINITY
  return {
    expected: `a whole number from ${min} ${unlimited ? 'up, or Infinity' : `to ${max}`}`,
    fault: (value) => {
      if (typeof value !== 'number') return 'type'
      if (unlimited && value === max) return undefined
      return Number.isSafeInteger(value) && value >= min && value <= max ? undefined : 'range'
    },
  }
}

/** A whole number from 1. */
export const positiveInteger: Check = {
  ...count(1, Number.MAX_SAFE_INTEGER),
  expected: 'a whole number from 1 up',
}

/** A finite number from `min` to `max`. */
export function number(min: number, max: number = Number.MAX_VALUE): Check {
  return {
    expected: `a number from ${min} ${max === Number.MAX_VALUE ? 'up' : `to ${max}`}`,
    fault: (value) => numberFault(value, min, max),
  }
}

/** A share from 0 to 1; `zero: false` and `one: false` leave out the ends. */
export function rate({ zero = true, one = true }: { zero?: boolean; one?: boolean } = {}): Check {
  return {
    expected: `a rate ${zero ? 'from 0' : 'above 0'} ${one ? 'up to 1' : 'and below 1'}`
      .replace('above 0 up', 'above 0 and up')
      .replace('from 0 up to', 'from 0 to'),
    fault: (value) => {
      const fault = numberFault(value, 0, 1)
      return fault ?? ((!zero && value === 0) || (!one && value === 1) ? 'range' : undefined)
    },
    hint: (value) =>
      typeof value === 'number' && value > 1 && value <= 100
        ? `a share, not a percentage: did you mean ${value / 100}?`
        : undefined,
  }
}

/** A function. */
export const fn: Check = ofType('a function', 'function')

/** True or false. */
export const boolean: Check = ofType('true or false', 'boolean')

/** Text that is not empty. */
export const string: Check = {
  expected: 'a string that is not empty',
  fault: (value) => (typeof value !== 'string' ? 'type' : value === '' ? 'range' : undefined),
}

/** One of a few literals. */
export function oneOf(values: readonly (string | number | boolean)[]): Check {
  return {
    expected: `one of ${values.map(show).join(', ')}`,
    fault: (value) => {
      if (values.some((allowed) => allowed === value)) return undefined
      return values.some((allowed) => typeof allowed === typeof value) ? 'range' : 'type'
    },
    hint: (value) => {
      if (typeof value !== 'string') return undefined
      const texts = values.filter((allowed) => typeof allowed === 'string')
      const nearest = nearestName(value, texts)
      return nearest === undefined ? undefined : `did you mean ${show(nearest)}?`
    },
  }
}

/** Good for at least one of several checks. */
export function anyOf(...checks: readonly Check[]): Check {
  return {
    expected: checks.map((check) => check.expected).join(', or '),
    fault: (value) => {
      const faults = checks.map((check) => check.fault(value))
      if (faults.includes(undefined)) return undefined
      return faults.includes('range') ? 'range' : 'type'
    },
    hint: (value) => checks.map((check) => check.hint?.(value)).find((hint) => hint !== undefined),
  }
}

/** An object, or a function, that has these methods, its own or inherited. */
export function withMethods(expected: string, ...methods: readonly string[]): Check {
  return {
    expected: `${expected} (with ${methods.join(', ')})`,
    fault: (value) => {
      const isObject = typeof value === 'function' || (typeof value === 'object' && value !== null)
      if (!isObject) return 'type'
      const members = value as Record<string, unknown>
      return methods.every((method) => typeof members[method] === 'function') ? undefined : 'type'
    },
  }
}

/** A `Clock`, of which one is kept that never throws. */
export const clock: Check = {
  ...withMethods('a clock', 'now', 'wallTime', 'setTimer'),
  keep: (value) => guarded(value as Clock),
}

/** A `RandomSource`, of which one is kept that never throws. */
export const chance: Check = {
  ...fn,
  keep: (value) => guardedRandom(value as RandomSource),
}

/** What aborts: an `AbortSignal`, of any realm or library. */
export const abortSignal: Check = /* @__PURE__ */ withMethods(
  'an AbortSignal',
  'addEventListener',
  'removeEventListener',
)

/** A value as messages show it: its text when that is short, else its kind. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
  }
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return 'an array'
  return value instanceof Promise ? 'a promise' : 'an object'
}

function plainObject(where: string, options: unknown): object {
  if (options === undefined) return {}
  if (isPlainObject(options)) return options
  const found = show(options)
  const advice =
    ' with a prototype, and inherited options are not honoured (copy them: { ...options })'
  throw new TypeError(
    `${where}: options must be a plain object, but were ${found}${found === 'an object' ? advice : ''}`,
  )
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // The second comparison is for plain objects of another realm, such as a vm context or a frame.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What to throw for an option that does not exist. */
export function unknownOption(where: string, name: string, known: readonly string[]): TypeError {
  const nearest = nearestName(name, known)
  const hint =
    nearest === undefined ? `(known: ${known.join(', ')})` : `(did you mean ${show(nearest)}?)`
  return new TypeError(`${where}: unknown option ${show(name)} ${hint}`)
}

function numberFault(value: unknown, min: number, max: number): 'type' | 'range' | undefined {
  if (typeof value !== 'number') return 'type'
  return value >= min && value <= max ? undefined : 'range'
}

function ofType(expected: string, type: 'function' | 'boolean'): Check {
  return { expected, fault: (value) => (typeof value === type ? undefined : 'type') }
}
