/**
 * The options of a stale cache: what they mean, what they may be, and which contradict each other.
 */
import {
  boolean,
  chance,
  count,
  duration,
  fn,
  number,
  optional,
  rate,
  readOptions,
  withMethods,
} from '../../core/options.ts'
import type { RandomSource } from '../../core/random.ts'
import { type CommonOptions, commonChecks } from '../../core/step-policy.ts'
import type { CacheStore } from './contract.ts'
import { roughSize } from './size.ts'

/** Options of `staleCache`. */
export interface StaleCacheOptions<T = unknown> extends CommonOptions {
  /** Makes the key from the arguments of the wrapped function; undefined for a call that is not kept. */
  readonly key: (...args: never[]) => string | undefined
  /** Oldest age at which a value may be served at all, in ms; `Infinity` in memory only. */
  readonly staleFor: number
  /** Age up to which a value is served without calling the function, in ms. @default 0 */
  readonly freshFor?: number | undefined
  /** Longest wait for a call when a stale value could be served instead, in ms; 0 refreshes in the background. @default Infinity */
  readonly softTimeout?: number | undefined
  /** Serves a stale value when the call fails. False leaves the failure to a fallback outside. @default true */
  readonly staleOnError?: boolean | undefined
  /** Which failures a stale value may stand in for. @default transient ones and refusals: no 4xx, no programming errors, no aborts */
  readonly handles?: ((error: unknown) => boolean) | undefined
  /** After a failed call stale values are served without another for so long, in ms. @default 1_000 */
  readonly refreshPause?: number | undefined
  /** Largest share of `freshFor` by which a value stops being fresh earlier, drawn for each. @default 0.1 */
  readonly jitter?: number | undefined
  /** How eagerly fresh values are refreshed before they expire; 0 never, 1 by the time that a load takes. @default 0 */
  readonly earlyRefresh?: number | undefined
  /** Age up to which a negative result is served, in ms; 0 keeps none. @default as any result */
  readonly negativeFor?: number | undefined
  /** Which results are negative, with `negativeFor`. @default null and undefined */
  readonly isNegative?: ((value: T) => boolean) | undefined
  /** Nobody joins a call that has lasted longer, in ms: the next makes a new one. @default 30_000 */
  readonly joinWithin?: number | undefined
  /** Lets a call end and fill the cache although all its callers have left. @default false */
  readonly finishAlone?: boolean | undefined
  /** Makes a copy of a value, when it is kept and each time it is served. @default everybody gets the same object */
  readonly copy?: ((value: T) => T) | undefined
  /** Most values in memory. @default 1_000 */
  readonly maxEntries?: number | undefined
  /** Most bytes in memory, by estimate. @default 67_108_864 */
  readonly maxBytes?: number | undefined
  /** Size of a value in bytes. @default an estimate from its strings, numbers, buffers and members */
  readonly sizeOf?: ((value: T, most: number) => number) | undefined
  /** Where values are kept; then `name` is required, because it begins the keys. @default memory */
  readonly store?: CacheStore | undefined
  /** Longest wait for the store, in ms. @default 100 */
  readonly storeTimeout?: number | undefined
  /** Where chance comes from. @default Math.random */
  readonly random?: RandomSource | undefined
}

type Filled =
  | 'freshFor'
  | 'softTimeout'
  | 'staleOnError'
  | 'refreshPause'
  | 'jitter'
  | 'earlyRefresh'
  | 'joinWithin'
  | 'finishAlone'
  | 'maxEntries'
  | 'maxBytes'
  | 'sizeOf'
  | 'storeTimeout'

/** What is in force. Of values nothing is known here. */
export type Settings = Omit<StaleCacheOptions, Filled> & {
  readonly [Name in Filled]: NonNullable<StaleCacheOptions[Name]>
}

const defaults = {
  freshFor: 0,
  softTimeout: Number.POSITIVE_INFINITY,
  staleOnError: true,
  refreshPause: 1_000,
  jitter: 0.1,
  earlyRefresh: 0,
  joinWithin: 30_000,
  finishAlone: false,
}

const memoryDefaults = { maxEntries: 1_000, maxBytes: 64 * 1024 * 1024 }

const storeDefaults = { storeTimeout: 100 }

/** The options with what is in force where nothing was said. */
export function settingsOf<T>(options: StaleCacheOptions<T>): Settings {
  const elsewhere = { sizeOf: roughSize, ...memoryDefaults, ...storeDefaults }
  return { ...defaults, ...elsewhere, ...(options as unknown as Settings) }
}

/** The options for whoever reads a description; a store may hold passwords, and itself. */
export function describable<T>(options: StaleCacheOptions<T>): CommonOptions {
  const { store, ...others } = options
  const ofPlace = store === undefined ? memoryDefaults : { ...storeDefaults, store: 'of your own' }
  return { ...defaults, ...ofPlace, ...others }
}

/** Checks the options and what they say together. */
export function readStaleCacheOptions<T>(options: StaleCacheOptions<T>): StaleCacheOptions<T> {
  const given = readOptions('staleCache', options, checks)
  const { staleFor, freshFor = 0, store } = given
  if (freshFor > staleFor) {
    throw new RangeError(
      `staleCache: freshFor must be at most staleFor, ${staleFor} ms, but was ${freshFor}`,
    )
  }
  if (given.isNegative !== undefined && given.negativeFor === undefined) {
    throw new TypeError('staleCache: isNegative says which results negativeFor is for; give both')
  }
  const ofMemory = (['maxEntries', 'maxBytes', 'sizeOf'] as const).find((name) => name in given)
  if (store === undefined) {
    if ('storeTimeout' in given) {
      throw new TypeError('staleCache: storeTimeout is the limit of a store, but there is none')
    }
    return given
  }
  if (ofMemory !== undefined) {
    throw new TypeError(`staleCache: ${ofMemory} bounds the memory; a store has bounds of its own`)
  }
  if (given.name === undefined) {
    throw new TypeError(
      'staleCache: name is required with a store: it begins the keys, so that two caches in one store do not answer for each other',
    )
  }
  if (staleFor === Number.POSITIVE_INFINITY) {
    throw new RangeError('staleCache: staleFor must end with a store, but was Infinity')
  }
  return given
}

const checks = {
  ...commonChecks,
  key: fn,
  staleFor: duration({ zero: false, infinite: true }),
  freshFor: optional(duration({ infinite: true })),
  softTimeout: optional(duration({ infinite: true })),
  staleOnError: optional(boolean),
  handles: optional(fn),
  refreshPause: optional(duration()),
  jitter: optional(rate({ one: false })),
  earlyRefresh: optional(number(0)),
  negativeFor: optional(duration()),
  isNegative: optional(fn),
  joinWithin: optional(duration({ infinite: true })),
  finishAlone: optional(boolean),
  copy: optional(fn),
  maxEntries: optional(count(1)),
  maxBytes: optional(count(1)),
  sizeOf: optional(fn),
  store: optional(withMethods('a store', 'get', 'set', 'delete')),
  storeTimeout: optional(duration({ zero: false })),
  random: optional(chance),
}
