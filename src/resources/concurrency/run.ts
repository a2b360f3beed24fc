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
import { callUnder, Item, type Watcher } from './item.ts'
import { slotsOf } from './limiter.ts'
import type { AnyPolicy, ConcurrencyOptions, MapProgress, Mapper } from './options.ts'
import { Slots } from './slots.ts'
import { type Items, NONE, Source, sizeOf } from './source.ts'
import { Standing } from './standing.ts'

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
  #source: Source | undefined
  /** The input has no more. */
  #exhausted = false
  /** Of the recruiter, while it waits for a permit. */
  readonly #standing: Standing
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
    this.#standing = new Standing(this.slots)
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
      this.#source = new Source(this.#items)
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

  async #recruit(): Promise<void> {
    const { isAsync, list } = this.#source as Source
    while (this.#goesOn) {
      if (!this.hasRoom()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      // Read before a permit is taken: a slow input must not hold what others share.
      const first = isAsync ? await this.#read() : NONE
      if (!this.#goesOn) return
      if (!this.slots.tryAcquire() && !(await this.#waitInLine())) return
      if (list === undefined) this.#lane(first)
      else this.#listLane(list)
    }
  }

  get #goesOn(): boolean {
    return !(this.over || this.#exhausted)
  }

  /** False if the place was given up meanwhile. */
  async #waitInLine(): Promise<boolean> {
    const { granted, refusal } = await this.#standing.wait()
    if (refusal === undefined) return granted
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
        this.#landed(item, await this.#call(value, item))
      } catch (error) {
        this.#crashed(item, error)
      }
      this.#tell()
      if (this.#source?.isAsync || this.slots.isWanted(this.#standing.places)) break
    }
    this.#leave()
  }

  /** The same for an array, with a loop as plain as can be. */
  async #listLane(list: readonly unknown[]): Promise<void> {
    while (this.#hasNext(list)) {
      let value: unknown
      try {
        value = list[this.started]
      } catch (error) {
        this.#broken(error)
        break
      }
      const item = new Item(this, this.started++)
      this.running++
      try {
        const result = await this.#call(value, item)
        this.#landed(item, result)
      } catch (error) {
        this.#crashed(item, error)
      }
      this.#tell()
      if (this.slots.isWanted(this.#standing.places)) break
    }
    this.#leave()
  }

  #landed(item: Item, result: unknown): void {
    this.#end(item)
    if (this.over) this.late(result)
    else this.succeeded(item.index, result)
  }

  #crashed(item: Item, error: unknown): void {
    this.#end(item)
    this.failures++
    if (!this.over) this.failed(item.index, error)
  }

  #tell(): void {
    if (this.#onProgress !== undefined && !this.over) harmless(this.#onProgress, this.progress)
  }

  #leave(): void {
    this.slots.release()
    this.#lookDone()
  }

  #end(item: Item): void {
    this.running--
    this.ended++
    if (item.controller !== undefined) this.#watched.delete(item)
  }

  #call(value: unknown, item: Item): unknown {
    const fn = this.#fn
    if (this.#policy === undefined) return fn(value, item)
    this.#policySignal ??= new AbortController()
    return callUnder(this.#policy, fn, value, item.index, this.#policySignal.signal)
  }

  /** Whether an array has one more, and it may be started. */
  #hasNext(list: readonly unknown[]): boolean {
    if (!this.#goesOn || !this.hasRoom()) return false
    try {
      if (this.started < list.length) return true
    } catch (error) {
      this.#broken(error)
    }
    this.#exhaust()
    return false
  }

  /** The next item of an input that has it at once, or `NONE`. */
  #take(): unknown {
    if (!this.#goesOn || !this.hasRoom()) return NONE
    try {
      const value = (this.#source as Source).next()
      if (value === NONE) this.#exhaust()
      return value
    } catch (error) {
      this.#broken(error)
      return NONE
    }
  }

  async #read(): Promise<unknown> {
    try {
      const value = await (this.#source as Source).read()
      if (value !== NONE) return value
      this.#exhausted = true
      this.#lookDone()
    } catch (error) {
      this.#broken(error)
    }
    return NONE
  }

  #exhaust(): void {
    this.#exhausted = true
    this.#standing.leave()
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
    this.#standing.leave()
    this.#wake?.()
  }

  /** Not awaited: an input may take for ever to close. */
  #close(): void {
    try {
      quiet(this.#source?.close())
    } catch {
      // What it stopped for is what the caller needs to hear.
    }
  }
}
