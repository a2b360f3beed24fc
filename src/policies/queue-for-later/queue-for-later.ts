/**
 * The last step of a fallback that loses nothing: accept the call now, do it when the dependency is back.
 */
import { type Clock, systemClock } from '../../core/clock.ts'
import type { EnqueueOptions, Receipt } from '../../core/deferred-queue.ts'
import { TimeoutError } from '../../core/errors.ts'
import { quiet } from '../../core/events.ts'
import {
  type Checks,
  clock,
  duration,
  fn,
  optional,
  readOptions,
  string,
  withMethods,
} from '../../core/options.ts'
import { judge } from '../../core/outcome.ts'
import type { Context } from '../../core/policy.ts'
import { stackless } from '../../core/stackless.ts'
import { isDraining } from './draining.ts'

/** The answer to a call that was accepted but not done yet. */
export interface QueuedReceipt {
  readonly queued: true
  /** Id of the job in the queue. */
  readonly id: string
  /** Name of the queue. */
  readonly queue: string
  /** Whether the queue knew the id already, so that nothing was added. */
  readonly duplicate: boolean
}

/** The part of a queue that is needed to queue for later. */
export interface EnqueueTarget<P> {
  readonly name: string
  enqueue(payload: P, options?: EnqueueOptions): Promise<Receipt>
}

/** Options of {@link queueForLater}. */
export interface QueueForLaterOptions<P> {
  /** Names the step in events, statistics and detailed answers. @default queue-for-later */
  readonly name?: string | undefined
  /** What the job needs to do the call later, as plain JSON. @default the arguments of the call */
  readonly payload?: ((context: Context, error: unknown) => P) | undefined
  /** The idempotency key of the call, the same that the dependency is given; undefined for none. @default none */
  readonly id?: ((context: Context, error: unknown) => string | undefined) | undefined
  /** Jobs of one key run one at a time, in order; undefined for none. @default none */
  readonly key?: ((context: Context, error: unknown) => string | undefined) | undefined
  /** Not before so long from now, in ms from 0. @default 0 */
  readonly delay?: number | undefined
  /** Not after so long from now, in ms above 0: then the job goes to the dead letters. @default Infinity */
  readonly expiresAfter?: number | undefined
  /** Names and values that let the run of the job be found. @default none */
  readonly trace?: ((context: Context) => Readonly<Record<string, string>>) | undefined
  /** Which failures are queued. @default what was not called; with `id` also timeouts and what may get better */
  readonly when?: ((error: unknown) => boolean) | undefined
  /** How long the queue may take to accept, in ms above 0. @default 1_000 */
  readonly timeout?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
}

/** A step of a `fallback` that queues. */
export interface QueueForLater {
  readonly name: string
  run(error: unknown, context: Context): Promise<QueuedReceipt>
  when(error: unknown): boolean
}

/**
 * Makes a fallback step that stores the call in a durable queue and answers with a receipt.
 *
 * The caller gets `{ queued: true, id, … }` instead of an answer, once the queue has the job: `isQueued`
 * tells it from a result. If the queue is full, down or slow the step fails, and the fallback goes on with the
 * next one. `drainQueue` does the calls when the dependency is back.
 *
 * Without `id` only calls are queued that were certainly not made: refused by an open circuit or a full
 * bulkhead at their first attempt. A call that timed out or failed may have had its effect; to do it again is
 * safe only when the dependency can recognise it. With `id` such calls are queued, too: give the dependency
 * the same key, in the call and in the job. Bugs, aborts and answers like 404 are never queued.
 *
 * **Use it** for what must happen but not now: orders, charges, notifications.
 * **Not for** what somebody waits to read.
 *
 * **Watch out:** a receipt is a promise to do it. Look after the queue's dead letters.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { fallback, isQueued, memoryQueue, queueForLater } from 'holdfast'
 *
 * const queue = memoryQueue<{ order: string }>({ name: 'charges' })
 * const later = queueForLater(queue, {
 *   id: ({ args }) => `charge-${args[0]}`,
 *   payload: ({ args }) => ({ order: String(args[0]) }),
 * })
 * const charge = fallback(later).wrap(async (order: string): Promise<string> => {
 *   throw new Error(`payment is down, ${order} not charged`)
 * })
 * const answer = await charge('o-7')
 * isQueued(answer) && answer.id // => 'charge-o-7'
 * ```
 */
export function queueForLater<P>(
  queue: EnqueueTarget<P>,
  options: QueueForLaterOptions<P> & { readonly payload: (context: Context, error: unknown) => P },
): QueueForLater
export function queueForLater(
  queue: EnqueueTarget<readonly unknown[]>,
  options?: QueueForLaterOptions<readonly unknown[]>,
): QueueForLater
export function queueForLater<P>(
  queue: EnqueueTarget<P>,
  options: QueueForLaterOptions<P> = {},
): QueueForLater {
  const target = readOptions('queueForLater', { queue }, { queue: queueCheck }).queue
  const { name, run, when } = new Step(target, readOptions('queueForLater', options, checks))
  return { name, run, when }
}

/** Whether an answer is a receipt: accepted, not done. Holds for receipts that have been through JSON, too. */
export function isQueued(answer: unknown): answer is QueuedReceipt {
  if (typeof answer !== 'object' || answer === null) return false
  const { queued, id, queue } = answer as Partial<QueuedReceipt>
  return queued === true && typeof id === 'string' && typeof queue === 'string'
}

const queueCheck = withMethods('a queue', 'enqueue')

const checks: Checks<QueueForLaterOptions<never>> = {
  name: optional(string),
  payload: optional(fn),
  id: optional(fn),
  key: optional(fn),
  delay: optional(duration()),
  expiresAfter: optional(duration({ zero: false, infinite: true })),
  trace: optional(fn),
  when: optional(fn),
  timeout: optional(duration({ zero: false })),
  clock: optional(clock),
}

class Step<P> implements QueueForLater {
  readonly name: string
  readonly #queue: EnqueueTarget<P>
  readonly #options: QueueForLaterOptions<P>
  readonly #clock: Clock

  constructor(queue: EnqueueTarget<P>, options: QueueForLaterOptions<P>) {
    this.name = options.name ?? 'queue-for-later'
    this.#queue = queue
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  readonly when = (error: unknown): boolean => {
    const { when, id } = this.#options
    if (when !== undefined) return when(error)
    const verdict = judge(error)
    return verdict === 'rejected' || (id !== undefined && verdict === 'transient')
  }

  readonly run = async (error: unknown, context: Context): Promise<QueuedReceipt> => {
    // A job that is being done must not be answered with a job to be done.
    if (isDraining(context)) throw error
    const { when, payload } = this.#options
    const id = quiet(this.#options.id?.(context, error))
    const isRefusal = judge(error) === 'rejected'
    // Refused at a later attempt: an earlier one was made, and may have had its effect.
    if (when === undefined && id === undefined && !(isRefusal && context.attempt === 1)) throw error
    const body = payload === undefined ? (context.args as P) : quiet(payload(context, error))
    const { duplicate, ...receipt } = await this.#within(
      this.#queue.enqueue(body, { id, ...this.#enqueueOptions(context, error, isRefusal) }),
    )
    return { queued: true, id: receipt.id, queue: this.#queue.name, duplicate }
  }

  #enqueueOptions(context: Context, error: unknown, isRefusal: boolean): EnqueueOptions {
    const { key, trace, delay, expiresAfter = Number.POSITIVE_INFINITY } = this.#options
    const isEndless = expiresAfter === Number.POSITIVE_INFINITY
    const deadline = isEndless ? undefined : this.#clock.wallTime() + expiresAfter
    const attempts = isRefusal ? context.attempt - 1 : context.attempt
    return {
      key: quiet(key?.(context, error)),
      delay,
      context: { deadline, attempts, trace: quiet(trace?.(context)) },
    }
  }

  /** A store that does not answer must not hold up the caller; whether it has the job is not known then. */
  #within<T>(accepted: Promise<T>): Promise<T> {
    const { timeout = 1_000 } = this.#options
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => {
        const what = `queue "${this.#queue.name}" has not accepted the job`
        reject(stackless(() => new TimeoutError(this.name, timeout, what)))
      }, timeout)
      accepted.finally(() => timer.cancel()).then(resolve, reject)
    })
  }
}
