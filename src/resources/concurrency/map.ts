/**
 * Many items, so many at a time, as one promise.
 */
import { describeError } from '../../core/errors.ts'
import { harmless } from '../../core/events.ts'
import { checkOption, fn as isFunction, readOptions } from '../../core/options.ts'
import type { AlternativeOf, PolicyLike } from '../../core/policy.ts'
import { type AnyPolicy, type MapOptions, type Mapper, mapChecks } from './options.ts'
import { Run } from './run.ts'
import type { Items } from './source.ts'

/**
 * Calls `fn` with every item, at most `concurrency` at a time, and gives all results, in order.
 *
 * It takes the next item when there is room for it, so the input may be endless, slow, or a stream, and
 * is closed (`return()`) whatever way it ends. The first error stops it: nothing new is started, the
 * signals of the items under way are aborted, and it rejects at once with that error, without waiting
 * for them. With `stopOnError: false` all items run, and one `AggregateError` lists those that
 * failed; with `settle: true` each result says how its item ended. When `signal` aborts, it rejects at
 * once with exactly `signal.reason`. `onStop` reports what had been done until then.
 *
 * **Use it** for lists whose every item is a call: never more at a time than the other side can take.
 * **Not for** work that comes one by one (`limiter`), or results that do not fit in memory
 * (`iterateConcurrent`).
 *
 * **Watch out:** an item that a timeout in `policy` has given up no longer counts, even if its work goes
 * on; a bulkhead in the policy counts it.
 *
 * @throws TypeError or RangeError (as a rejection) on wrong arguments; nothing was called.
 *
 * @example
 * ```ts
 * import { mapConcurrent } from 'holdfast'
 *
 * await mapConcurrent([1, 2, 3], async (n) => n * n, { concurrency: 2 }) // => [1, 4, 9]
 * ```
 */
export function mapConcurrent<T, R, P extends AnyPolicy = PolicyLike>(
  items: Items<T>,
  fn: Mapper<T, R>,
  options: MapOptions<P> & { readonly settle: true },
): Promise<PromiseSettledResult<R | AlternativeOf<P>>[]>
export function mapConcurrent<T, R, P extends AnyPolicy = PolicyLike>(
  items: Items<T>,
  fn: Mapper<T, R>,
  options?: MapOptions<P>,
): Promise<(R | AlternativeOf<P>)[]>
export async function mapConcurrent(
  items: Items<unknown>,
  fn: Mapper<never, unknown>,
  options: MapOptions<AnyPolicy> = {},
): Promise<unknown[]> {
  checkOption('mapConcurrent', 'fn', fn, isFunction)
  return runMap(items, fn, readOptions('mapConcurrent', options, mapChecks))
}

/** As `mapConcurrent`, with arguments that have been checked. `late` gets results that came too late. */
export function runMap(
  items: Items<unknown>,
  fn: Mapper<never, unknown>,
  options: MapOptions<AnyPolicy>,
  late?: (value: unknown) => void,
): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    new MapRun(items, fn, options, resolve, reject, late).begin()
  })
}

class MapRun extends Run {
  readonly #resolve: (results: unknown[]) => void
  readonly #reject: (error: unknown) => void
  readonly #late: ((value: unknown) => void) | undefined
  readonly #ordered: boolean
  readonly #settles: boolean
  readonly #stopsOnError: boolean
  readonly #onStop: MapOptions['onStop']
  /** Nothing but results, in order. */
  readonly #isPlain: boolean
  readonly #results: unknown[]
  readonly #errors: { readonly index: number; readonly error: unknown }[] = []
  /** How each item ended, by index, if somebody wants to know. */
  readonly #endings: (PromiseSettledResult<unknown> | undefined)[] | undefined

  constructor(
    items: Items<unknown>,
    fn: Mapper<never, unknown>,
    options: MapOptions<AnyPolicy>,
    resolve: (results: unknown[]) => void,
    reject: (error: unknown) => void,
    late: ((value: unknown) => void) | undefined,
  ) {
    super(items, fn, options)
    const { ordered = true, settle = false, stopOnError = true, onStop } = options
    this.#resolve = resolve
    this.#reject = reject
    this.#late = late
    this.#ordered = ordered
    this.#settles = settle
    this.#stopsOnError = stopOnError
    this.#onStop = onStop
    this.#endings = onStop === undefined ? undefined : []
    this.#isPlain = ordered && !settle && onStop === undefined
    // As long as the list, so that it need not grow; cut at the end if the list has become shorter.
    this.#results = ordered && Array.isArray(items) ? new Array(items.length) : []
  }

  protected succeeded(index: number, value: unknown): void {
    if (this.#isPlain) {
      this.#results[index] = value
      return
    }
    if (this.#endings !== undefined) this.#endings[index] = { status: 'fulfilled', value }
    this.#keep(index, this.#settles ? { status: 'fulfilled', value } : value)
  }

  protected failed(index: number, error: unknown): void {
    if (this.#endings !== undefined) this.#endings[index] = { status: 'rejected', reason: error }
    if (this.#settles) this.#keep(index, { status: 'rejected', reason: error })
    else if (this.#stopsOnError) this.stop(error)
    else this.#errors.push({ index, error })
  }

  protected finished(): void {
    const errors = this.#errors
    if (this.#ordered) this.#results.length = this.started
    if (errors.length === 0) return this.#resolve(this.#results)
    errors.sort((a, b) => a.index - b.index)
    this.#reject(allFailed('mapConcurrent', this.ended, errors))
  }

  protected stopped(): void {
    if (this.#onStop !== undefined) harmless(this.#onStop, this.#report)
    this.#reject(this.reason)
    // Nobody will get these results either. Where there is none yet, there is a hole, which this leaves out.
    if (this.#late !== undefined) this.#results.forEach(this.#late)
  }

  protected override late(value: unknown): void {
    this.#late?.(value)
  }

  #keep(index: number, result: unknown): void {
    if (this.#ordered) this.#results[index] = result
    else this.#results.push(result)
  }

  get #report(): Parameters<NonNullable<MapOptions['onStop']>>[0] {
    const results = this.#endings ?? []
    const started = Array.from({ length: this.started }, (_, index) => index)
    const unfinished = started.filter((index) => results[index] === undefined)
    return { ...this.progress, reason: this.reason, results, unfinished }
  }
}

/** The error for all items that failed, when none of them was to stop the others. */
export function allFailed(
  where: string,
  items: number,
  failures: readonly { readonly error: unknown }[],
): AggregateError {
  const errors = failures.map(({ error }) => error)
  const first = describeError(errors[0])
  const message = `${where}: ${errors.length} of ${items} items failed; first: ${first}`
  return new AggregateError(errors, message, { cause: errors[0] })
}
