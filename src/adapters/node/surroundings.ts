/**
 * Follows a request through asynchronous code by AsyncLocalStorage. The first use switches it on for the
 * whole process; before, and in processes that never use it, it costs nothing.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { ambient, type Surroundings } from '../../core/ambient.ts'
import { inNextTurn, systemClock, type Timer } from '../../core/clock.ts'
import { TimeoutError } from '../../core/errors.ts'
import { boolean, checkOption, duration, positiveInteger } from '../../core/options.ts'
import { stackless } from '../../core/stackless.ts'
import { travelHeaders } from '../http/travel.ts'

/** What is known of the request that a piece of work is done for. */
export interface SurroundingsOptions {
  /** Time left until its caller gives up, in ms from now, 0 at least; `Infinity` for no limit. @default Infinity */
  readonly remaining?: number | undefined
  /** Which attempt of its caller it is, from 1. @default 1 */
  readonly attempt?: number | undefined
  /** Its caller tries again if it fails: `retry` inside makes no further attempts. @default false */
  readonly retriedAbove?: boolean | undefined
}

const storage = new AsyncLocalStorage<Surroundings>()

class Around implements Surroundings {
  readonly deadline: number
  readonly attempt: number
  readonly retriedAbove: boolean
  #controller: AbortController | undefined

  constructor(deadline: number, attempt: number, retriedAbove: boolean) {
    this.deadline = deadline
    this.attempt = attempt
    this.retriedAbove = retriedAbove
  }

  get signal(): AbortSignal | undefined {
    if (this.deadline === Number.POSITIVE_INFINITY) return undefined
    this.#controller ??= controllerOf(this.deadline)
    return this.#controller.signal
  }
}

/**
 * Aborts at the deadline. The timer keeps no process alive, whoever waits does that; and it goes with the
 * request: a deadline may be a day away, and comes from outside.
 */
function controllerOf(deadline: number): AbortController {
  const controller = new AbortController()
  const left = Math.max(0, deadline - systemClock.now())
  const reason = (): TimeoutError =>
    stackless(() => new TimeoutError('deadline', Math.round(left), 'deadline reached, no answer'))
  if (left === 0) controller.abort(reason())
  else {
    const held = new WeakRef(controller)
    const end = (): void => held.deref()?.abort(reason())
    // A timer holds on to the surroundings that it is set in.
    const timer = storage.run(undefined as never, () =>
      systemClock.setTimer(() => inNextTurn(systemClock, end), left),
    )
    timer.unref()
    answered.register(controller, timer)
  }
  return controller
}

const answered = new FinalizationRegistry<Timer>((timer) => timer.cancel())

const NOWHERE = new Around(Number.POSITIVE_INFINITY, 1, false)

/**
 * Runs `fn` with a deadline that everything in it inherits: a policy's call, a pool's wait and a retry's
 * pause end when it is reached, however deep they are, and a smaller limit of their own still holds.
 * Inside another one the earlier deadline counts.
 *
 * **Use it** at the edge of a service, around the work for one request or message.
 * **Not for** a single call: give that a `timeout`.
 *
 * **Watch out:** it limits what goes through Holdfast. Code that calls nothing of it runs on.
 *
 * @param limit - Time from now, in ms, 0 at least; `Infinity` for none.
 * @returns What `fn` returns.
 * @throws RangeError if the limit is out of range; `fn` was not called.
 *
 * @example
 * ```ts
 * import { pipeline, TimeoutError } from 'holdfast'
 * import { remainingTime, withDeadline } from 'holdfast/node'
 *
 * const prices = pipeline('prices')
 * const hang = () => new Promise<never>(() => {})
 * const error = await withDeadline(20, () => prices.execute(hang).catch((error) => error))
 * error instanceof TimeoutError // => true
 * remainingTime() // => Infinity
 * ```
 */
export function withDeadline<T>(limit: number, fn: () => T): T {
  checkOption('withDeadline', 'limit', limit, limitCheck)
  return withSurroundings({ attempt: storage.getStore()?.attempt, remaining: limit }, fn)
}

const limitCheck = duration({ infinite: true })

/**
 * Runs `fn` for a request that came from elsewhere: with the time that its caller has left, and with what
 * is known of the caller's retries. `holdfast/server` does this for HTTP requests; use it for messages and
 * other protocols.
 *
 * @throws TypeError or RangeError if an option is of a wrong type or out of range; `fn` was not called.
 *
 * @example
 * ```ts
 * import { retry } from 'holdfast'
 * import { withSurroundings } from 'holdfast/node'
 *
 * let calls = 0
 * const down = () => {
 *   calls++
 *   throw new Error('down')
 * }
 * const work = () => retry({ baseDelay: 0 }).execute(down)
 * await withSurroundings({ retriedAbove: true }, work).catch(() => calls) // => 1
 * ```
 */
export function withSurroundings<T>(options: SurroundingsOptions, fn: () => T): T {
  const { remaining = Number.POSITIVE_INFINITY, attempt = 1, retriedAbove = false } = options
  checkOption('withSurroundings', 'remaining', remaining, limitCheck)
  checkOption('withSurroundings', 'attempt', attempt, positiveInteger)
  checkOption('withSurroundings', 'retriedAbove', retriedAbove, boolean)
  ambient.source ??= () => storage.getStore()
  ambient.leave ??= (shared) => storage.run(undefined as never, shared)
  const outer = storage.getStore() ?? NOWHERE
  const deadline = Math.min(outer.deadline, systemClock.now() + remaining)
  return storage.run(new Around(deadline, attempt, outer.retriedAbove || retriedAbove), fn)
}

/**
 * Runs `fn` free of every deadline around it: what has been begun and must be ended, whoever still waits.
 * Limits of its own hold, and that somebody above tries again stays known.
 *
 * **Use it** behind a point of no return: after the card was charged the order is kept on record.
 * **Watch out:** nothing around limits it any more. Give it a `timeout`, or a queue.
 *
 * @returns What `fn` returns.
 *
 * @example
 * ```ts
 * import { remainingTime, withDeadline, withoutDeadline } from 'holdfast/node'
 *
 * withDeadline(500, () => withoutDeadline(() => remainingTime())) // => Infinity
 * ```
 */
export function withoutDeadline<T>(fn: () => T): T {
  const outer = storage.getStore()
  if (outer === undefined) return fn()
  const free = new Around(Number.POSITIVE_INFINITY, outer.attempt, outer.retriedAbove)
  return storage.run(free, fn)
}

/** Time that the work around has left, in ms; `Infinity` where no deadline was set, never below 0. */
export function remainingTime(): number {
  const { deadline } = storage.getStore() ?? NOWHERE
  return Math.max(0, deadline - systemClock.now())
}

/**
 * The headers that tell the next service about this request: `x-deadline-ms`, the time left, and
 * `x-attempt`, if you say which attempt this is. The doors to HTTP clients send them by themselves.
 *
 * @param sending - Which of how many attempts is about to be sent.
 *
 * @example
 * ```ts
 * import { outgoingHeaders, withDeadline } from 'holdfast/node'
 *
 * outgoingHeaders() // => {}
 * outgoingHeaders({ attempt: 2, maxAttempts: 4 }) // => { 'x-attempt': '2/4' }
 * Object.keys(withDeadline(500, () => outgoingHeaders())) // => ['x-deadline-ms']
 * ```
 */
export function outgoingHeaders(
  sending: { readonly attempt?: number; readonly maxAttempts?: number } = {},
): Record<string, string> {
  return travelHeaders({ ...sending, remaining: remainingTime() })
}
