/**
 * Lanes: each holds one permit and takes one item after the other, so that a million items cost no more
 * memory than those under way, and a result that is there costs one `await`.
 *
 * One recruiter per run waits for permits and starts lanes. It is an async function of the submitter's
 * own, so every item runs in the submitter's context, whoever freed the slot.
 */
import { linkAll } from '../../core/abort.ts'
import { signalsOf } from '../../core/ambient.ts'
import { harmless, quiet } from '../../core/events.ts'
import { show } from '../../core/options.ts'
import { Item, PolicyItem, type Watcher } from './item.ts'
import { slotsOf } from './limiter.ts'
import type { AnyPolicy, ConcurrencyOptions, MapProgress, Mapper } from './options.ts'
import { CalledPlace, type Place, Slots } from './slots.ts'

/** Items that have a finite or endless number, now or later. */
export type Items<T> = Iterable<T> | AsyncIterable<T>

/** No item: one may be anything, `undefined` too. */
const NONE = Symbol('none')

export abstract class Run implements Watcher {
  started = 0
  running = 0
  ended = 0
  failures = 0
  /** Nothing new is started any more: stopped, or all done. */
  over = false
  reason: unknown = undefined
  protected readonly slots: Slots
  readonly #items: Items<unknown>
  readonly #fn: Mapper<unknown, unknown>
  readonly #policy: AnyPolicy | undefined
  readonly #signals: readonly AbortSignal[]
  readonly #onProgress: ((progress: MapProgress) => unknown) | undefined
  readonly #watched = new Set<Item>()
  #policySignal: AbortController | undefined
  #source: Iterator<unknown> | AsyncIterator<unknown> | undefined
  /** In place of a source: a plain array is read by index, which costs no object per item. */
  #list: readonly unknown[] | undefined
  #isAsync = false
  /** The input has no more. */
  #exhausted = false
  /** Of the recruiter, while it waits for a permit. */
  #place: Place | undefined
  /** Ends the recruiter's wait for room. */
  #wake: (() => void) | undefined
  #forget: (() => void) | undefined

  constructor(
    items: Items<unknown>,
    fn: Mapper<never, unknown>,
    options: ConcurrencyOptions<AnyPolicy>,
  ) {
    const { concurrency = 16, policy, signal, onProgress } = options
    this.slots = slotsOf(concurrency) ?? new Slots(concurrency as number)
    this.#items = items
    this.#fn = fn as Mapper<unknown, unknown>
    this.#policy = policy
    this.#signals = signalsOf(signal)
    this.#onProgress = onProgress
  }

  /** An item gave its result. */
  protected abstract succeeded(index: number, value: unknown): void
  /** An item failed. May stop the run. */
  protected abstract failed(index: number, error: unknown): void
  /** Every item has ended. */
  protected abstract finished(): void
  /** The run has stopped early, for `this.reason`. */
  protected abstract stopped(): void

  /** Whether one more may be started, as far as its taker is concerned. */
  protected hasRoom(): boolean {
    return true
  }

  /** A result that came after the end; nobody will get it. */
  protected late(_value: unknown): void {}

  begin(): void {
    if (this.#isCalledOff()) return
    try {
      this.#open()
    } catch (error) {
      return this.stop(error)
    }
    // What opens the input may abort.
    if (this.#isCalledOff()) return
    this.#forget = linkAll(this.#signals, (reason) => this.onAbort(reason))
    this.#recruit()
  }

  /** Starts nothing any more, tells whoever still runs, and lets go of everything. */
  stop(reason: unknown): void {
    if (this.over) return
    this.over = true
    this.reason = reason
    this.#letGo()
    if (!this.#exhausted) this.#close()
    this.stopped()
    this.#policySignal?.abort(reason)
    for (const item of this.#watched) item.end(reason)
    this.#watched.clear()
  }

  protected onAbort(reason: unknown): void {
    this.stop(reason)
  }

  /** There may be room again. */
  protected roomMade(): void {
    this.#wake?.()
  }

  protected get progress(): MapProgress {
    const { ended: done, failures: failed, running } = this
    return { done, failed, running, total: sizeOf(this.#items) }
  }

  /** An item whose signal was read wants to know of the end. */
  watch(item: Item): void {
    this.#watched.add(item)
  }

  #isCalledOff(): boolean {
    const signal = this.#signals.find(({ aborted }) => aborted)
    if (signal !== undefined) this.stop(signal.reason)
    return signal !== undefined
  }

  #open(): void {
    const items = this.#items as Partial<AsyncIterable<unknown> & Iterable<unknown>>
    const async = items?.[Symbol.asyncIterator]
    const open = async ?? items?.[Symbol.iterator]
    if (open === Array.prototype.values && Array.isArray(items)) {
      this.#list = items
      return
    }
    if (typeof open !== 'function') {
      throw new TypeError(`mapConcurrent: items must be iterable, but were ${show(items)}`)
    }
    this.#isAsync = async !== undefined && async !== null
    this.#source = (open as () => Iterator<unknown>).call(items)
  }

  async #recruit(): Promise<void> {
    while (this.#goesOn) {
      if (!this.hasRoom()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      // Read before a permit is taken: a slow input must not hold what others share.
      const first = this.#isAsync ? await this.#read() : NONE
      if (!this.#goesOn) return
      if (!this.slots.tryAcquire() && !(await this.#waitInLine())) return
      this.#lane(first)
    }
  }

  get #goesOn(): boolean {
    return !(this.over || this.#exhausted)
  }

  /** False if the place was given up meanwhile. */
  async #waitInLine(): Promise<boolean> {
    let place: Place | undefined
    const refusal = await new Promise<unknown>((resolve) => {
      place = new CalledPlace(() => resolve(undefined), resolve)
      this.#place = place
      this.slots.enqueue(place)
    })
    this.#place = undefined
    if (refusal === undefined) return place?.state === 'granted'
    this.slots.release()
    // A shared limiter that does not move: as long as lanes of its own hold slots, it waits for them.
    if (this.running > 0) return this.slots.tryAcquire() || this.#waitInLine()
    this.stop(refusal)
    return false
  }

  async #lane(first: unknown): Promise<void> {
    for (let value = first === NONE ? this.#take() : first; value !== NONE; value = this.#take()) {
      const item = new Item(this, this.started++)
      this.running++
      try {
        const result = await this.#call(value, item)
        this.#end(item)
        if (this.over) this.late(result)
        else this.succeeded(item.index, result)
      } catch (error) {
        this.#end(item)
        this.failures++
        if (!this.over) this.failed(item.index, error)
      }
      if (this.#onProgress !== undefined && !this.over) harmless(this.#onProgress, this.progress)
      if (this.#isAsync || this.slots.isWanted(this.#place === undefined ? 0 : 1)) break
    }
    this.slots.release()
    this.#lookDone()
  }

  #end(item: Item): void {
    this.running--
    this.ended++
    if (item.controller !== undefined) this.#watched.delete(item)
  }

  #call(value: unknown, item: Item): unknown {
    const policy = this.#policy
    if (policy === undefined) return this.#fn(value, item)
    this.#policySignal ??= new AbortController()
    const { signal } = this.#policySignal
    return policy.execute((inner) => this.#fn(value, new PolicyItem(item.index, inner, signal)), {
      signal,
      args: [value],
    })
  }

  /** The next item of an input that has it at once, or `NONE`. */
  #take(): unknown {
    if (this.over || this.#exhausted || !this.hasRoom()) return NONE
    try {
      const list = this.#list
      if (list === undefined) {
        const step = (this.#source as Iterator<unknown>).next()
        if (step.done !== true) return checked(step).value
      } else if (this.started < list.length) return list[this.started]
    } catch (error) {
      this.#broken(error)
      return NONE
    }
    this.#exhausted = true
    this.#leaveLine()
    return NONE
  }

  async #read(): Promise<unknown> {
    try {
      const step = await (this.#source as AsyncIterator<unknown>).next()
      if (step.done !== true) return checked(step).value
      this.#exhausted = true
      this.#lookDone()
    } catch (error) {
      this.#broken(error)
    }
    return NONE
  }

  /** An input that threw has closed itself. */
  #broken(error: unknown): void {
    this.#exhausted = true
    this.stop(error)
  }

  #lookDone(): void {
    if (this.over || !this.#exhausted || this.running > 0) return
    this.over = true
    this.#letGo()
    this.finished()
  }

  #letGo(): void {
    this.#forget?.()
    this.#leaveLine()
    this.#wake?.()
  }

  /** A permit that was granted and not yet taken is given back. */
  #leaveLine(): void {
    if (this.#place !== undefined) this.slots.abandon(this.#place)
  }

  /** Not awaited: an input may take for ever to close. */
  #close(): void {
    const source = this.#source
    try {
      quiet(source?.return?.())
    } catch {
      // What it stopped for is what the caller needs to hear.
    }
  }
}

/** As a loop of the language does: an iterator that answers no result would otherwise never end. */
function checked(step: IteratorResult<unknown>): IteratorResult<unknown> {
  if (typeof step === 'object' || typeof step === 'function') return step
  throw new TypeError(
    `mapConcurrent: next() of the items must give an object, but gave ${show(step)}`,
  )
}

function sizeOf(items: unknown): number | undefined {
  const { length, size } = items as { length?: unknown; size?: unknown }
  if (Array.isArray(items)) return length as number
  return items instanceof Set || items instanceof Map ? (size as number) : undefined
}
