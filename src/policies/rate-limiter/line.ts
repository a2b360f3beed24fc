/**
 * The line before a rate limit: by priority, first come first served within one, nobody overtakes. A place
 * knows how much has to pass before it.
 */
import type { RateLimitedError } from '../../core/load-errors.ts'
import { highestPriority, lowestPriority, type Ticket, WaitQueue } from '../../core/queue.ts'
import type { Waiting } from '../../core/step.ts'

/** What a place in line does when its call decides. */
export interface LineKeeper {
  join(place: PlaceInLine): void
  quit(place: PlaceInLine): void
}

export class PlaceInLine implements Waiting {
  readonly kind = 'waiting'
  readonly weight: number
  readonly priority: number
  state: 'new' | 'waiting' | 'granted' | 'gone' = 'new'
  /** When it joined. */
  since = 0
  /** When it was granted. */
  takenAt = 0
  ticket: Ticket | undefined = undefined
  readonly #keeper: LineKeeper
  #done: ((refusal?: RateLimitedError) => void) | undefined

  constructor(keeper: LineKeeper, weight: number, priority: number) {
    this.#keeper = keeper
    this.weight = weight
    this.priority = priority
  }

  begin(done: (refusal?: RateLimitedError) => void): void {
    this.#done = done
    this.#keeper.join(this)
  }

  cancel(): void {
    this.#keeper.quit(this)
  }

  grant(now: number): void {
    this.state = 'granted'
    this.takenAt = now
    this.#done?.()
  }

  refuse(error: RateLimitedError): void {
    this.state = 'gone'
    this.#done?.(error)
  }
}

export class Line {
  readonly #queue = new WaitQueue<PlaceInLine>()
  /** By priority. */
  readonly #weights = new Float64Array(highestPriority - lowestPriority + 1)

  get size(): number {
    return this.#queue.size
  }

  get first(): PlaceInLine | undefined {
    return this.#queue.peek()
  }

  get places(): Iterable<PlaceInLine> {
    return this.#queue
  }

  /** How much passes before somebody who joins with this priority. */
  weightAhead(priority: number): number {
    let sum = 0
    if (this.size === 0) return sum
    for (let index = priority - lowestPriority; index < this.#weights.length; index++) {
      sum += this.#weights[index] as number
    }
    return sum
  }

  push(place: PlaceInLine): void {
    place.state = 'waiting'
    place.ticket = this.#queue.push(place, place.priority)
    this.#add(place.priority, place.weight)
  }

  remove(place: PlaceInLine): void {
    if (place.ticket === undefined || !this.#queue.remove(place.ticket)) return
    this.#add(place.priority, -place.weight)
    // Sums of weights that are no whole numbers leave a remainder.
    if (this.size === 0) this.#weights.fill(0)
  }

  #add(priority: number, weight: number): void {
    const index = priority - lowestPriority
    this.#weights[index] = (this.#weights[index] as number) + weight
  }
}
