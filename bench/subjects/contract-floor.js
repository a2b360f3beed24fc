/**
 * The least code that keeps what a stack with a limit inside a retry promises, written by hand for one
 * fixed stack: a fresh context for each call, which a limit can find; five counts in and out; and a
 * retry after a timeout that runs in its caller's async context (the guard promise). No policy can be
 * put in or left out, nothing can be observed. What Holdfast takes above this is its own doing.
 */
import { executor, reject, resolve } from './handles.js'
import { Slot } from './slot.js'

class Context {
  /**
   * @param {Slot<Context>} slot
   * @param {() => Promise<unknown>} operation
   */
  constructor(slot, operation) {
    this.slot = slot
    this.generation = slot.generation
    this.operation = operation
    this.attempt = 1
    /** @type {((error: unknown) => void) | undefined} */
    this.cut = undefined
  }
}

export class ContractFloor {
  /** @type {Slot<Context>[]} */
  #idle = []
  #slots = 0
  #due
  #running = new Int32Array(5)
  #succeeded = new Int32Array(5)

  /** @param {number} [room] Most calls at a time. */
  constructor(room = 64) {
    this.#due = new Float64Array(room)
  }

  /** @param {() => Promise<unknown>} operation */
  execute(operation) {
    const slot = this.#idle.pop() ?? new Slot(this, this.#slots++)
    const context = new Context(slot, operation)
    slot.context = context
    for (let policy = 0; policy < 5; policy++) this.#running[policy] += 1
    this.#due[slot.index] = 2_000
    const work = /** @type {(context: Context) => Promise<unknown>} */ (operation)(context)
    const guard = new Promise(executor)
    context.cut = reject
    work.then(resolve, reject)
    return guard.then(slot.succeed, slot.fail)
  }

  /**
   * @param {Slot<Context>} slot
   * @param {unknown} value
   */
  succeeded(slot, value) {
    this.#leave(slot)
    for (let policy = 0; policy < 5; policy++) this.#succeeded[policy] += 1
    return value
  }

  /**
   * @param {Slot<Context>} slot
   * @param {unknown} error
   */
  failed(slot, error) {
    this.#leave(slot)
    throw error
  }

  /** @param {Slot<Context>} slot */
  #leave(slot) {
    for (let policy = 0; policy < 5; policy++) this.#running[policy] -= 1
    this.#due[slot.index] = Number.POSITIVE_INFINITY
    slot.context = undefined
    slot.generation++
    this.#idle.push(slot)
  }
}

/** @returns {import('../harness/types.js').Case} */
export const contractFloor = () => ({
  subject: 'floor:contract',
  call: 'stack.execute(fn)',
  scope: { stack: new ContractFloor(), fn: async () => 1 },
})
