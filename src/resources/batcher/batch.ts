/**
 * One batch from its first key to its last answer: who waits for which position, and who is told what.
 *
 * A single load has a promise of its own, handed out with the others; a `loadMany` has one for all its keys
 * and only remembers where they went, in runs, so that a thousand keys cost little more than the batch itself.
 */
import type { Timer } from '../../core/clock.ts'
import { type Deferred, deferred } from '../../core/deferred.ts'
import { describeError } from '../../core/errors.ts'
import type { Place } from '../concurrency/slots.ts'
import type { Entry } from './cache.ts'
import type { BatchContext } from './contract.ts'
import { Handout } from './handout.ts'

/** What a batch tells its owner. */
export interface Owner {
  /** Nobody waits for this position any more, and it has not been sent. */
  forget(batch: Batch, position: number): void
  /** Nobody waits for anything in this batch any more. */
  deserted(batch: Batch): void
}

/** Those who wait for many positions at once. */
export interface Part {
  /** The answers, by position. */
  fill(values: readonly unknown[]): void
  /** The same for every position. */
  fillWith(error: Error): void
}

export class Batch {
  keys: unknown[] = []
  /** By position, with a cache. */
  readonly entries: (Entry | undefined)[] = []
  /** Filling, told to go, sent, over. */
  state: 'open' | 'due' | 'sent' | 'over' = 'open'
  timer: Timer | undefined = undefined
  place: Place | undefined = undefined
  go: () => void = nothing
  /** Position by id, from when it would be full if there were no key twice. */
  #positions: Map<unknown, number> | undefined
  /** So many keys are known to differ. */
  #different = 0
  readonly #owner: Owner
  /** Where keys are known by something else. */
  readonly #ids: unknown[] | undefined
  /** Where nobody waits any more; and how many wait, where it is more than one. */
  #gone: Set<number> | undefined
  #sharers: Map<number, number> | undefined
  #handout: Handout | undefined
  #parts: Part[] = []
  #controller: AbortController | undefined
  #over: Deferred<void> | undefined

  constructor(owner: Owner, hasIds: boolean) {
    this.#owner = owner
    this.#ids = hasIds ? [] : undefined
  }

  /** What the keys are known by. */
  get ids(): readonly unknown[] {
    return this.#ids ?? this.keys
  }

  /** Positions that somebody waits for. */
  get live(): number {
    return this.keys.length - (this.#gone?.size ?? 0)
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  get context(): BatchContext {
    return new LazyContext(this)
  }

  /** Takes a key in, for one who waits; its position. */
  add(key: unknown, id: unknown): number {
    const position = this.keys.push(key) - 1
    this.#ids?.push(id)
    this.#positions?.set(id, position)
    return position
  }

  /** As `add` and `promiseOf`, for a key that is its own id. */
  take(key: unknown): Promise<unknown> {
    return this.promiseOf(this.keys.push(key) - 1)
  }

  /** Takes `length` keys in, which are their own ids; the position of the first. */
  takeMany(keys: readonly unknown[], from: number, length: number): number {
    const position = this.keys.length
    const some = keys.slice(from, from + length)
    // As a whole, unless the many that are here would be copied for a few, or the list may have holes.
    if (position <= length && !some.includes(undefined)) this.keys = this.keys.concat(some)
    else for (let at = from; at < from + length; at++) this.keys.push(keys[at])
    return position
  }

  /** Where the key is already, if that is known: it is looked for when the batch is sent, or nearly full. */
  find(id: unknown): number | undefined {
    return this.#positions?.get(id)
  }

  /** Whether there are `size` different keys. What comes twice is found from now on as it comes. */
  isFull(size: number): boolean {
    if (this.#positions === undefined) {
      if (this.#isPlain) return true
      this.#positions = new Map()
      for (const [position, id] of this.ids.entries()) {
        if (!this.#positions.has(id) && !this.#gone?.has(position))
          this.#positions.set(id, position)
      }
    }
    return this.#positions.size >= size
  }

  /** Somebody waits for every key, and none is there twice. */
  get #isPlain(): boolean {
    const { length } = this.keys
    if (this.live !== length) return false
    if (this.#different !== length && !allDiffer(this.ids)) return false
    this.#different = length
    return true
  }

  /** One more waits for the key at `position`. */
  share(position: number): void {
    if (this.#gone?.delete(position)) return
    this.#sharers ??= new Map()
    this.#sharers.set(position, (this.#sharers.get(position) ?? 1) + 1)
  }

  /** One less does, and nobody else is touched. */
  leave(position: number): void {
    if (this.state === 'over') return
    const sharers = this.#sharers?.get(position) ?? 1
    if (sharers > 1) {
      this.#sharers?.set(position, sharers - 1)
      return
    }
    this.#gone ??= new Set()
    this.#gone.add(position)
    if (this.state !== 'sent') {
      // Made anew when it is needed: the same key may stand at another position too.
      this.#positions = undefined
      this.#owner.forget(this, position)
    }
    if (this.live === 0) this.#owner.deserted(this)
  }

  /** A promise of the value at `position`. */
  promiseOf(position: number): Promise<unknown> {
    this.#handout ??= new Handout()
    return this.#handout.promiseOf(position)
  }

  attach(part: Part): void {
    this.#parts.push(part)
  }

  /** What is sent: each key that somebody waits for, once if `dedupes`. */
  pack(dedupes: boolean): Parcel {
    const { keys, ids } = this
    const isPlain = dedupes ? this.#isPlain : this.live === keys.length
    if (isPlain) return { keys, index: undefined }
    const wanted: unknown[] = []
    const known = new Map<unknown, number>()
    const index = keys.map((key, position) => {
      if (this.#gone?.has(position)) return -1
      const id = ids[position]
      const at = dedupes ? known.get(id) : undefined
      if (at !== undefined) return at
      known.set(id, wanted.length)
      return wanted.push(key) - 1
    })
    return { keys: wanted, index }
  }

  /** Hands out the answers, by position. */
  settle(values: readonly unknown[]): void {
    if (this.state === 'over') return
    this.#handout?.give(values)
    for (const part of this.#parts) part.fill(values)
    this.end()
  }

  /** Tells everybody the same. */
  fail(error: unknown): void {
    if (this.state === 'over') return
    this.#handout?.fail(error)
    const shown = error instanceof Error ? error : new Error(describeError(error), { cause: error })
    for (const part of this.#parts) part.fillWith(shown)
    this.end()
  }

  abort(reason: unknown): void {
    this.#controller?.abort(reason)
  }

  end(): void {
    this.state = 'over'
    this.timer?.cancel()
    this.#handout = undefined
    this.#parts = []
    this.#over?.resolve()
  }

  get isOver(): Promise<void> {
    this.#over ??= deferred()
    return this.#over.promise
  }
}

/** The keys that are sent, and where among them each position is; undefined: at its own. */
export interface Parcel {
  readonly keys: readonly unknown[]
  readonly index: readonly number[] | undefined
}

class LazyContext implements BatchContext {
  readonly #batch: Batch

  constructor(batch: Batch) {
    this.#batch = batch
  }

  get signal(): AbortSignal {
    return this.#batch.signal
  }
}

function nothing(): void {}

/** Numbers that only rise, as from a sorted list, need no set. */
function allDiffer(ids: readonly unknown[]): boolean {
  let last = Number.NEGATIVE_INFINITY
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at]
    if (typeof id !== 'number' || !(id > last)) return new Set(ids).size === ids.length
    last = id
  }
  return true
}
