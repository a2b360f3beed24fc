/** The options of thread pools: how they are checked, and what is used where one is left out. */

import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inheritedDeadline } from '../../core/ambient.ts'
import { type Backoff, exponential } from '../../core/backoff.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import {
  type Check,
  chance,
  checkOption,
  clock,
  count,
  duration,
  fn,
  optional,
  positiveInteger,
  readOptions,
  show,
  string,
} from '../../core/options.ts'
import type { ExecuteOptions } from '../../core/policy.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import type { TaskOptions, ThreadPoolOptions, ThreadPoolsOptions } from './options.ts'
import type { PiscinaClass } from './piscina.ts'

/** The options of one pool, complete. */
export interface Settings {
  readonly Piscina: PiscinaClass
  readonly entry: string
  readonly clock: Clock
  readonly random: RandomSource
  readonly name: string
  readonly module: string
  readonly threads: number
  readonly minThreads: number
  readonly maxQueue: number
  readonly maxWait: number
  readonly timeout: number
  readonly abortGrace: number
  readonly memoryLimitMb: number | undefined
  readonly startTimeout: number
  readonly idleTimeout: number
  readonly maxTasks: number
  readonly restartBackoff: Backoff
  readonly env: ThreadPoolOptions['env']
  readonly execArgv: readonly string[] | undefined
}

/** One task with what it brought along. */
export interface Job {
  readonly name: string
  readonly task: unknown
  readonly timeout: number
  readonly transfer: readonly object[]
  /** Its caller may stop waiting, by a signal or a deadline, also one that is inherited. */
  readonly abortable: boolean
  /** When it was handed in, in ms of the clock. */
  readonly since: number
  readonly options: ExecuteOptions | undefined
}

const limit = duration({ infinite: true })
const positiveLimit = duration({ zero: false, infinite: true })
const never = Number.POSITIVE_INFINITY

const place: Check = {
  expected: 'a URL, or the absolute path of a file: new URL("./tasks.js", import.meta.url)',
  fault: (value) => (placeOf(value) === undefined ? 'type' : undefined),
}

const list: Check = {
  expected: 'a list',
  fault: (value) => (Array.isArray(value) ? undefined : 'type'),
}

const record: Check = {
  expected: 'an object',
  fault: (value) => (typeof value === 'object' && value !== null ? undefined : 'type'),
}

const poolChecks = {
  module: place,
  threads: positiveInteger,
  minThreads: optional(count(0, Number.MAX_SAFE_INTEGER)),
  maxQueue: optional(count(0)),
  maxWait: optional(positiveLimit),
  timeout: optional(positiveLimit),
  abortGrace: optional(limit),
  memoryLimitMb: optional(positiveInteger),
  startTimeout: optional(positiveLimit),
  idleTimeout: optional(positiveLimit),
  maxTasks: optional(count(1)),
  restartBackoff: optional(fn),
  env: optional(record),
  execArgv: optional(list),
}

const sharedChecks = {
  Piscina: {
    ...fn,
    expected: 'the class of the package piscina: import { Piscina } from "piscina"',
  },
  entry: optional(place),
  clock: optional(clock),
  random: optional(chance),
}

/** The settings of every pool, by name. */
export function settle(
  pools: Readonly<Record<string, ThreadPoolOptions>>,
  shared: ThreadPoolsOptions,
): Map<string, Settings> {
  if (typeof pools !== 'object' || pools === null || Object.keys(pools).length === 0) {
    throw new TypeError(
      `threadPools: needs at least one pool by name, but was given ${show(pools)}`,
    )
  }
  const { Piscina, entry, ...rest } = readOptions<ThreadPoolsOptions>(
    'threadPools',
    shared,
    sharedChecks,
  )
  const common = {
    Piscina,
    entry: placeOf(entry) ?? new URL('./worker.js', import.meta.url).href,
    clock: rest.clock ?? systemClock,
    random: rest.random ?? systemRandom,
  }
  const settled = new Map<string, Settings>()
  for (const [name, given] of Object.entries(pools)) {
    settled.set(name, { ...common, ...settlePool(name, given) })
  }
  return settled
}

function settlePool(
  name: string,
  given: ThreadPoolOptions,
): Omit<Settings, 'Piscina' | 'entry' | 'clock' | 'random'> {
  const where = `threadPools: pool "${name}"`
  if (name === '') throw new RangeError('threadPools: the name of a pool must not be empty')
  const options = readOptions<ThreadPoolOptions>(where, given, poolChecks)
  const { threads, minThreads = 0 } = options
  if (minThreads > threads) {
    throw new RangeError(
      `${where}: minThreads must be at most threads (${threads}), but was ${minThreads}`,
    )
  }
  return {
    name,
    module: placeOf(options.module) ?? '',
    threads,
    minThreads,
    maxQueue: options.maxQueue ?? 10 * threads,
    maxWait: options.maxWait ?? 30_000,
    timeout: options.timeout ?? 30_000,
    abortGrace: options.abortGrace ?? 0,
    memoryLimitMb: options.memoryLimitMb,
    startTimeout: options.startTimeout ?? 30_000,
    idleTimeout: options.idleTimeout ?? 60_000,
    maxTasks: options.maxTasks ?? never,
    restartBackoff: options.restartBackoff ?? exponential({ baseDelay: 100, maxDelay: 5_000 }),
    env: options.env,
    execArgv: options.execArgv,
  }
}

/** What a task brought along. A `Context` has getters of its own, so options are read one by one. */
export function jobOf(settings: Settings, task: unknown, options: TaskOptions | undefined): Job {
  const where = `thread pool "${settings.name}"`
  if (options !== undefined && (typeof options !== 'object' || options === null)) {
    throw new TypeError(`${where}: options must be an object, but were ${show(options)}`)
  }
  const { name = 'default', timeout = settings.timeout, transfer = [] } = options ?? {}
  checkOption(where, 'name', name, string)
  checkOption(where, 'timeout', timeout, positiveLimit)
  checkOption(where, 'transfer', transfer, list)
  const abortable =
    options?.signal !== undefined ||
    options?.deadline !== undefined ||
    inheritedDeadline(settings.clock) < Number.POSITIVE_INFINITY
  return { name, task, timeout, transfer, abortable, since: settings.clock.now(), options }
}

const closeChecks = { timeout: optional(limit) }

/** How long `drain` and `close` may take. */
export function readCloseTimeout(
  where: string,
  options: { readonly timeout?: number | undefined } | undefined,
): number {
  return readOptions(where, options, closeChecks).timeout ?? 10_000
}

/** A URL that a thread can import. */
function placeOf(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : (value as { href?: unknown } | undefined)?.href
  if (typeof text !== 'string') return undefined
  if (/^(?:file|data):/.test(text)) return text
  return isAbsolute(text) ? pathToFileURL(text).href : undefined
}
