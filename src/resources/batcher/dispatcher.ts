/**
 * The way of a batch: when it goes, how it is answered, and what is remembered of it.
 */
import { outside } from '../../core/ambient.ts'
import { type Clock, nextTurn, systemClock } from '../../core/clock.ts'
import { Emitter, type HoldfastEvent, type Listener } from '../../core/events.ts'
import { capture, resolveNew } from '../../core/handles.ts'
import { stackless } from '../../core/stackless.ts'
import { CalledPlace, Slots } from '../concurrency/slots.ts'
import { checkOrder, readAnswers } from './answers.ts'
import { Batch, type Owner } from './batch.ts'
import { AnswerCache } from './cache.ts'
import type { BatchContext, BatcherOptions, CacheOptions, LoadMany } from './contract.ts'
import { BatcherFullError } from './errors.ts'

export abstract class Dispatcher implements Owner {
  readonly name: string
  protected readonly clock: Clock
  protected readonly idOf: ((key: unknown) => unknown) | undefined
  protected readonly dedupes: boolean
  protected readonly cache: AnswerCache | undefined
  protected readonly slots: Slots
  protected readonly emitter: Emitter = new Emitter()
  /** Batches that are not over. */
  protected readonly active: Set<Batch> = new Set()
  /** The batch that fills. */
  protected open: Batch | undefined
  protected queued = 0
  protected batchesSent = 0
  protected keysSent = 0
  protected failed = 0
  protected hits = 0
  /** The end of this turn is awaited. */
  #awaitsTurn = false
  readonly #loadMany: LoadMany<unknown, unknown>
  readonly #options: BatcherOptions

  constructor(
    loadMany: LoadMany<unknown, unknown>,
    options: BatcherOptions,
    cache: CacheOptions | undefined,
  ) {
    this.#loadMany = loadMany
    this.#options = options
    this.name = options.name ?? 'batcher'
    this.clock = options.clock ?? systemClock
    this.idOf = options.key as ((key: unknown) => unknown) | undefined
    this.dedupes = options.dedupe ?? true
    this.cache = cache && new AnswerCache(cache.maxSize, cache.ttl, this.clock)
    this.slots = new Slots(options.maxConcurrentBatches ?? Number.POSITIVE_INFINITY)
  }

  clear(key: unknown): void {
    this.cache?.delete(this.idOf === undefined ? key : this.idOf(key))
  }

  clearAll(): void {
    this.cache?.clear()
  }

  async flush(): Promise<void> {
    if (this.open !== undefined) this.due(this.open)
    await Promise.all([...this.active].map((batch) => batch.isOver))
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    return this.emitter.subscribe(listener)
  }

  forget(batch: Batch, position: number): void {
    const id = batch.ids[position]
    const entry = batch.entries[position]
    this.queued--
    if (entry !== undefined) this.cache?.drop(id, entry)
  }

  deserted(batch: Batch): void {
    if (batch.state === 'sent') {
      this.#dropEntries(batch)
      batch.abort(AbortSignal.abort().reason)
    } else this.#discard(batch)
  }

  protected begin(): Batch {
    const batch = new Batch(this, this.idOf !== undefined)
    this.open = batch
    this.active.add(batch)
    // Attached here, so that the batch runs in the context of whoever opened it.
    const told = new Promise(capture)
    batch.go = resolveNew as () => void
    told.then(() => this.#send(batch))
    const { maxWait = 0 } = this.#options
    if (maxWait === 0) this.#goAtTurnEnd()
    else batch.timer = this.clock.setTimer(() => this.due(batch), maxWait)
    return batch
  }

  /** One for all batches of a turn: full ones go before it ends, and nothing must hold on to them. */
  #goAtTurnEnd(): void {
    if (this.#awaitsTurn) return
    this.#awaitsTurn = true
    nextTurn(this.#turnEnded)
  }

  readonly #turnEnded = (): void => {
    this.#awaitsTurn = false
    if (this.open !== undefined) this.due(this.open)
  }

  protected full(maxQueue: number): BatcherFullError {
    const error = stackless(() => new BatcherFullError(this.name, this.queued, maxQueue))
    if (this.emitter.observed) {
      const { name: policy } = this
      const at = this.clock.now()
      this.emitter.emit({ type: 'reject', policy, pipeline: policy, at, error })
    }
    return error
  }

  /** Its time has come: it goes, or waits for a batch before it to end, and may fill up meanwhile. */
  protected due(batch: Batch): void {
    if (batch.state !== 'open') return
    batch.state = 'due'
    batch.timer?.cancel()
    const go = (): void => {
      if (this.open === batch) this.open = undefined
      batch.go()
    }
    if (this.slots.tryAcquire()) go()
    else {
      batch.place = new CalledPlace(go)
      this.slots.enqueue(batch.place)
    }
  }

  async #send(batch: Batch): Promise<void> {
    // Everybody left between its being told and its going.
    if (batch.state === 'over') return this.slots.release()
    batch.state = 'sent'
    batch.place = undefined
    const { keys, index } = batch.pack(this.dedupes)
    this.queued -= batch.live
    this.hits += batch.live - keys.length
    this.batchesSent++
    this.keysSent += keys.length
    const began = this.emitter.observed ? this.clock.now() : 0
    let failure: { readonly error: unknown } | undefined
    try {
      const answers = await outside(() => this.#call(keys, batch))
      const { name } = this
      const { missing } = this.#options
      const byPosition = !this.dedupes
      const given = readAnswers(answers, { name, keys, byPosition, idOf: this.idOf, missing })
      const values = index === undefined ? given : index.map((at) => given[at])
      this.#remember(batch, values)
      batch.settle(values)
    } catch (error) {
      failure = { error }
      this.failed++
      this.#fail(batch, error)
    }
    this.active.delete(batch)
    this.slots.release()
    if (!this.emitter.observed) return
    const at = this.clock.now()
    const duration = Math.max(0, at - began)
    const size = keys.length
    this.emitter.emit({ type: 'batch', policy: this.name, at, size, duration, ...failure })
  }

  #call(keys: readonly unknown[], batch: Batch): unknown {
    const { policy } = this.#options
    if (policy === undefined) return this.#ask(keys, batch.context)
    const { signal } = batch
    const call = (inner?: { readonly signal?: AbortSignal | undefined }): unknown =>
      this.#ask(keys, { signal: inner?.signal ?? signal })
    return policy.execute(call, { signal, args: [keys.slice()] })
  }

  /** With keys of its own at each try: what it does to them must lead no answer to a wrong key. */
  async #ask(keys: readonly unknown[], context: BatchContext): Promise<unknown> {
    const own = keys.slice()
    const answers = await this.#loadMany(own, context)
    if (Array.isArray(answers)) checkOrder(this.name, keys, own)
    return answers
  }

  #remember(batch: Batch, values: readonly unknown[]): void {
    const { cache } = this
    if (cache === undefined || batch.state === 'over') return
    for (const [position, entry] of batch.entries.entries()) {
      if (entry === undefined) continue
      const value = values[position]
      if (value instanceof Error) cache.drop(batch.ids[position], entry)
      else cache.answer(batch.ids[position], entry, value)
    }
  }

  #fail(batch: Batch, error: unknown): void {
    this.#dropEntries(batch)
    batch.fail(error)
  }

  #dropEntries(batch: Batch): void {
    for (const [position, entry] of batch.entries.entries()) {
      if (entry !== undefined) this.cache?.drop(batch.ids[position], entry)
    }
  }

  /** Gives up a batch that nobody waits for. If it was sent, its place is free when its work has ended. */
  #discard(batch: Batch): void {
    this.active.delete(batch)
    if (this.open === batch) this.open = undefined
    // Once it has been told to go, it gives its place back when it does.
    if (batch.place?.state === 'waiting') this.slots.abandon(batch.place)
    batch.end()
  }

  /** Rejects all that is left with `reason`. */
  protected dropAll(reason: unknown): void {
    for (const batch of [...this.active]) {
      if (batch.state !== 'sent') this.queued -= batch.live
      this.#fail(batch, reason)
      this.#discard(batch)
      batch.abort(reason)
    }
  }
}
