/**
 * A loan: the one handle to a lent resource, good for one return. Once it has ended it reaches nothing,
 * so a stale holder can neither use nor give back what is somebody else's by then.
 */
import type { Lease } from './contract.ts'
import type { Member } from './member.ts'
import type { Supply } from './supply.ts'

export class Loan<R> implements Lease<R> {
  readonly #supply: Supply<R>
  #member: Member<R> | undefined

  constructor(supply: Supply<R>, member: Member<R>) {
    this.#supply = supply
    this.#member = member
  }

  get resource(): R {
    const member = this.#member
    if (member === undefined) throw this.#ended('used')
    return member.resource as R
  }

  release(): void {
    this.#supply.giveBack(this.#end('released'))
  }

  destroy(): void {
    this.#supply.giveUp(this.#end('destroyed'), 'given up by its borrower')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#member !== undefined) this.release()
  }

  #end(how: string): Member<R> {
    const member = this.#member
    if (member === undefined) throw this.#ended(how)
    this.#member = undefined
    return member
  }

  #ended(how: string): TypeError {
    return new TypeError(
      `pool "${this.#supply.settings.name}": ${how} after its loan had ended; release or destroy a lease once, and keep no reference to its resource`,
    )
  }
}
