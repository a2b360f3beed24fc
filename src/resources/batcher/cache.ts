/**
 * Answers by key: bounded, and good for so long. Who is asked for again survives when room is needed
 * (the second chance of CLOCK, Corbató 1968), so a hit costs one look-up and moves nothing.
 */
import { type Clock, systemClock } from '../../core/clock.ts'
import { pulseOf } from '../../core/pulse.ts'

/** What is known of a key: its answer, or the batch that will bring it. */
export class Entry {
  // First what a hit reads, so that it is one line of the processor's cache.
  /** Of the value, made when first asked for. */
  promise: Promise<unknown> | undefined = undefined
  used = false
  value: unknown = undefined
  /** The batch and the position in it, until it is answered. */
  batch: unknown
  position: number
  expires: number = Number.POSITIVE_INFINITY

  constructor(batch: unknown, position: number) {
    this.batch = batch
    this.position = position
  }
}

export class AnswerCache {
  readonly #entries = new Map<unknown, Entry>()
  readonly #maxSize: number
  readonly #ttl: number
  /** Answers grow too old. */
  readonly #ages: boolean
  readonly #clock: Clock
  #answered = 0

  constructor(
    maxSize = 10_000,
    ttl: number = Number.POSITIVE_INFINITY,
    clock: Clock = systemClock,
  ) {
    this.#maxSize = maxSize
    this.#ttl = ttl
    this.#ages = ttl !== Number.POSITIVE_INFINITY
    this.#clock = clock
  }

  /** Answers in it; those that are awaited do not count. */
  get size(): number {
    return this.#answered
  }

  /** What is known of `id`, unless it is too old. */
  get(id: unknown): Entry | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    if (this.#ages && entry.expires <= this.#now()) {
      this.delete(id)
      return undefined
    }
    // Written once: who is asked for often is only read.
    if (!entry.used) entry.used = true
    return entry
  }

  /** Notes that the answer is awaited. */
  expect(id: unknown, entry: Entry): void {
    this.#entries.set(id, entry)
  }

  /** The answer has come; it is kept unless somebody cleared or primed the key meanwhile. */
  answer(id: unknown, entry: Entry, value: unknown): void {
    entry.batch = undefined
    entry.value = value
    if (this.#entries.get(id) !== entry) return
    if (this.#ages) entry.expires = this.#now() + this.#ttl
    entry.used = false
    if (++this.#answered > this.#maxSize) this.#makeRoom()
  }

  /** The answer will not come. */
  drop(id: unknown, entry: Entry): void {
    if (this.#entries.get(id) === entry) this.#entries.delete(id)
  }

  prime(id: unknown, value: unknown): void {
    this.delete(id)
    const entry = new Entry(undefined, 0)
    this.#entries.set(id, entry)
    this.answer(id, entry, value)
  }

  delete(id: unknown): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    if (entry.batch === undefined) this.#answered--
    this.#entries.delete(id)
  }

  clear(): void {
    this.#entries.clear()
    this.#answered = 0
  }

  /** Drops one answer. Whoever was used since the last round, or is awaited, goes to the end. */
  #makeRoom(): void {
    for (const [id, entry] of this.#entries) {
      this.#entries.delete(id)
      if (entry.batch === undefined && !entry.used) {
        this.#answered--
        return
      }
      entry.used = false
      this.#entries.set(id, entry)
    }
  }

  #now(): number {
    return pulseOf(this.#clock).now()
  }
}
