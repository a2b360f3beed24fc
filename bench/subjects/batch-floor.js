/**
 * The least code that answers many loads with one call, written by hand: a promise for each key, settled
 * together when the call has answered. No key is looked for, no batch is ever full, nobody can leave,
 * nothing is counted, and the answer is not checked.
 */
import { executor, reject, resolve } from './handles.js'

class Waiting {
  constructor() {
    this.promise = new Promise(executor)
    this.resolve = resolve
    this.reject = reject
  }
}

export class BatchFloor {
  /** @type {unknown[]} */
  #keys = []
  /** @type {Waiting[]} */
  #waiting = []
  #loadMany

  /** @param {(keys: readonly unknown[]) => Promise<readonly unknown[]>} loadMany */
  constructor(loadMany) {
    this.#loadMany = loadMany
  }

  /** @param {unknown} key */
  load(key) {
    if (this.#keys.push(key) === 1) process.nextTick(() => this.#send())
    const waiting = new Waiting()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  async #send() {
    const keys = this.#keys
    const waiting = this.#waiting
    this.#keys = []
    this.#waiting = []
    try {
      const values = await this.#loadMany(keys)
      for (let at = 0; at < waiting.length; at++) waiting[at]?.resolve(values[at])
    } catch (error) {
      for (const one of waiting) one.reject(error)
    }
  }
}
