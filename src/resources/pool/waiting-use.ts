/**
 * A use that waits for its resource. Whoever gives one back begins it, in the async context of its own
 * caller, which it keeps by being a scope itself: a busy pool makes as many as it has uses.
 */
import type { Link } from '../../core/abort.ts'
import { hang } from '../../core/begin.ts'
import { Scope } from '../../core/scope.ts'
import { follow } from './hook.ts'
import type { Waiter } from './line.ts'
import type { Member, Use } from './member.ts'
import type { Supply } from './supply.ts'

type Work<R> = (resource: R) => unknown

export class WaitingUse<R> extends Scope implements Waiter<R>, Use {
  stay: Waiter<R>['stay'] = undefined
  ahead: Waiter<R> | undefined = undefined
  behind: Waiter<R> | undefined = undefined
  caller: Link | undefined = undefined
  borrower: Error | undefined = undefined
  readonly work: Work<R>
  resolve: Use['resolve'] = nothing
  reject: Use['reject'] = nothing
  // A closure of its own is compiled into the constructor: cheaper than handles that are left in a module.
  readonly answer: Promise<unknown> = new Promise((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
  readonly #supply: Supply<R>

  constructor(supply: Supply<R>, work: Work<R>) {
    super('holdfast:pool')
    this.#supply = supply
    this.work = work
  }

  grant(member: Member<R>): void {
    // The pool may have been closed between the grant and this.
    if (member.place !== this.#supply.inventory.lent) return this.reject(this.#supply.closed())
    member.use = this
    this.runInAsyncScope(begin<R>, undefined, member)
  }
}

function nothing(): void {}

function begin<R>(member: Member<R>): void {
  const { work } = member.use as WaitingUse<R>
  let doing: Promise<unknown>
  try {
    // Looked at in here: what it answers may throw when it is touched.
    doing = follow(work(member.resource as R))
  } catch (error) {
    doing = Promise.reject(error)
  }
  hang(doing, member.answer, member.refuse)
}
