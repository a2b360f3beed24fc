/** What a pool is made with, how that is checked, and what is used where it is left out. */
import { type Backoff, exponential } from '../../core/backoff.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import {
  abortSignal,
  chance,
  clock,
  count,
  duration,
  fn,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  show,
  string,
  unknownOption,
  withMethods,
} from '../../core/options.ts'
import type { PolicyLike } from '../../core/policy.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import type { AcquireOptions } from './contract.ts'
import type { HookContext } from './hook.ts'
import { KEEPALIVE_SPREAD } from './member.ts'

/** What `create` is given. */
export interface CreateContext {
  /** Aborted when `createTimeout` has passed. Made when first read. */
  readonly signal: AbortSignal
  /** To be called when the resource breaks by itself: idle it is removed at once, lent it does not come back. */
  readonly broken: (error?: unknown) => void
}

/** Options of {@link createPool}. */
export interface PoolOptions<R> {
  /** Names the pool in errors, events and statistics. @default pool */
  readonly name?: string | undefined
  /** Makes a resource. */
  readonly create: (context: CreateContext) => R | PromiseLike<R>
  /** Ends a resource. @default nothing to do */
  readonly destroy?: ((resource: R, context: HookContext) => unknown) | undefined
  /** Whether an idle resource still works, asked before it is lent; `false` or a failure destroys it. @default none */
  readonly validate?: ((resource: R, context: HookContext) => unknown) | undefined
  /** Cleans a resource after each loan; a failure destroys it. @default none */
  readonly reset?: ((resource: R, context: HookContext) => unknown) | undefined
  /** Uses an idle resource a little, so that it stays alive. @default `validate` */
  readonly keepalive?: ((resource: R, context: HookContext) => unknown) | undefined
  /** Stops the work on a resource whose `use` was aborted; it is not lent before both have ended. @default none */
  readonly cancel?: ((resource: R, reason: unknown, context: HookContext) => unknown) | undefined
  /** Whether a resource is of no use after `use` failed with this error. @default always */
  readonly isBroken?: ((error: unknown, resource: R) => boolean) | undefined
  /** Resources that are kept, from the first acquire on. @default 0 */
  readonly minSize?: number | undefined
  /** Resources at most, those being made and destroyed included. @default 10 */
  readonly maxSize?: number | undefined
  /** Further resources for a burst, destroyed as soon as nobody waits. @default 0 */
  readonly overflow?: number | undefined
  /** Longest wait for a resource, in ms. @default 30_000 */
  readonly acquireTimeout?: number | undefined
  /** Acquires that may wait for somebody else's release. @default Infinity */
  readonly maxWaiting?: number | undefined
  /** A resource that was not used for so long is destroyed, in ms, down to `minSize`. @default 600_000 */
  readonly idleTimeout?: number | undefined
  /** A resource is not lent when older than this, in ms, less up to 2.5 % by chance. @default 1_800_000 */
  readonly maxLifetime?: number | undefined
  /** A resource is destroyed after so many loans. @default Infinity */
  readonly maxUses?: number | undefined
  /** How often an idle resource is kept alive, in ms, less up to 10 % by chance. @default 120_000 with `keepalive`, else Infinity */
  readonly keepaliveInterval?: number | undefined
  /** A resource seen alive less than so long ago is lent without `validate`, in ms. @default 500 */
  readonly validateAfter?: number | undefined
  /** A loan that lasts longer is reported as leaked, with the place that borrowed it, in ms. @default Infinity */
  readonly leakTimeout?: number | undefined
  /** Which idle resource is lent: the one used last, or the one idle longest. @default lifo */
  readonly order?: 'lifo' | 'fifo' | undefined
  /** Limit of one `create`, in ms. @default 30_000 */
  readonly createTimeout?: number | undefined
  /** Pauses between failing creations. @default exponential, 100 ms to 5 s */
  readonly createBackoff?: Backoff | undefined
  /** Failed creations in a row that waiting acquires sit through before they are rejected with the failure. @default 0 */
  readonly createRetries?: number | undefined
  /** A policy around `create`, such as a circuit breaker: nothing is made while it is open. @default none */
  readonly breaker?: PolicyLike<unknown> | undefined
  /** Limit of each other hook, in ms. @default 5_000 */
  readonly hookTimeout?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
  /** Where chance comes from. @default systemRandom */
  readonly random?: RandomSource | undefined
}

/** The options, complete. */
export interface Settings<R> {
  readonly name: string
  readonly create: PoolOptions<R>['create']
  readonly destroy: PoolOptions<R>['destroy']
  readonly validate: PoolOptions<R>['validate']
  readonly reset: PoolOptions<R>['reset']
  readonly keepalive: PoolOptions<R>['keepalive']
  readonly cancel: PoolOptions<R>['cancel']
  readonly isBroken: PoolOptions<R>['isBroken']
  readonly minSize: number
  readonly maxSize: number
  /** `maxSize` and `overflow`. */
  readonly limit: number
  readonly overflows: boolean
  readonly acquireTimeout: number
  readonly maxWaiting: number
  readonly idleTimeout: number
  readonly maxLifetime: number
  readonly maxUses: number
  readonly keepaliveInterval: number
  /** How long a resource seen alive is lent without a look. */
  readonly freshFor: number
  /** How long an idle resource needs no care. */
  readonly careAfter: number
  readonly leakTimeout: number
  readonly order: 'lifo' | 'fifo'
  readonly createTimeout: number
  readonly createBackoff: Backoff
  readonly createRetries: number
  readonly breaker: PolicyLike<unknown> | undefined
  readonly hookTimeout: number
  readonly clock: Clock
  readonly random: RandomSource
}

const limit = duration({ infinite: true })
const positiveLimit = duration({ zero: false, infinite: true })

const checks = {
  name: optional(string),
  create: fn,
  destroy: optional(fn),
  validate: optional(fn),
  reset: optional(fn),
  keepalive: optional(fn),
  cancel: optional(fn),
  isBroken: optional(fn),
  minSize: optional(count(0, Number.MAX_SAFE_INTEGER)),
  maxSize: optional(positiveInteger),
  overflow: optional(count(0)),
  acquireTimeout: optional(limit),
  maxWaiting: optional(count(0)),
  idleTimeout: optional(positiveLimit),
  maxLifetime: optional(positiveLimit),
  maxUses: optional(count(1)),
  keepaliveInterval: optional(positiveLimit),
  validateAfter: optional(limit),
  leakTimeout: optional(positiveLimit),
  order: optional(oneOf(['lifo', 'fifo'])),
  createTimeout: optional(positiveLimit),
  createBackoff: optional(fn),
  createRetries: optional(count(0)),
  breaker: optional(withMethods('a policy', 'execute')),
  hookTimeout: optional(positiveLimit),
  clock: optional(clock),
  random: optional(chance),
}

export function settle<R>(given: PoolOptions<R>): Settings<R> {
  const options = readOptions<PoolOptions<R>>('createPool', given, checks)
  const { minSize = 0, maxSize = 10, overflow = 0, keepalive, validate } = options
  const { idleTimeout = 600_000 } = options
  if (minSize > maxSize) {
    throw new RangeError(
      `createPool: minSize must be at most maxSize (${maxSize}), but was ${minSize}`,
    )
  }
  const { keepaliveInterval = keepalive === undefined ? Number.POSITIVE_INFINITY : 120_000 } =
    options
  if (keepaliveInterval !== Number.POSITIVE_INFINITY && (keepalive ?? validate) === undefined) {
    throw new TypeError('createPool: keepaliveInterval needs keepalive or validate')
  }
  return {
    name: options.name ?? 'pool',
    create: options.create,
    destroy: options.destroy,
    validate,
    reset: options.reset,
    keepalive: keepalive ?? validate,
    cancel: options.cancel,
    isBroken: options.isBroken,
    minSize,
    maxSize,
    limit: maxSize + overflow,
    overflows: overflow > 0,
    acquireTimeout: options.acquireTimeout ?? 30_000,
    maxWaiting: options.maxWaiting ?? Number.POSITIVE_INFINITY,
    idleTimeout,
    maxLifetime: options.maxLifetime ?? 1_800_000,
    // Compared on each loan: a small integer that no count ever is.
    maxUses:
      options.maxUses === undefined || options.maxUses === Number.POSITIVE_INFINITY
        ? -1
        : options.maxUses,
    keepaliveInterval,
    // Of 0 nothing is ever fresh, not even within one turn of the loop.
    freshFor:
      validate === undefined
        ? Number.POSITIVE_INFINITY
        : (options.validateAfter ?? 500) || Number.NEGATIVE_INFINITY,
    careAfter: Math.min(idleTimeout, keepaliveInterval * (1 - KEEPALIVE_SPREAD)),
    leakTimeout: options.leakTimeout ?? Number.POSITIVE_INFINITY,
    order: options.order ?? 'lifo',
    createTimeout: options.createTimeout ?? 30_000,
    createBackoff: options.createBackoff ?? exponential({ baseDelay: 100, maxDelay: 5_000 }),
    createRetries: options.createRetries ?? 0,
    breaker: options.breaker,
    hookTimeout: options.hookTimeout ?? 5_000,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}

/** What is wrong with what an acquire brought along; a wait that cannot be ended must not begin. */
export function faultOf(options: AcquireOptions): string | undefined {
  if (typeof options !== 'object' || options === null) {
    return `options must be an object, but were ${show(options)}`
  }
  const { signal, deadline } = options
  // Names are looked at only when nothing known was read: whoever passes a signal pays nothing for it.
  if (signal === undefined && deadline === undefined) return strangerIn(options)
  if (signal !== undefined && abortSignal.fault(signal) !== undefined) {
    return `signal must be an AbortSignal, but was ${show(signal)}`
  }
  return deadline === undefined || (typeof deadline === 'number' && !Number.isNaN(deadline))
    ? undefined
    : `deadline must be a number of milliseconds, but was ${show(deadline)}`
}

function strangerIn(options: AcquireOptions): string | undefined {
  for (const name in options) {
    if (name === 'signal' || name === 'deadline') continue
    if (abortSignal.fault(options) === undefined)
      return 'options must be { signal }, no bare signal'
    return unknownOption('options', name, ['signal', 'deadline']).message
  }
  return undefined
}

const timeoutChecks = { timeout: optional(limit) }

/** How long `warmUp`, `drain` and `close` may take. */
export function readTimeout(
  where: string,
  options: { readonly timeout?: number | undefined } | undefined,
  usual: number,
): number {
  return readOptions(where, options, timeoutChecks).timeout ?? usual
}
