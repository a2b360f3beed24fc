/**
 * The least code that lets so many calls run at a time, keeps the others in line, and calls each in the
 * async context of its own caller, written by hand: one promise to wait for the turn, a place that could
 * be left, and two promises that follow the call. No limit of the line or of the wait, nothing counted,
 * nothing observed.
 */
import { executor, reject, resolve } from './handles.js'

class Place {
  /**
   * @param {() => void} granted
   * @param {(error: unknown) => void} refused
   */
  constructor(granted, refused) {
    this.granted = granted
    this.refused = refused
    /** @type {Place | undefined} */
    this.ahead = undefined
    /** @type {Place | undefined} */
    this.behind = undefined
  }
}

export class LineFloor {
  #running = 0
  /** @type {Place | undefined} */
  #first
  /** @type {Place | undefined} */
  #last
  #limit

  /** @param {number} limit */
  constructor(limit) {
    this.#limit = limit
  }

  /** @param {() => Promise<unknown>} fn */
  run(fn) {
    if (this.#running < this.#limit) {
      this.#running++
      return fn().then(this.#succeeded, this.#failed)
    }
    const turn = new Promise(executor)
    const place = new Place(resolve, reject)
    place.ahead = this.#last
    if (this.#last === undefined) this.#first = place
    else this.#last.behind = place
    this.#last = place
    return turn.then(fn).then(this.#succeeded, this.#failed)
  }

  #next() {
    const place = this.#first
    if (place === undefined) {
      this.#running--
      return
    }
    this.#first = place.behind
    if (place.behind === undefined) this.#last = undefined
    else place.behind.ahead = undefined
    place.behind = undefined
    place.granted()
  }

  #succeeded = (/** @type {unknown} */ value) => {
    this.#next()
    return value
  }

  #failed = (/** @type {unknown} */ error) => {
    this.#next()
    throw error
  }
}
