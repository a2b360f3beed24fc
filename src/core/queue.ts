/**
 * A waiting line: highest priority first, first come first served within one priority.
 * Joining, serving and leaving from the middle all cost the same, however long the line is.
 * One linked list per priority; a bit mask says which of them are not empty.
 */

/** A place in a {@link WaitQueue}, by which its holder can leave the line. */
export interface Ticket {
  /** The priority it waits with. */
  readonly priority: number
}

/** Lowest and highest priority a value can wait with. The larger number is served first. */
export const lowestPriority = -10
export const highestPriority = 10

/** See the head of this file. A value that has left, by any way, is no longer held. */
export class WaitQueue<T> {
  readonly #lines: (Line<T> | undefined)[] = Array.from({ length: lineCount })
  #waiting = 0
  #size = 0

  /** How many values wait. */
  get size(): number {
    return this.#size
  }

  /**
   * Joins the end of the line of its priority.
   *
   * @param priority - A whole number from -10 to 10, 0 by default; larger is served first.
   * @throws RangeError if the priority is anything else; the queue is unchanged.
   */
  push(value: T, priority = 0): Ticket {
    if (
      !(Number.isInteger(priority) && priority >= lowestPriority && priority <= highestPriority)
    ) {
      throw new RangeError(
        `queue: priority must be a whole number from ${lowestPriority} to ${highestPriority}, ` +
          `but was ${String(priority)}`,
      )
    }
    return this.join(new Place(value, priority))
  }

  /** As `push`, for a value that is a place in itself: it waits nowhere yet, with a priority that is right. */
  join(place: Place<T>): Place<T> {
    const index = place.priority - lowestPriority
    let line = this.#lines[index]
    if (line === undefined) {
      line = { owner: this, index, first: undefined, last: undefined }
      this.#lines[index] = line
    }
    place.line = line
    place.ahead = line.last
    if (line.last === undefined) line.first = place
    else line.last.behind = place
    line.last = place
    this.#waiting |= 1 << index
    this.#size++
    return place
  }

  /** Serves the next value: takes it out and returns it. */
  shift(): T | undefined {
    const next = this.#next()
    if (next === undefined) return undefined
    const value = next.value
    this.remove(next)
    return value
  }

  /** The value that would be served next; it keeps its place. */
  peek(): T | undefined {
    return this.#next()?.value
  }

  /** Leaves the line. False if the ticket no longer waits here: served, removed, or of another queue. */
  remove(ticket: Ticket): boolean {
    const place = ticket as Place<T>
    const line = place.line
    if (line?.owner !== this) return false
    if (place.ahead === undefined) line.first = place.behind
    else place.ahead.behind = place.behind
    if (place.behind === undefined) line.last = place.ahead
    else place.behind.ahead = place.ahead
    if (line.first === undefined) this.#waiting &= ~(1 << line.index)
    this.#size--
    // Whoever keeps the ticket must not keep the value, nor its former neighbours.
    place.value = undefined
    place.line = undefined
    place.ahead = undefined
    place.behind = undefined
    return true
  }

  /** Sends everybody away and returns the values in the order in which they would have been served. */
  clear(): T[] {
    const values: T[] = []
    while (this.#size > 0) values.push(this.shift() as T)
    return values
  }

  /** The values in the order in which they would be served, as of now; nobody leaves. */
  [Symbol.iterator](): IterableIterator<T> {
    const values: T[] = []
    for (const line of this.#lines.toReversed()) {
      for (let place = line?.first; place !== undefined; place = place.behind) {
        values.push(place.value as T)
      }
    }
    return values[Symbol.iterator]()
  }

  #next(): Place<T> | undefined {
    // With an empty mask this is index -1, which no line has.
    return this.#lines[31 - Math.clz32(this.#waiting)]?.first
  }
}

const lineCount = highestPriority - lowestPriority + 1

interface Line<T> {
  readonly owner: WaitQueue<T>
  readonly index: number
  first: Place<T> | undefined
  last: Place<T> | undefined
}

/** A place in line, and what waits there. */
export class Place<T> implements Ticket {
  readonly priority: number
  /** @internal */
  value: T | undefined
  /** @internal */
  line: Line<T> | undefined = undefined
  /** @internal */
  ahead: Place<T> | undefined = undefined
  /** @internal */
  behind: Place<T> | undefined = undefined

  constructor(value: T | undefined, priority: number) {
    this.value = value
    this.priority = priority
  }
}
