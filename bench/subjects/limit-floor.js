/**
 * The least code of a time limit that can find its calls, written by hand: a fresh context for each call,
 * a promise of its own that whoever is first settles, one entry in an array of times, one count. Nobody
 * ever looks at the array; nothing can be observed.
 */
import { executor, reject, resolve } from './handles.js'
import { Slot } from './slot.js'

class Context {
  /** @param {Slot<Context>} slot */
  constructor(slot) {
    this.slot = slot
    this.generation = slot.generation
    /** @type {((value: unknown) => void) | undefined} */
    this.resolve = undefined
    /** @type {((error: unknown) => void) | undefined} */
    this.reject = undefined
  }
}

class LimitFloor {
  /** @type {Slot<Context>[]} */
  #idle = []
  #slots = 0
  #due = new Float64Array(64)
  running = 0

  /** @param {(context: unknown) => Promise<unknown>} operation */
  execute(operation) {
    const slot = this.#idle.pop() ?? new Slot(this, this.#slots++)
    const context = new Context(slot)
    slot.context = context
    this.running++
    this.#due[slot.index] = 2_000
    const work = operation(context)
    const answer = new Promise(executor)
    context.resolve = resolve
    context.reject = reject
    work.then(slot.succeed, slot.fail)
    return answer
  }

  /**
   * @param {Slot<Context>} slot
   * @param {unknown} value
   */
  succeeded(slot, value) {
    this.#leave(slot)?.resolve?.(value)
  }

  /**
   * @param {Slot<Context>} slot
   * @param {unknown} error
   */
  failed(slot, error) {
    this.#leave(slot)?.reject?.(error)
  }

  /** @param {Slot<Context>} slot */
  #leave(slot) {
    const { context } = slot
    this.running--
    this.#due[slot.index] = Number.POSITIVE_INFINITY
    slot.context = undefined
    slot.generation++
    this.#idle.push(slot)
    return context
  }
}

/** @returns {import('../harness/types.js').Case} */
export const limitFloor = () => ({
  subject: 'floor:contract',
  call: 'limit.execute(fn)',
  scope: { limit: new LimitFloor(), fn: async () => 1 },
})
