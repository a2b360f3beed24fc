/**
 * The least code that lends one of some resources to a call and takes it back, written by hand: a stack of
 * those that are idle, and handlers made once for each resource. Nothing is counted, nobody waits, nothing
 * grows old, and a function that throws or returns no promise is the caller's own fault.
 */
class Lent {
  /**
   * @param {LoanFloor} owner
   * @param {object} resource
   */
  constructor(owner, resource) {
    this.resource = resource
    this.succeed = (/** @type {unknown} */ value) => {
      owner.idle.push(this)
      return value
    }
    this.fail = (/** @type {unknown} */ error) => {
      owner.idle.push(this)
      throw error
    }
  }
}

export class LoanFloor {
  /** @type {Lent[]} */
  idle = [new Lent(this, {})]

  /** @param {(resource: object) => Promise<unknown>} fn */
  use(fn) {
    const lent = /** @type {Lent} */ (this.idle.pop())
    return fn(lent.resource).then(lent.succeed, lent.fail)
  }
}
