/** What queues and their workers are made with, how that is checked, and what is used where it is left out. */
import { type Backoff, exponential } from '../../core/backoff.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type {
  EnqueueOptions,
  JobContext,
  ListOptions,
  ProcessOptions,
} from '../../core/deferred-queue.ts'
import { quiet } from '../../core/events.ts'
import {
  abortSignal,
  anyOf,
  type Check,
  type Checks,
  chance,
  checkOption,
  clock,
  count,
  duration,
  fn,
  number,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  withMethods,
} from '../../core/options.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'

/** What every engine can be told. */
export interface QueueOptions {
  /** Names the queue in its store, and in errors, events and statistics. @default queue */
  readonly name?: string | undefined
  /** Jobs that may take a place, the dead among them; further ones are rejected. @default 100_000 */
  readonly maxSize?: number | undefined
  /** Largest payload, in bytes of JSON. @default 1_048_576 */
  readonly maxPayloadBytes?: number | undefined
  /** How long the id of a completed job is remembered, in ms: so long its duplicates are recognised. @default 86_400_000 */
  readonly keepCompleted?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
  /** Where chance comes from. @default systemRandom */
  readonly random?: RandomSource | undefined
}

/**
 * What a store cannot keep apart: all lone surrogates become one character in UTF-8, and SQLite handles read
 * no further than a NUL. Two names would be the same.
 */
const CONFUSABLE = /[\p{Surrogate}\0]/u

/** A name of a queue. */
export const queueName: Check = {
  expected: 'a string that is not empty, without NUL and lone surrogates',
  fault: (value) => {
    if (typeof value !== 'string') return 'type'
    return value === '' || CONFUSABLE.test(value) ? 'range' : undefined
  },
}

/** The options of a queue, complete. */
export interface QueueSettings {
  readonly name: string
  readonly maxSize: number
  readonly maxPayloadBytes: number
  readonly keepCompleted: number
  readonly clock: Clock
  readonly random: RandomSource
}

export const queueChecks: Checks<QueueOptions> = {
  name: optional(queueName),
  maxSize: optional(positiveInteger),
  maxPayloadBytes: optional(positiveInteger),
  keepCompleted: optional(duration()),
  clock: optional(clock),
  random: optional(chance),
}

export function settleQueue(options: QueueOptions): QueueSettings {
  return {
    name: options.name ?? 'queue',
    maxSize: options.maxSize ?? 100_000,
    maxPayloadBytes: options.maxPayloadBytes ?? 1_048_576,
    keepCompleted: options.keepCompleted ?? 86_400_000,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}

/** The options of a worker, complete. */
export interface ProcessSettings {
  readonly maxConcurrent: () => number
  readonly rateLimit: ProcessOptions['rateLimit']
  readonly leaseTime: number
  readonly maxAttempts: number
  readonly backoff: Backoff
  readonly shouldRetry: ProcessOptions['shouldRetry']
  readonly shouldPostpone: ProcessOptions['shouldPostpone']
  readonly ready: ProcessOptions['ready']
  readonly budget: ProcessOptions['budget']
  readonly signal: AbortSignal | undefined
  readonly stopTimeout: number
}

const plainObject: Check = {
  expected: 'a plain object',
  fault: (value) => {
    if (typeof value !== 'object' || value === null) return 'type'
    const prototype: unknown = Object.getPrototypeOf(value)
    const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
    return isPlain ? undefined : 'type'
  },
}

const MOST_CONCURRENT = 10_000

const processChecks: Checks<ProcessOptions> = {
  maxConcurrent: optional(anyOf(count(1, MOST_CONCURRENT), fn)),
  rateLimit: optional(plainObject),
  leaseTime: optional(duration({ min: 100 })),
  maxAttempts: optional(count(1)),
  backoff: optional(fn),
  shouldRetry: optional(fn),
  shouldPostpone: optional(fn),
  ready: optional(fn),
  budget: optional(withMethods('a retryBudget', 'deposit', 'tryWithdraw')),
  signal: optional(abortSignal),
  stopTimeout: optional(duration({ infinite: true })),
}

const rateChecks = { limit: positiveInteger, interval: duration({ zero: false }) }

export function settleProcess<P>(given: ProcessOptions<P> | undefined): ProcessSettings {
  const options = readOptions<ProcessOptions>('process', given as ProcessOptions, processChecks)
  const { rateLimit } = options
  return {
    maxConcurrent: readConcurrency(options.maxConcurrent ?? 10),
    rateLimit:
      rateLimit === undefined
        ? undefined
        : readOptions('process: rateLimit', rateLimit, rateChecks),
    leaseTime: options.leaseTime ?? 30_000,
    maxAttempts: options.maxAttempts ?? 25,
    backoff: options.backoff ?? exponential({ baseDelay: 1_000, maxDelay: 900_000 }),
    shouldRetry: options.shouldRetry,
    shouldPostpone: options.shouldPostpone,
    ready: options.ready,
    budget: options.budget,
    signal: options.signal,
    stopTimeout: options.stopTimeout ?? 10_000,
  }
}

/** A function that answers nonsense or throws lets one job run at a time: too few rather than too many. */
function readConcurrency(given: number | (() => number)): () => number {
  if (typeof given === 'number') return () => given
  return () => {
    try {
      return Math.min(Math.max(1, Math.floor(quiet(given()))) || 1, MOST_CONCURRENT)
    } catch {
      return 1
    }
  }
}

const shortText: Check = {
  expected: 'a string of 1 to 512 characters, without NUL and lone surrogates',
  fault: (value) => {
    if (typeof value !== 'string') return 'type'
    const isGood = value !== '' && value.length <= 512 && !CONFUSABLE.test(value)
    return isGood ? undefined : 'range'
  },
}

const enqueueChecks: Checks<EnqueueOptions> = {
  id: optional(shortText),
  delay: optional(duration()),
  dueAt: optional(number(0)),
  key: optional(shortText),
  context: optional(plainObject),
}

const contextChecks: Checks<JobContext> = {
  deadline: optional(number(0)),
  attempts: optional({
    ...count(0, Number.MAX_SAFE_INTEGER),
    expected: 'a whole number from 0 up',
  }),
  trace: optional(plainObject),
}

/** Most characters of a job's trace, names and values together. */
const MOST_TRACE = 8_192

export function readEnqueue(given: EnqueueOptions | undefined): EnqueueOptions {
  const options = readOptions('enqueue', given, enqueueChecks)
  if (options.delay !== undefined && options.dueAt !== undefined) {
    throw new TypeError('enqueue: give delay or dueAt, not both')
  }
  if (options.context === undefined) return options
  const context = readOptions('enqueue: context', options.context, contextChecks)
  return { ...options, context: { ...context, ...readTrace(context) } }
}

const text: Check = {
  expected: 'a string',
  fault: (value) => (typeof value === 'string' ? undefined : 'type'),
}

function readTrace({ trace }: JobContext): JobContext {
  if (trace === undefined) return {}
  const entries = Object.entries(trace)
  let length = 0
  for (const [name, value] of entries) {
    checkOption('enqueue: context', `trace.${name}`, value, text)
    length += name.length + value.length
  }
  if (length <= MOST_TRACE) return { trace: Object.fromEntries(entries) }
  throw new RangeError(
    `enqueue: context: trace must be at most ${MOST_TRACE} characters, but was ${length}`,
  )
}

const states = ['waiting', 'delayed', 'blocked', 'active', 'dead', 'completed'] as const

const listChecks: Checks<ListOptions> = {
  state: optional(oneOf(states)),
  limit: optional(count(1, 1_000)),
  after: optional({
    expected: "what 'next' of a list was",
    fault: (value) => {
      if (typeof value !== 'string') return 'type'
      return /^\d+(\.\d+)?$/.test(value) ? undefined : 'range'
    },
  }),
}

export function readList(given: ListOptions | undefined): ListOptions & { readonly limit: number } {
  const options = readOptions('list', given, listChecks)
  return { ...options, limit: options.limit ?? 100 }
}

const requeueChecks = { delay: optional(duration()) }

export function readRequeue(given: { readonly delay?: number | undefined } | undefined): number {
  return readOptions('requeue', given, requeueChecks).delay ?? 0
}

const stopChecks = { timeout: optional(duration({ infinite: true })) }

export function readStop(
  where: string,
  given: { readonly timeout?: number | undefined } | undefined,
): number | undefined {
  return readOptions(where, given, stopChecks).timeout
}

/** The id of a job, for whoever asks for one. */
export function checkId(where: string, id: unknown): void {
  checkOption(where, 'id', id, shortText)
}
