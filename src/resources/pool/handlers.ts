/**
 * What follows the work of a `use`: made once for each resource, which serves one at a time. Whoever gives
 * a resource back begins the next use, so what an earlier one was answered with is settled first.
 */
import type { Member } from './member.ts'

/** Where a resource comes back to. */
export interface Lender<R> {
  giveBack(member: Member<R>): void
  giveBackFailed(member: Member<R>, error: unknown): void
}

export function followUses<R>(lender: Lender<R>, member: Member<R>): void {
  member.succeed = (value) => {
    lender.giveBack(member)
    return value
  }
  member.fail = (error) => {
    lender.giveBackFailed(member, error)
    throw error
  }
  member.answer = (value) => {
    member.use?.resolve(value)
    member.use = undefined
    lender.giveBack(member)
  }
  member.refuse = (error) => {
    member.use?.reject(error)
    member.use = undefined
    lender.giveBackFailed(member, error)
  }
}
