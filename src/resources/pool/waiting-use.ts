/**
 * Uses that wait for their resource. They are made as often as a busy pool is used, so the handlers of one
 * are made once and serve many: three promises follow a use, and nothing else is made for it.
 */
import { nothing, Waiter } from './line.ts'
import type { Member } from './member.ts'
import type { Supply } from './supply.ts'

type Work<R> = (resource: R) => unknown

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
    return use
  }

  giveBack(use: WaitingUse<R>): void {
    use.work = undefined
    use.member = undefined
    use.borrower = undefined
    if (this.#idling >= MAX_IDLE) return
    use.spare = this.#idle
    this.#idle = use
    this.#idling++
  }
}

class WaitingUse<R> extends Waiter<R> {
  work: Work<R> | undefined = undefined
  /** What it was lent: until then a failure is one of waiting. */
  member: Member<R> | undefined = undefined
  spare: WaitingUse<R> | undefined = undefined
  readonly #supply: Supply<R>
  readonly #uses: WaitingUses<R>

  constructor(supply: Supply<R>, uses: WaitingUses<R>) {
    super()
    this.#supply = supply
    this.#uses = uses
  }

  /** The answer, once it stands in line and `granted` is its turn. */
  follow<T>(granted: Promise<Member<R>>): Promise<T> {
    return granted.then(this.#start).then(this.#succeed, this.#fail) as Promise<T>
  }

  readonly #start = (member: Member<R>): unknown => {
    // The pool may have been closed between the grant and this.
    if (member.place !== this.#supply.inventory.lent) throw this.#supply.closed()
    this.member = member
    return (this.work as Work<R>)(member.resource as R)
  }

  readonly #succeed = (value: unknown): unknown => {
    const { member } = this
    this.#uses.giveBack(this)
    this.#supply.giveBack(member as Member<R>)
    return value
  }

  readonly #fail = (error: unknown): never => {
    const { member } = this
    // What was refused would keep its error from the collector.
    this.handles(nothing, nothing)
    this.#uses.giveBack(this)
    if (member !== undefined) this.#supply.giveBackFailed(member, error)
    throw error
  }
}
