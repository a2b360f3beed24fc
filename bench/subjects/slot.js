/**
 * A place for one call at a time with handlers that are made once and serve all its calls, as the floors
 * by hand need it: who comes too late is known by the generation.
 *
 * @template C
 */
export class Slot {
  /**
   * @param {{ succeeded(slot: Slot<C>, value: unknown): unknown, failed(slot: Slot<C>, error: unknown): unknown }} owner
   * @param {number} index
   */
  constructor(owner, index) {
    this.index = index
    this.generation = 0
    /** @type {C | undefined} */
    this.context = undefined
    this.succeed = (/** @type {unknown} */ value) => owner.succeeded(this, value)
    this.fail = (/** @type {unknown} */ error) => owner.failed(this, error)
  }
}
