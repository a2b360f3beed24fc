/**
 * A use that waits for its resource. Whoever gives one back begins it, in the async context of its own
 * caller, which it keeps by being a scope itself: a busy pool makes as many as it has uses.
 */
import { hang } from '../../core/begin.ts'
import { Scope, scopeOptions } from '../../core/scope.ts'
import { follow } from './hook.ts'
import type { Waiter } from './line.ts'
import type { Member, Use } from './member.ts'

type Work<R> = (resource: R) => unknown

export class WaitingUse<R> extends Scope implements Waiter<R>, Use {
  stay: Waiter<R>['stay'] = undefined
  ahead: Waiter<R> | undefined = undefined
  behind: Waiter<R> | undefined = undefined
  readonly work: Work<R>
  // Only declared: as fields they would be written twice.
  declare resolve: Use['resolve']
  declare reject: Use['reject']
  // A closure of its own is compiled into the constructor: cheaper than handles that are left in a module.
  readonly answer: Promise<unknown> = new Promise((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })

  constructor(work: Work<R>) {
    super('holdfast:pool', scopeOptions)
    this.work = work
  }

  grant(member: Member<R>): void {
    member.use = this
    this.runInAsyncScope(begin<R>, undefined, member)
  }
}

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
