/**
 * The least code that lets so many calls run at a time, keeps the others in line, and calls each in the
 * async context of its own caller, written by hand: one promise to wait for the turn, a place that could
 * be left, and two promises that follow the call. No limit of the line or of the wait, nothing counted,
 * nothing observed.
 *
 * `ScopeFloor` is the same with Node's AsyncResource in place of the first promise, which the place is
 * itself: a call begins inside whoever leaves its slot.
 */
import { AsyncResource } from 'node:async_hooks'
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

/** Node's own, spelled out as in the product: so they are read faster. */
const defaults = { triggerAsyncId: undefined, requireManualDestroy: false }

class ScopedPlace extends AsyncResource {
  /** @type {ScopedPlace | undefined} */
  ahead = undefined
  /** @type {ScopedPlace | undefined} */
  behind = undefined
  /** @type {(value: unknown) => void} */
  granted = nothing
  /** @type {(error: unknown) => void} */
  refused = nothing
  answer = new Promise((resolve, reject) => {
    this.granted = resolve
    this.refused = reject
  })

  /** @param {() => Promise<unknown>} fn */
  constructor(fn) {
    super('floor', defaults)
    this.fn = fn
  }
}

function nothing() {}

class Handlers {
  /** @type {ScopedPlace | undefined} */
  place = undefined
  /** @type {Handlers | undefined} */
  spare = undefined

  /** @param {ScopeFloor} owner */
  constructor(owner) {
    this.succeed = (/** @type {unknown} */ value) => {
      const { place } = this
      owner.leave(this)
      place?.granted(value)
    }
    this.fail = (/** @type {unknown} */ error) => {
      const { place } = this
      owner.leave(this)
      place?.refused(error)
    }
  }
}

export class ScopeFloor {
  #running = 0
  /** @type {ScopedPlace | undefined} */
  #first
  /** @type {ScopedPlace | undefined} */
  #last
  /** @type {Handlers | undefined} */
  #spare
  #limit

  /** @param {number} limit */
  constructor(limit) {
    this.#limit = limit
  }

  /** @param {() => Promise<unknown>} fn */
  run(fn) {
    const place = new ScopedPlace(fn)
    if (this.#running < this.#limit) {
      this.#running++
      this.#begin(place)
      return place.answer
    }
    place.ahead = this.#last
    if (this.#last === undefined) this.#first = place
    else this.#last.behind = place
    this.#last = place
    return place.answer
  }

  /** @param {Handlers} handlers */
  leave(handlers) {
    handlers.place = undefined
    handlers.spare = this.#spare
    this.#spare = handlers
    const place = this.#first
    if (place === undefined) {
      this.#running--
      return
    }
    this.#first = place.behind
    if (place.behind === undefined) this.#last = undefined
    else place.behind.ahead = undefined
    place.behind = undefined
    place.runInAsyncScope(this.#begin, this, place)
  }

  #begin = (/** @type {ScopedPlace} */ place) => {
    const handlers = this.#spare ?? new Handlers(this)
    this.#spare = handlers.spare
    handlers.place = place
    place.fn().then(handlers.succeed, handlers.fail)
  }
}
