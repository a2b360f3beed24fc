/**
 * Uses that wait for their resource. They are made as often as a busy pool is used, so the handlers of one
 * are made once and serve many. Whoever gives a resource back begins the next use, in its caller's context.
 */
import { hang, isPlain } from '../../core/begin.ts'
import { type AsyncScope, Scope } from '../../core/scope.ts'
import { follow } from './hook.ts'
import { Waiter } from './line.ts'
import type { Member } from './member.ts'
import type { Supply } from './supply.ts'

type Work<R> = (resource: R) => unknown
type Settle = (outcome: unknown) => void

/** Idle ones beyond this are dropped, so that a peak does not stay in memory. */
const MAX_IDLE = 1_024

export class WaitingUses<R> {
  readonly #supply: Supply<R>
  #idle: WaitingUse<R> | undefined = undefined
  #idling = 0

  constructor(supply: Supply<R>) {
    this.#supply = supply
  }

  take(work: Work<R>): WaitingUse<R> {
    const use = this.#idle ?? new WaitingUse(this.#supply, this)
    if (use === this.#idle) {
      this.#idle = use.spare
      this.#idling--
    }
    use.work = work
    use.scope = new Scope('holdfast:pool')
    return use
  }

  giveBack(use: WaitingUse<R>): void {
    use.work = undefined
    use.member = undefined
    use.scope = undefined
    use.resolve = nothing
    use.refuse = nothing
    use.borrower = undefined
    if (this.#idling >= MAX_IDLE) return
    use.spare = this.#idle
    this.#idle = use
    this.#idling++
  }
}

class WaitingUse<R> extends Waiter<R> {
  work: Work<R> | undefined = undefined
  spare: WaitingUse<R> | undefined = undefined
  scope: AsyncScope | undefined = undefined
  readonly #supply: Supply<R>
  readonly #uses: WaitingUses<R>
  resolve: Settle = nothing
  refuse: Settle = nothing

  constructor(supply: Supply<R>, uses: WaitingUses<R>) {
    super()
    this.#supply = supply
    this.#uses = uses
  }

  readonly handles = (resolve: Settle, refuse: Settle): void => {
    this.resolve = resolve
    this.refuse = refuse
  }

  override grant(member: Member<R>): void {
    // The pool may have been closed between the grant and this.
    if (member.place !== this.#supply.inventory.lent) return this.reject(this.#supply.closed())
    this.scope?.runInAsyncScope(this.#begin, undefined, member)
  }

  override reject(error: unknown): void {
    this.refuse(error)
    this.#uses.giveBack(this)
  }

  readonly #begin = (member: Member<R>): void => {
    let work: unknown
    try {
      work = (this.work as Work<R>)(member.resource as R)
    } catch (error) {
      work = Promise.reject(error)
    }
    hang(isPlain(work) ? work : follow(work), this.#succeed, this.#fail)
  }

  readonly #succeed = (value: unknown): void => {
    const member = this.member as Member<R>
    this.resolve(value)
    this.#uses.giveBack(this)
    this.#supply.giveBack(member)
  }

  readonly #fail = (error: unknown): void => {
    const member = this.member as Member<R>
    this.reject(error)
    this.#supply.giveBackFailed(member, error)
  }
}

function nothing(): void {}
