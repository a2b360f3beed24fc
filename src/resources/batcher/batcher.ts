/**
 * Many loads, one call: what is asked for in the same moment is asked for together.
 */
import { linkAll } from '../../core/abort.ts'
import { ambient } from '../../core/ambient.ts'
import { checkOption, fn, readOptions, show } from '../../core/options.ts'
import { stackless } from '../../core/stackless.ts'
import type { Batch } from './batch.ts'
import { type AnswerCache, Entry } from './cache.ts'
import {
  type Batcher,
  type BatcherOptions,
  type BatcherStats,
  batcherChecks,
  type CacheOptions,
  cacheChecks,
  type LoadMany,
  type LoadOptions,
  loadChecks,
  signalsFrom,
} from './contract.ts'
import { Dispatcher } from './dispatcher.ts'
import { BatcherClosedError } from './errors.ts'
import { Group } from './group.ts'

/**
 * Collects the keys that are asked for one by one, and loads them with one call of `loadMany`.
 *
 * A batch goes when it is full, when its first key has waited `maxWait`, at the end of the turn of the
 * event loop with `maxWait: 0`, or at `flush()`. The same key is sent once per batch, and with a cache
 * once altogether. Answers come by position or by key; an `Error` among them is the failure of its key
 * alone. An answer that does not fit is a `TypeError` for its batch, and the next batch works. Errors are
 * never remembered. Whoever aborts is taken out of the batch, or, once it is sent, just no longer waits;
 * the batch's signal is aborted when all have gone. The batch function runs in the AsyncLocalStorage
 * context of the load that opened the batch.
 *
 * **Use it** where the other side takes a list: `WHERE id = ANY($1)`, `MGET`, a bulk endpoint; with
 * `dedupe: false` for commands.
 * **Not for** calls that only look alike: it loads, or writes, a list.
 *
 * **Watch out:** a batch function that never answers keeps its callers waiting; put `timeout` in `policy`.
 * A cache that outlives a request serves everybody: make one per request, or give it a `ttl`.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { batcher } from 'holdfast'
 *
 * const calls: number[][] = []
 * const names = batcher(async (ids: readonly number[]) => {
 *   calls.push([...ids])
 *   return ids.map((id) => `name ${id}`)
 * })
 * await Promise.all([names.load(1), names.load(2), names.load(1)])
 * // => ['name 1', 'name 2', 'name 1']
 * calls // => [[1, 2]]
 * ```
 */
export function batcher<K, V>(
  loadMany: LoadMany<K, V>,
  options: BatcherOptions<K, V> = {},
): Batcher<K, V> {
  checkOption('batcher', 'loadMany', loadMany, fn)
  const given = readOptions('batcher', options as BatcherOptions, batcherChecks)
  const cache = given.cache === true ? {} : given.cache || undefined
  if (cache !== undefined && given.dedupe === false) {
    throw new TypeError('batcher: cache needs dedupe; commands are sent each time')
  }
  const kept = cache && readOptions('batcher: cache', cache, cacheChecks)
  return new KeyBatcher(loadMany as never, given, kept) as unknown as Batcher<K, V>
}

class KeyBatcher extends Dispatcher implements Batcher<unknown, unknown> {
  readonly #maxBatchSize: number
  readonly #maxQueue: number
  #closed: Promise<void> | undefined
  /** Neither the cache nor the batch is asked whether a key is known already. */
  readonly #isPlain: boolean
  /** The cache, if it knows its answers by the keys themselves and may be asked. */
  #known: AnswerCache | undefined
  /** Keys that a batch takes without another look: it is neither full then, nor the queue; 0 unless plain. */
  #room = 0
  /** Where the last load went. */
  #into: Batch | undefined
  #at = 0
  #loads = 0
  /** Loads that found their answer there. */
  #found = 0

  constructor(
    loadMany: LoadMany<unknown, unknown>,
    options: BatcherOptions,
    cache: CacheOptions | undefined,
  ) {
    super(loadMany, options, cache)
    this.#maxBatchSize = options.maxBatchSize ?? 1000
    this.#maxQueue = options.maxQueue ?? 100_000
    this.#isPlain = this.cache === undefined && this.idOf === undefined
    this.#known = this.idOf === undefined ? this.cache : undefined
  }

  load(key: unknown, options?: LoadOptions): Promise<unknown> {
    if (options !== undefined || ambient.source !== undefined) return this.#loadWith(key, options)
    const { open } = this
    if (open !== undefined && open.keys.length < this.#room) {
      // The load that is made most often: one more key for a batch that fills.
      this.#loads++
      this.queued++
      return open.take(key)
    }
    // What a cache is for: an answer that is there.
    const known = this.#known?.get(key)?.promise
    if (known !== undefined) {
      this.#found++
      return known
    }
    return this.#loadAnyhow(key)
  }

  async loadMany(keys: readonly unknown[], options?: LoadOptions): Promise<unknown[]> {
    if (!Array.isArray(keys)) {
      throw new TypeError(`batcher "${this.name}": keys must be an array, but were ${show(keys)}`)
    }
    const signals = signalsFrom(options)
    this.#checkOpen(keys.length)
    const group = new Group(keys.length)
    try {
      this.#join(keys, group)
    } catch (error) {
      // All or nothing: what stood before the key that failed is not sent for somebody who has gone.
      group.leave()
      throw error
    }
    return new Promise((resolve, reject) => {
      if (signals.length === 0) return group.whenWhole(resolve)
      const forget = linkAll(signals, (reason) => {
        group.leave()
        reject(reason)
      })
      group.whenWhole((values) => {
        forget()
        resolve(values)
      })
    })
  }

  prime(key: unknown, value: unknown): void {
    if (this.cache === undefined) {
      throw new TypeError(`batcher "${this.name}": prime needs a cache (cache: true)`)
    }
    if (value instanceof Error) {
      throw new TypeError(`batcher "${this.name}": errors are not remembered`)
    }
    this.cache.prime(this.idOf === undefined ? key : this.idOf(key), value)
  }

  async close(options?: LoadOptions): Promise<void> {
    const { signal } = readOptions('batcher', options, loadChecks)
    this.#room = 0
    this.#known = undefined
    this.#closed ??= this.flush()
    if (signal === undefined) return this.#closed
    const drop = (): void => this.dropAll(signal.reason)
    if (signal.aborted) drop()
    else {
      const forget = linkAll([signal], drop)
      await this.#closed
      forget()
    }
  }

  stats(): BatcherStats {
    return {
      name: this.name,
      loads: this.#loads + this.#found,
      hits: this.hits + this.#found,
      batches: this.batchesSent,
      keys: this.keysSent,
      failed: this.failed,
      queued: this.queued,
      running: this.slots.running,
      cached: this.cache?.size ?? 0,
    }
  }

  /** Afterwards `#into` and `#at` say where the key went, unless the answer is known. */
  #loadAnyhow(key: unknown): Promise<unknown> {
    this.#into = undefined
    try {
      this.#checkOpen(1)
      const known = this.#find(key)
      if (known === undefined) return (this.#into as unknown as Batch).promiseOf(this.#at)
      known.promise ??= Promise.resolve(known.value)
      return known.promise
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #loadWith(key: unknown, options: LoadOptions | undefined): Promise<unknown> {
    const signals = signalsFrom(options)
    if (signals.length === 0) return this.#loadAnyhow(key)
    const value = this.#loadAnyhow(key)
    const [batch, at] = [this.#into, this.#at]
    if (batch === undefined) return value
    return new Promise((resolve, reject) => {
      const forget = linkAll(signals, (reason) => {
        batch.leave(at)
        reject(reason)
      })
      const end = (settle: (result: unknown) => void) => (result: unknown) => {
        forget()
        settle(result)
      }
      value.then(end(resolve), end(reject))
    })
  }

  #join(keys: readonly unknown[], group: Group): void {
    for (let target = 0; target < keys.length; target++) {
      const { open } = this
      if (open !== undefined && open.keys.length < this.#room) {
        // As in `load`, and as many at a time as there is room for.
        const length = Math.min(keys.length - target, this.#room - open.keys.length)
        group.expect(target, open, open.takeMany(keys, target, length), length)
        this.queued += length
        target += length - 1
        continue
      }
      const known = this.#find(keys[target])
      if (known === undefined) group.expect(target, this.#into as Batch, this.#at, 1)
      else group.values[target] = known.value
    }
  }

  #checkOpen(count: number): void {
    if (this.#closed !== undefined) throw stackless(() => new BatcherClosedError(this.name))
    this.#loads += count
    if (count > 1 && this.queued + count > this.#maxQueue) throw this.full(this.#maxQueue)
  }

  /** The answer if it is known; otherwise `#into` and `#at` say where it will be. */
  #find(key: unknown): Entry | undefined {
    const id = this.idOf === undefined ? key : this.idOf(key)
    if (this.cache !== undefined) {
      const entry = this.cache.get(id)
      if (entry !== undefined) {
        this.hits++
        if (entry.batch === undefined) return entry
        this.#share(entry.batch as Batch, entry.position)
        return undefined
      }
    } else if (this.open !== undefined) {
      const position = this.open.find(id)
      if (position !== undefined) {
        this.hits++
        this.#share(this.open, position)
        return undefined
      }
    }
    this.#add(key, id)
    return undefined
  }

  #share(batch: Batch, position: number): void {
    batch.share(position)
    this.#into = batch
    this.#at = position
  }

  #add(key: unknown, id: unknown): void {
    if (this.queued >= this.#maxQueue) throw this.full(this.#maxQueue)
    const batch = this.open ?? this.begin()
    const position = batch.add(key, id)
    this.queued++
    this.#into = batch
    this.#at = position
    if (this.cache !== undefined) {
      const entry = new Entry(batch, position)
      batch.entries[position] = entry
      this.cache.expect(id, entry)
    }
    // The queue may be shorter than what waits in this batch and others may join.
    if (this.#isPlain) {
      this.#room = Math.min(this.#maxBatchSize - 1, position + this.#maxQueue - this.queued)
    }
    if (position + 1 < this.#maxBatchSize) return
    if (this.dedupes && !batch.isFull(this.#maxBatchSize)) return
    this.open = undefined
    this.due(batch)
  }
}
