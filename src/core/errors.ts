/**
 * The families of errors, and those that most callers meet; beside this page stand those of queues and of
 * limits on load. One question decides the family: was the function called? A `RejectedError` says no, a
 * `TimeoutError` says perhaps. What is not ours passes unchanged.
 */

const BRAND: unique symbol = Symbol.for('holdfast.error') as never
const REJECTED: unique symbol = Symbol.for('holdfast.rejected') as never

/** Shared root: `code` is stable and survives package copies, `policy` names who threw. */
export abstract class ResilienceError extends Error {
  /** Stable identifier, `ERR_…`. Match on it; messages may improve. */
  abstract readonly code: string
  /** Name of the policy instance that threw. */
  readonly policy: string

  constructor(policy: string, message: string, cause?: unknown) {
    super(message)
    this.policy = policy
    // Handed to `super` as an option it costs a tenth of a refusal.
    if (cause !== undefined) this.cause = cause
  }

  /** The error as plain JSON: name, code, policy, message and its numbers; causes are left out. */
  toJSON(): Record<string, unknown> {
    return errorToJSON(this)
  }
}

// The exhausted fallback has to be an AggregateError as well, and a second copy of the package has
// classes of its own: for the two families a brand decides, for their members the prototype chain.
Object.defineProperty(ResilienceError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this === ResilienceError) return isResilienceError(value)
    return this === RejectedError ? isRejection(value) : isInstance.call(this, value)
  },
})

const isInstance = Function.prototype[Symbol.hasInstance] as (
  this: unknown,
  value: unknown,
) => boolean

Object.defineProperty(ResilienceError.prototype, BRAND, { value: true })

/** Whether `error` comes from this library, also from another copy of the package. */
export function isResilienceError(error: unknown): error is ResilienceError {
  try {
    return typeof error === 'object' && error !== null && BRAND in error
  } catch {
    return false
  }
}

/** The function was NOT called by the policy that threw: safe to try elsewhere or later. */
export abstract class RejectedError extends ResilienceError {}

Object.defineProperty(RejectedError.prototype, REJECTED, { value: true })

/** Whether a policy refused, also one of another copy of the package. */
export function isRejection(error: unknown): error is RejectedError {
  return isResilienceError(error) && REJECTED in error
}

/** The circuit is open (or isolated): the dependency was not touched. `cause` is the failure that opened it. */
export class CircuitOpenError extends RejectedError {
  override readonly name = 'CircuitOpenError'
  readonly code = 'ERR_CIRCUIT_OPEN'
  /** What the circuit was when it refused. */
  readonly state: 'open' | 'half-open' | 'isolated'
  /** Time until the next trial call may pass, in ms; `Infinity` while isolated by hand. */
  readonly retryAfter: number

  constructor(
    policy: string,
    state: 'open' | 'half-open' | 'isolated',
    retryAfter: number,
    why: string,
    cause?: unknown,
  ) {
    super(policy, circuitMessage(policy, state, Math.ceil(retryAfter), why), cause)
    this.state = state
    this.retryAfter = retryAfter
  }
}

/** What was said last: in an outage the same is said many times in one ms. */
const said = { policy: '', state: '', ms: Number.NaN, why: '', message: '' }

function circuitMessage(
  policy: string,
  state: CircuitOpenError['state'],
  ms: number,
  why: string,
): string {
  const again = said.ms === ms && said.policy === policy && said.why === why && said.state === state
  if (again) return said.message
  const message = `circuit "${policy}" ${CIRCUIT_ADVICE[state](ms)}${why && `; ${why}`}; not called`
  Object.assign(said, { policy, state, ms, why, message })
  return message
}

const CIRCUIT_ADVICE = {
  open: (ms: number) => `is open, next trial in ${ms} ms`,
  'half-open': (ms: number) =>
    ms > 0
      ? `is half-open with its trial calls under way, the next at the latest in ${ms} ms`
      : 'is half-open and lets only a part of the calls through',
  isolated: () => 'is isolated by hand until close() or reset()',
} as const

/** The facts of a full bulkhead. */
export interface BulkheadFacts {
  readonly running: number
  readonly queued: number
  readonly maxConcurrent: number
  readonly maxQueue: number
  readonly waited: number
}

/** All slots and all places in the queue are taken, or the wait for a slot was too long. Not called. */
export class BulkheadFullError extends RejectedError {
  override readonly name = 'BulkheadFullError'
  readonly code = 'ERR_BULKHEAD_FULL'
  /** Calls that held a slot. */
  readonly running: number
  /** Calls that waited in the queue. */
  readonly queued: number
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** How long this call waited in the queue, in ms; 0 when there was no place to wait. */
  readonly waited: number

  constructor(policy: string, facts: BulkheadFacts) {
    const { running, queued, maxConcurrent, maxQueue, waited } = facts
    const wait = waited > 0 ? `no slot within ${Math.round(waited)} ms` : 'no slot and a full queue'
    super(
      policy,
      `bulkhead "${policy}": ${wait} (${running} of ${maxConcurrent} running, ${queued} of ${maxQueue} queued); not called; shed load, or raise maxConcurrent or maxQueue if the dependency can take more`,
    )
    this.running = running
    this.queued = queued
    this.maxConcurrent = maxConcurrent
    this.maxQueue = maxQueue
    this.waited = waited
  }
}

/** The facts of a pool that could not lend. */
export interface PoolFacts {
  /** Resources that exist or are being made or destroyed. */
  readonly total: number
  readonly idle: number
  /** Resources that are lent. */
  readonly inUse: number
  /** Acquires in the queue, this one left out. */
  readonly waiting: number
  /** How many resources there may be, those for bursts included. */
  readonly limit: number
}

/** No resource of the pool became free in time. `cause` is the last failure of `create`, if it fails. */
export class AcquireTimeoutError extends RejectedError {
  override readonly name = 'AcquireTimeoutError'
  readonly code = 'ERR_ACQUIRE_TIMEOUT'
  /** How long it waited, in ms. */
  readonly waited: number
  /** Resources that existed or were being made or destroyed. */
  readonly total: number
  readonly idle: number
  /** Resources that were lent. */
  readonly inUse: number
  /** Acquires that waited in the queue besides. */
  readonly waiting: number

  constructor(pool: string, waited: number, facts: PoolFacts, cause?: unknown) {
    const why = cause === undefined ? '' : `; create fails: ${describeError(cause)}`
    super(
      pool,
      `pool "${pool}": no resource within ${Math.round(waited)} ms (${showFacts(facts)})${why}; not called`,
      cause,
    )
    this.waited = waited
    this.total = facts.total
    this.idle = facts.idle
    this.inUse = facts.inUse
    this.waiting = facts.waiting
  }
}

/** All resources are in use and all places in the pool's line are taken. */
export class PoolFullError extends RejectedError {
  override readonly name = 'PoolFullError'
  readonly code = 'ERR_POOL_FULL'
  /** Resources that existed or were being made or destroyed. */
  readonly total: number
  /** Resources that were lent. */
  readonly inUse: number
  /** Acquires that waited in the queue. */
  readonly waiting: number
  readonly maxWaiting: number

  constructor(pool: string, facts: PoolFacts, maxWaiting: number) {
    super(
      pool,
      `pool "${pool}": no resource and a full queue (${showFacts(facts)}, ${maxWaiting} may wait); not called; shed load, or raise maxSize if the other side can take more`,
    )
    this.total = facts.total
    this.inUse = facts.inUse
    this.waiting = facts.waiting
    this.maxWaiting = maxWaiting
  }
}

/** The pool lends nothing any more: `drain()` or `close()` was called. */
export class PoolClosedError extends RejectedError {
  override readonly name = 'PoolClosedError'
  readonly code = 'ERR_POOL_CLOSED'

  constructor(pool: string) {
    super(pool, `pool "${pool}" is closed or closing and lends nothing any more; not called`)
  }
}

function showFacts({ total, idle, inUse, waiting, limit }: PoolFacts): string {
  return `${total} of ${limit} open, ${idle} idle, ${inUse} in use, ${waiting} waiting`
}

/** Stopped waiting. The function may have been called and may still be running; its outcome is unknown. */
export class TimeoutError extends ResilienceError {
  override readonly name = 'TimeoutError'
  readonly code = 'ERR_TIMEOUT'
  /** The limit that was reached, in ms. */
  readonly duration: number

  constructor(
    policy: string,
    duration: number,
    what = 'no answer',
    outcome = 'the call may still be running and may yet take effect',
  ) {
    super(policy, `timeout "${policy}": ${what} within ${duration} ms; ${outcome}`)
    this.duration = duration
  }
}

/** Every alternative failed too. `errors` holds all causes in order, the primary one first; so does `cause`. */
export class FallbackExhaustedError extends AggregateError {
  override readonly name = 'FallbackExhaustedError'
  readonly code = 'ERR_FALLBACK_EXHAUSTED'
  /** Name of the fallback whose steps all failed. */
  readonly policy: string

  constructor(policy: string, errors: readonly unknown[], steps: readonly string[]) {
    const tried = steps.length === 1 ? 'its alternative' : `all ${steps.length} alternatives`
    super(
      errors,
      `fallback "${policy}": the call failed and so did ${tried} (${steps.join(', ')}); first cause: ${describeError(errors[0])}`,
      { cause: errors[0] },
    )
    this.policy = policy
    // Branded one by one: a statement beside the class would bring it into every bundle.
    Object.defineProperty(this, BRAND, { value: true })
  }

  toJSON(): Record<string, unknown> {
    return errorToJSON(this)
  }
}

function errorToJSON(error: Error): Record<string, unknown> {
  const { cause: _cause, errors: _errors, ...facts } = error as unknown as Record<string, unknown>
  return { ...facts, name: error.name, message: error.message }
}

/** Name and message of anything thrown, without ever throwing itself. */
export function describeError(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  } catch {
    return 'an error that cannot be shown'
  }
}
