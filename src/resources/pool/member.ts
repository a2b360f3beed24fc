/**
 * One resource of a pool, from the moment its place is taken until that place is free again.
 */

/** One of the sets that a resource can be in. It is always in exactly one. */
export class Place {
  readonly name: string
  size = 0

  constructor(name: string) {
    this.name = name
  }
}

export class Member<R> {
  /** Changed by the inventory alone. */
  place: Place
  resource: R | undefined
  /** Which round of creations it belongs to: those that fail together are one failure. */
  readonly round: number
  /** From then on it is not lent again; in the past as soon as there is a reason not to. */
  expiresAt: number = Number.POSITIVE_INFINITY
  /** Until then it is lent without being looked at. */
  freshUntil = 0
  /** When its last loan ended, or when it was made. */
  usedAt = 0
  /** When it was last known to be alive. */
  seenAt = 0
  uses = 0
  /** Why it must not be lent again, if there is another reason than its age. */
  verdict: string | undefined = undefined
  /** What broke it. */
  fault: unknown = undefined
  lentAt = 0
  /** Made where it was borrowed, when leaks are looked for. */
  borrower: Error | undefined = undefined
  leaked = false
  /** What follows the work of a `use`, made once for all of them. */
  succeed: ((value: unknown) => unknown) | undefined = undefined
  fail: ((error: unknown) => never) | undefined = undefined

  constructor(place: Place, round: number) {
    this.place = place
    this.round = round
  }

  /** Says that it must not be lent again. The first reason stays. */
  condemn(verdict: string, fault?: unknown): void {
    if (this.verdict !== undefined) return
    this.verdict = verdict
    this.fault = fault
    this.expiresAt = Number.NEGATIVE_INFINITY
    this.freshUntil = Number.NEGATIVE_INFINITY
  }
}
