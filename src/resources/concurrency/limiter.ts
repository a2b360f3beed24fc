/**
 * So many at a time, and everybody else in line: for ad-hoc work that is not a list.
 * Who waits keeps the place, the async context and the right to leave.
 */
import { type Linked, link, type SignalHub, unlink } from '../../core/abort.ts'
import { begin } from '../../core/begin.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import { checkOption, count, optional, readOptions, withMethods } from '../../core/options.ts'
import { Place, Slots } from './slots.ts'

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
 * Runs at most `concurrency` functions at a time; the others wait in line, first come first served.
 *
 * A function that waited runs in the AsyncLocalStorage context of whoever submitted it. A slot follows
 * the work: after an abort it stays taken until the function has really ended. The line has no bound.
 *
 * **Use it** for work that comes one by one, or share one between several `mapConcurrent`.
 * **Not for** shedding load: that is a bulkhead, which refuses and has a bounded line.
 *
 * **Watch out:** a function that waits for the same full limiter waits for itself, for ever; give the
 * inner call a `signal`.
 *
 * @param concurrency - Whole number from 1, or `Infinity`.
 * @throws TypeError or RangeError if `concurrency` is anything else.
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
export function limiter(concurrency: number): Limiter {
  const slots = new Slots(checked(concurrency))
  const calls = new Calls(slots)
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

const callChecks = {
  signal: optional(withMethods('an AbortSignal', 'addEventListener', 'removeEventListener')),
}

function checked(concurrency: number): number {
  checkOption('limiter', 'concurrency', concurrency, count(1))
  return concurrency
}

/** Calls functions when there is a slot. */
class Calls {
  readonly #slots: Slots

  constructor(slots: Slots) {
    this.#slots = slots
  }

  run(fn: () => unknown, options: LimitOptions | undefined): Promise<unknown> {
    if (typeof fn !== 'function') return Promise.reject(notAFunction(fn))
    if (options !== undefined) return this.#runWith(fn, options)
    if (this.#slots.tryAcquire()) {
      return begin(fn, undefined as never).then(this.#ok, this.#failed)
    }
    // A promise hop keeps the caller's async context, whoever frees the slot.
    const turn = new Promise(capture)
    this.#slots.enqueue(new Place(resolveNew as () => void))
    return turn.then(fn as () => unknown).then(this.#ok, this.#failed)
  }

  readonly #ok = (value: unknown): unknown => {
    this.#slots.release()
    return value
  }

  readonly #failed = (error: unknown): never => {
    this.#slots.release()
    throw error
  }

  async #runWith(fn: () => unknown, options: LimitOptions): Promise<unknown> {
    const { signal } = readOptions('limiter', options, callChecks)
    if (signal === undefined) return this.run(fn, undefined)
    if (signal.aborted) throw signal.reason
    const turn = new Promise(capture)
    const granted = resolveNew as () => void
    const answer = new Promise(capture)
    const call = new AbortableCall(this.#slots, granted, resolveNew, rejectNew)
    link(signal, call)
    if (this.#slots.tryAcquire()) call.start(fn)
    else {
      this.#slots.enqueue(call)
      turn.then(() => call.start(fn))
    }
    return answer
  }
}

/** A call whose caller may change its mind, in line or while it runs. */
class AbortableCall extends Place implements Linked {
  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
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
    super(granted)
    this.#slots = slots
    this.#resolve = resolve
    this.#reject = reject
  }

  start(fn: () => unknown): void {
    // Aborted between grant and turn: the slot has been given back.
    if (this.state === 'gone') return
    this.#runs = true
    const end = (settle: (outcome: unknown) => void) => (result: unknown) => {
      unlink(this)
      this.#slots.release()
      settle(result)
    }
    begin(fn, undefined as never).then(end(this.#resolve), end(this.#reject))
  }

  onAbort(reason: unknown): void {
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
  Object.defineProperty(wrapped, 'name', { value: fn.name, configurable: true })
  Object.defineProperty(wrapped, 'length', { value: fn.length, configurable: true })
  return wrapped
}

function notAFunction(given: unknown): TypeError {
  return new TypeError(`limiter: needs a function to call, but was given ${typeof given}`)
}
