/**
 * The slots of a limiter, and the line before them: first come, first served, and whoever changes their
 * mind leaves from the middle. Leaner than a semaphore with priorities: a limiter may have a line of
 * millions, of which each place is one small object.
 */
import { type Deferred, deferred } from '../../core/deferred.ts'
import { UNLIMITED } from '../../core/gate.ts'

/** One place in line. It brings its own links. */
export interface Place {
  state: 'new' | 'waiting' | 'granted' | 'gone'
  ahead: Place | undefined
  behind: Place | undefined
  /** Which place it is, counted from the first that was ever taken. */
  number: number

  /** Called once, when the slot has passed to whoever waits here. Must not throw. */
  granted(): void
  /** Called instead when it is refused, with a slot that must be given back like any other. Must not throw. */
  refused(error: unknown): void
}

/** A place that calls back. */
export class CalledPlace implements Place {
  state: Place['state'] = 'new'
  ahead: Place | undefined = undefined
  behind: Place | undefined = undefined
  number = 0
  readonly granted: () => void
  readonly refused: (error: unknown) => void

  constructor(granted: () => void, refused: (error: unknown) => void = nothing) {
    this.granted = granted
    this.refused = refused
  }
}

/** Without a guard nobody is ever refused. */
function nothing(): void {}

/** Whoever looks whether the line moves. */
export interface LineGuard {
  watch(): void
  rest(): void
}

export class Slots {
  /** As it was asked for: may be `Infinity`. */
  size: number
  running = 0
  queued = 0
  /** Slots that have passed to somebody in line, and places that were taken there, so far. */
  grants = 0
  places = 0
  guard: LineGuard | undefined
  #limit: number
  #first: Place | undefined
  #last: Place | undefined
  #idlers: Deferred<void>[] = []

  constructor(size: number) {
    this.size = size
    this.#limit = Math.min(size, UNLIMITED)
  }

  tryAcquire(): boolean {
    if (this.running >= this.#limit) return false
    this.running++
    return true
  }

  /** Whoever holds a slot should rather give it back than use it again: others wait, or there are too many. */
  isWanted(places: number): boolean {
    return this.queued > places || this.running > this.#limit
  }

  enqueue(place: Place): void {
    place.state = 'waiting'
    place.number = ++this.places
    place.ahead = this.#last
    if (this.#last === undefined) this.#first = place
    else this.#last.behind = place
    this.#last = place
    if (++this.queued === 1) this.guard?.watch()
  }

  /** Leaves the line, or gives the slot back if it has been granted meanwhile. Twice is harmless. */
  abandon(place: Place): void {
    const { state } = place
    place.state = 'gone'
    if (state === 'granted') this.release()
    else if (state === 'waiting') {
      this.#remove(place)
      this.#lookIdle()
    }
  }

  /**
   * Sends away those who took one of the first `places` places: each passes through a slot that is not
   * there, so that whoever waits has one way out.
   */
  refuse(places: number, error: () => unknown): void {
    for (let place = this.#first; place !== undefined && place.number <= places; ) {
      const { behind } = place
      this.#remove(place)
      place.state = 'gone'
      this.running++
      place.refused(error())
      place = behind
    }
  }

  /** Gives one slot back: to the first in line, if there is one. */
  release(): void {
    this.running--
    this.#serve()
    this.#lookIdle()
  }

  resize(size: number): void {
    this.size = size
    this.#limit = Math.min(size, UNLIMITED)
    this.#serve()
  }

  idle(): Promise<void> {
    const idler = deferred()
    this.#idlers.push(idler)
    this.#lookIdle()
    return idler.promise
  }

  #serve(): void {
    while (this.running < this.#limit) {
      const place = this.#first
      if (place === undefined) return
      this.#remove(place)
      this.running++
      this.grants++
      place.state = 'granted'
      place.granted()
    }
  }

  #remove(place: Place): void {
    const { ahead, behind } = place
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    place.ahead = undefined
    place.behind = undefined
    if (--this.queued === 0) this.guard?.rest()
  }

  #lookIdle(): void {
    if (this.#idlers.length === 0 || this.running > 0 || this.queued > 0) return
    const idlers = this.#idlers
    this.#idlers = []
    for (const { resolve } of idlers) resolve()
  }
}
