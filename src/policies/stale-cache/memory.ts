/**
 * The memory of a cache, bounded by number and bytes. Who has to go is found by SIEVE (Zhang et al., NSDI
 * 2024): a hit sets one bit, a hand walks from the oldest to the newest and takes the first without it.
 */
import { quiet } from '../../core/events.ts'
import type { Entry, Shelf } from './entry.ts'

interface Place {
  readonly key: string
  entry: Entry
  bytes: number
  /** Was served since the hand came by. */
  visited: boolean
  newer: Place | undefined
  older: Place | undefined
}

export class Memory implements Shelf {
  /** Values that had to make room, or were too large themselves. */
  evicted = 0
  bytes = 0
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #sizeOf: (value: unknown, most: number) => number
  readonly #places = new Map<string, Place>()
  #newest: Place | undefined = undefined
  #oldest: Place | undefined = undefined
  #hand: Place | undefined = undefined

  constructor(
    maxEntries: number,
    maxBytes: number,
    sizeOf: (value: unknown, most: number) => number,
  ) {
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.#sizeOf = sizeOf
  }

  get entries(): number {
    return this.#places.size
  }

  get(key: string): Entry | undefined {
    const place = this.#places.get(key)
    if (place === undefined) return undefined
    place.visited = true
    return place.entry
  }

  set(key: string, entry: Entry): void {
    const bytes = this.#measure(key, entry.value)
    const before = this.#places.get(key)
    // What it replaces is outdated, even if the new value finds no room.
    if (!(bytes <= this.#maxBytes)) {
      if (before !== undefined) this.#remove(before)
      this.evicted++
      return
    }
    if (before !== undefined) {
      this.bytes += bytes - before.bytes
      before.entry = entry
      before.bytes = bytes
      before.visited = true
      while (this.bytes > this.#maxBytes) this.#evict(before)
      return
    }
    while (this.#places.size >= this.#maxEntries || this.bytes + bytes > this.#maxBytes) {
      this.#evict(undefined)
    }
    const place = { key, entry, bytes, visited: false, newer: undefined, older: this.#newest }
    if (this.#newest !== undefined) this.#newest.newer = place
    this.#newest = place
    this.#oldest ??= place
    this.#places.set(key, place)
    this.bytes += bytes
  }

  delete(key: string): undefined {
    const place = this.#places.get(key)
    if (place !== undefined) this.#remove(place)
  }

  /** Takes the first that was not served since the hand came by; `spared` is the one to make room for. */
  #evict(spared: Place | undefined): void {
    let hand = this.#hand ?? this.#oldest
    while (hand !== undefined && (hand.visited || hand === spared)) {
      hand.visited = false
      hand = hand.newer ?? this.#oldest
    }
    if (hand === undefined) return
    this.#hand = hand.newer
    this.#remove(hand)
    this.evicted++
  }

  #remove(place: Place): void {
    const { newer, older } = place
    if (newer === undefined) this.#newest = older
    else newer.older = older
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (this.#hand === place) this.#hand = newer
    this.#places.delete(place.key)
    this.bytes -= place.bytes
  }

  /** A size that cannot be told is one that does not fit. */
  #measure(key: string, value: unknown): number {
    if (this.#maxBytes === Number.POSITIVE_INFINITY) return 0
    try {
      const bytes = quiet(this.#sizeOf(value, this.#maxBytes))
      return bytes >= 0 ? bytes + 2 * key.length : Number.NaN
    } catch {
      return Number.NaN
    }
  }
}
