/**
 * So many at a time, and everybody else in line: for ad-hoc work that is not a list.
 * Who waits keeps the place, the async context and the right to leave.
 */
import { linkAll } from '../../core/abort.ts'
import { ambient, signalsOf } from '../../core/ambient.ts'
import { begin, hang } from '../../core/begin.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import {
  abortSignal,
  checkOption,
  clock,
  count,
  duration,
  optional,
  readOptions,
  show,
  string,
} from '../../core/options.ts'
import { resembling } from '../../core/wrapper.ts'
import { QueuedCall, Runs } from './queued-call.ts'
import { CalledPlace, Slots } from './slots.ts'
import { StallGuard } from './stall.ts'

/** Options of {@link limiter}. */
export interface LimiterOptions {
  /** Names the limiter in errors. @default limiter */
  readonly name?: string | undefined
  /** Calls that may stand in line; further ones are refused at once. @default Infinity */
  readonly maxQueue?: number | undefined
  /** Who stands in line is refused when no slot has come free for so long, in ms. @default 300_000 */
  readonly stallTimeout?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
}

/** What one call of a {@link Limiter} may bring along. */
export interface LimitOptions {
  /** When it aborts, the call rejects at once with exactly `signal.reason`; in line it loses its place. */
  readonly signal?: AbortSignal | undefined
}

/** Who is in a limiter now, as plain JSON. */
export interface LimiterStats {
  readonly running: number
  readonly queued: number
  readonly concurrency: number
}

/** Runs what it is given, at most `concurrency` at a time. */
export interface Limiter {
  /** Calls `fn` as soon as there is room, and settles as it does. */
  <T>(fn: () => T | PromiseLike<T>, options?: LimitOptions): Promise<T>
  /** How many may run at the same time. */
  readonly concurrency: number
  /** The same function under this limiter: same arguments, same `this`, an answer that is a promise. */
  wrap<This, Args extends readonly unknown[], T>(
    fn: (this: This, ...args: Args) => T | PromiseLike<T>,
  ): (this: This, ...args: Args) => Promise<T>
  /** More start waiters at once, fewer stop nobody. */
  resize(concurrency: number): void
  /** Resolves when nothing runs and nobody waits; at once if that is so now. */
  idle(): Promise<void>
  stats(): LimiterStats
}

/**
 * Runs at most `concurrency` functions at a time; the others wait in a queue, first come first served.
 *
 * A function that waited runs in the AsyncLocalStorage context of whoever submitted it. A slot follows
 * the work: after an abort it stays taken until the function has really ended. The line has no bound
 * unless `maxQueue` says so, and a wait in it ends when the queue has not moved for `stallTimeout`.
 *
 * **Use it** for work that comes one by one, or share one between several `mapConcurrent`.
 * **Not for** shedding load: that is a bulkhead, which refuses and has a bounded line.
 *
 * **Watch out:** a function that waits for the same full limiter waits for itself, until `stallTimeout`
 * refuses the inner call. Whose calls take longer than that by nature raises it, or says `Infinity`.
 *
 * @param concurrency - Whole number from 1, or `Infinity`.
 * @throws TypeError or RangeError if `concurrency` is anything else, or an option is wrong. Calls reject
 * with LimiterFullError, and were not made, when the queue is full or does not move.
 *
 * @example
 * ```ts
 * import { limiter } from 'holdfast'
 *
 * const limit = limiter(2)
 * const squares = [1, 2, 3].map((n) => limit(async () => n * n))
 * limit.stats() // => { running: 2, queued: 1, concurrency: 2 }
 * await Promise.all(squares) // => [1, 4, 9]
 * ```
 */
export function limiter(concurrency: number, options: LimiterOptions = {}): Limiter {
  const slots = new Slots(checked(concurrency))
  const given = readOptions<LimiterOptions>('limiter', options, limiterChecks)
  const { name = 'limiter', maxQueue = Number.POSITIVE_INFINITY, stallTimeout = 300_000 } = given
  const settings = { name, maxQueue, stallTimeout, clock: given.clock ?? systemClock }
  const guard = new StallGuard(slots, settings)
  slots.guard = guard
  const calls = new Calls(slots, guard, maxQueue)
  const limit = <T>(fn: () => T | PromiseLike<T>, options?: LimitOptions): Promise<T> =>
    calls.run(fn, options) as Promise<T>
  const members: Omit<Limiter, 'concurrency'> = {
    wrap: (fn) => wrap(calls, fn),
    resize: (size) => slots.resize(checked(size)),
    idle: () => slots.idle(),
    stats: () => ({ running: slots.running, queued: slots.queued, concurrency: slots.size }),
  }
  Object.defineProperty(limit, 'concurrency', { get: () => slots.size, enumerable: true })
  const made = Object.assign(limit, members) as Limiter
  known.set(made, slots)
  return made
}

/** The slots of a limiter, for those who share it; undefined for everything else. */
export function slotsOf(value: unknown): Slots | undefined {
  return typeof value === 'function' ? known.get(value) : undefined
}

const known = new WeakMap<object, Slots>()

const limiterChecks = {
  name: optional(string),
  maxQueue: optional(count(0)),
  stallTimeout: optional(duration({ zero: false, infinite: true })),
  clock: optional(clock),
}

const callChecks = {
  signal: optional(abortSignal),
}

function checked(concurrency: number): number {
  checkOption('limiter', 'concurrency', concurrency, count(1))
  return concurrency
}

/** Calls functions when there is a slot. */
class Calls {
  readonly #slots: Slots
  readonly #guard: StallGuard
  readonly #maxQueue: number
  readonly #runs: Runs

  constructor(slots: Slots, guard: StallGuard, maxQueue: number) {
    this.#slots = slots
    this.#guard = guard
    this.#maxQueue = maxQueue
    this.#runs = new Runs(slots)
  }

  run(fn: () => unknown, options: LimitOptions | undefined): Promise<unknown> {
    if (typeof fn !== 'function') return Promise.reject(notAFunction(fn))
    if (options !== undefined || ambient.source !== undefined) return this.#runWith(fn, options)
    return this.#runPlain(fn)
  }

  /** With nothing that could call it off. */
  #runPlain(fn: () => unknown): Promise<unknown> {
    if (this.#slots.tryAcquire()) {
      return hang(begin(fn, undefined as never), this.#ok, this.#failed)
    }
    if (this.#isFull) return Promise.reject(this.#guard.refusal(0))
    const call = new QueuedCall(this.#runs, fn)
    this.#slots.enqueue(call)
    return call.answer
  }

  get #isFull(): boolean {
    const { running, size, queued } = this.#slots
    return queued >= this.#maxQueue && running >= size
  }

  readonly #ok = (value: unknown): unknown => {
    this.#slots.release()
    return value
  }

  readonly #failed = (error: unknown): never => {
    this.#slots.release()
    throw error
  }

  async #runWith(fn: () => unknown, options: LimitOptions | undefined): Promise<unknown> {
    const signals = signalsOf(readOptions('limiter', options, callChecks).signal)
    if (signals.length === 0) return this.#runPlain(fn)
    for (const { aborted, reason } of signals) if (aborted) throw reason
    if (this.#isFull) throw this.#guard.refusal(0)
    const turn = new Promise(capture)
    const granted = resolveNew as () => void
    const answer = new Promise(capture)
    const call = new AbortableCall(this.#slots, granted, resolveNew, rejectNew)
    call.forget = linkAll(signals, (reason) => call.callOff(reason))
    if (this.#slots.tryAcquire()) call.start(fn)
    else {
      this.#slots.enqueue(call)
      turn.then(() => call.start(fn))
    }
    return answer
  }
}

/** A call whose caller may change its mind, in line or while it runs. */
class AbortableCall extends CalledPlace {
  forget: (() => void) | undefined
  readonly #slots: Slots
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  #runs = false

  constructor(
    slots: Slots,
    granted: () => void,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    super(granted, (error) => this.#refuse(error))
    this.#slots = slots
    this.#resolve = resolve
    this.#reject = reject
  }

  #refuse(error: unknown): void {
    this.forget?.()
    this.#slots.release()
    this.#reject(error)
  }

  start(fn: () => unknown): void {
    // Aborted between grant and turn: the slot has been given back.
    if (this.state === 'gone') return
    this.#runs = true
    const end = (settle: (outcome: unknown) => void) => (result: unknown) => {
      this.forget?.()
      this.#slots.release()
      settle(result)
    }
    hang(begin(fn, undefined as never), end(this.#resolve), end(this.#reject))
  }

  callOff(reason: unknown): void {
    if (!this.#runs) this.#slots.abandon(this)
    this.#reject(reason)
  }
}

function wrap<This, Args extends readonly unknown[], T>(
  calls: Calls,
  fn: (this: This, ...args: Args) => T | PromiseLike<T>,
): (this: This, ...args: Args) => Promise<T> {
  if (typeof fn !== 'function') throw notAFunction(fn)
  const wrapped = function (this: This, ...args: Args): Promise<T> {
    return calls.run(() => fn.apply(this, args as never), undefined) as Promise<T>
  }
  return resembling(wrapped, fn)
}

function notAFunction(given: unknown): TypeError {
  return new TypeError(`limiter: needs a function to call, but was given ${show(given)}`)
}
