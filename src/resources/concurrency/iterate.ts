/**
 * Many items, so many at a time, as an async iterator whose consumer sets the pace.
 */
import { type Deferred, deferred } from '../../core/deferred.ts'
import { checkOption, fn as isFunction, readOptions } from '../../core/options.ts'
import type { AlternativeOf, PolicyLike } from '../../core/policy.ts'
import { WaitQueue } from '../../core/queue.ts'
import { allFailed } from './map.ts'
import { type AnyPolicy, type IterateOptions, iterateChecks, type Mapper } from './options.ts'
import { Run } from './run.ts'
import type { Items } from './source.ts'

/**
 * Calls `fn` with every item, at most `concurrency` at a time, and gives the results one by one.
 *
 * Nothing starts before the first `next()`, and no more than `readAhead` items are ever ahead of the
 * consumer, so that input and output may be endless. Results come in the order of the items, or, with
 * `ordered: false`, as they are ready. The first error stops it: results that are ready and next in
 * order are still given, then the error. With `stopOnError: false` all items run, and one
 * `AggregateError` at the end lists those that failed; with `settle: true` each result says how its
 * item ended. Leaving the loop, by `break`, `return` or an error, aborts the signals of the items under
 * way, starts nothing more and closes the input.
 *
 * **Use it** where results should be handled as they come, or do not fit in memory.
 * **Not for** a list of results: `mapConcurrent`.
 *
 * **Watch out:** in order, one slow item holds up those behind it. A larger `readAhead` keeps the others
 * busy meanwhile.
 *
 * @throws TypeError or RangeError at once, on wrong arguments.
 *
 * @example
 * ```ts
 * import { iterateConcurrent } from 'holdfast'
 *
 * const squares: number[] = []
 * for await (const square of iterateConcurrent([1, 2, 3], async (n) => n * n)) squares.push(square)
 * squares // => [1, 4, 9]
 * ```
 */
export function iterateConcurrent<T, R, P extends AnyPolicy = PolicyLike>(
  items: Items<T>,
  fn: Mapper<T, R>,
  options: IterateOptions<P> & { readonly settle: true },
): AsyncIterableIterator<PromiseSettledResult<R | AlternativeOf<P>>>
export function iterateConcurrent<T, R, P extends AnyPolicy = PolicyLike>(
  items: Items<T>,
  fn: Mapper<T, R>,
  options?: IterateOptions<P>,
): AsyncIterableIterator<R | AlternativeOf<P>>
export function iterateConcurrent(
  items: Items<unknown>,
  fn: Mapper<never, unknown>,
  options: IterateOptions<AnyPolicy> = {},
): AsyncIterableIterator<unknown> {
  checkOption('iterateConcurrent', 'fn', fn, isFunction)
  return new Results(items, fn, readOptions('iterateConcurrent', options, iterateChecks))
}

class Results implements AsyncIterableIterator<unknown> {
  readonly #run: StreamRun
  #begun = false

  constructor(
    items: Items<unknown>,
    fn: Mapper<never, unknown>,
    options: IterateOptions<AnyPolicy>,
  ) {
    this.#run = new StreamRun(items, fn, options)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<unknown>> {
    const answer = this.#run.take()
    if (!this.#begun) {
      this.#begun = true
      this.#run.begin()
    }
    return answer
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#leave()
    return { done: true, value: await value }
  }

  async throw(error: unknown): Promise<IteratorResult<unknown>> {
    this.#leave()
    throw error
  }

  #leave(): void {
    this.#begun = true
    this.#run.leave()
  }
}

/** In place of the result of an item that failed without stopping the others. */
const NOTHING = Symbol('nothing')

class StreamRun extends Run {
  readonly #ordered: boolean
  readonly #settles: boolean
  readonly #stopsOnError: boolean
  readonly #readAhead: number | undefined
  /** Results that wait for the consumer, by the order in which it gets them. */
  readonly #ready = new Map<number, unknown>()
  readonly #takers = new WaitQueue<Deferred<IteratorResult<unknown>>>()
  readonly #errors: { readonly error: unknown }[] = []
  #arrived = 0
  #given = 0
  #taken = 0
  /** What comes after the last result; undefined while it goes on. */
  #last: 'done' | { readonly error: unknown } | undefined

  constructor(
    items: Items<unknown>,
    fn: Mapper<never, unknown>,
    options: IterateOptions<AnyPolicy>,
  ) {
    super(items, fn, options)
    const { ordered = true, settle = false, stopOnError = true, readAhead } = options
    this.#ordered = ordered
    this.#settles = settle
    this.#stopsOnError = stopOnError
    this.#readAhead = readAhead
  }

  take(): Promise<IteratorResult<unknown>> {
    const taker = deferred<IteratorResult<unknown>>()
    this.#takers.push(taker)
    this.#give()
    return taker.promise
  }

  /** The consumer has gone. */
  leave(): void {
    this.#ready.clear()
    this.#last = 'done'
    this.stop(AbortSignal.abort().reason)
    this.#give()
  }

  protected override onAbort(reason: unknown): void {
    this.#ready.clear()
    super.onAbort(reason)
  }

  protected override hasRoom(): boolean {
    return this.started - this.#taken < (this.#readAhead ?? this.slots.size)
  }

  protected succeeded(index: number, value: unknown): void {
    this.#arrive(index, this.#settles ? { status: 'fulfilled', value } : value)
  }

  protected failed(index: number, error: unknown): void {
    if (this.#settles) this.#arrive(index, { status: 'rejected', reason: error })
    else if (this.#stopsOnError) this.stop(error)
    else {
      this.#errors.push({ error })
      this.#arrive(index, NOTHING)
    }
  }

  protected finished(): void {
    const errors = this.#errors
    this.#last =
      errors.length === 0 ? 'done' : { error: allFailed('iterateConcurrent', this.ended, errors) }
    this.#give()
  }

  protected stopped(): void {
    this.#last ??= { error: this.reason }
    this.#give()
  }

  #arrive(index: number, result: unknown): void {
    this.#ready.set(this.#ordered ? index : this.#arrived++, result)
    this.#give()
  }

  /** Brings results and takers together, as far as there are both. */
  #give(): void {
    while (this.#ready.has(this.#given)) {
      const value = this.#ready.get(this.#given)
      if (value !== NOTHING) {
        const taker = this.#takers.shift()
        if (taker === undefined) return
        taker.resolve({ done: false, value })
      }
      this.#ready.delete(this.#given++)
      this.#taken++
      this.roomMade()
    }
    if (this.#last !== undefined) this.#giveLast()
  }

  /** The error is given once; after it, and after the end, there is nothing more. */
  #giveLast(): void {
    for (let taker = this.#takers.shift(); taker !== undefined; taker = this.#takers.shift()) {
      const last = this.#last
      this.#last = 'done'
      if (typeof last === 'object') taker.reject(last.error)
      else taker.resolve({ done: true, value: undefined })
    }
  }
}
