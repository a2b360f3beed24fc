/**
 * One resource of a pool, from the moment its place is taken until that place is free again.
 */
import type { Pulse } from '../../core/pulse.ts'
import type { RandomSource } from '../../core/random.ts'

/** One of the sets that a resource can be in. It is always in exactly one. */
export class Place {
  readonly name: string
  size = 0

  constructor(name: string) {
    this.name = name
  }
}

/** What a resource is bounded by. */
export interface Bounds {
  readonly maxLifetime: number
  readonly keepaliveInterval: number
  readonly random: RandomSource
}

/** By how much less a resource may wait to be kept alive. */
export const KEEPALIVE_SPREAD = 0.1

/** Who is answered when the work on a resource ends. */
export interface Use {
  resolve(value: unknown): void
  reject(error: unknown): void
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
  /** In which turn of the loop it last came back, fit to be lent: within that turn nothing can have changed. */
  turn = -1
  /** When its last loan ended, or when it was made. */
  usedAt = 0
  /** When it was last known to be alive. */
  seenAt = 0
  /** How often it wants to be kept alive: its own share of chance, so that not all are at once. */
  keepaliveInterval: number = Number.POSITIVE_INFINITY
  uses = 0
  /** Why it must not be lent again, if there is another reason than its age. */
  verdict: string | undefined = undefined
  /** What broke it. */
  fault: unknown = undefined
  /** Tells the `create` that makes it that it need not. */
  abandon: ((why: unknown) => void) | undefined = undefined
  lentAt = 0
  /** Made where it was borrowed, when leaks are looked for. */
  borrower: Error | undefined = undefined
  leaked = false
  /** The use that has waited for it, while it lasts. */
  use: Use | undefined = undefined
  /** What follows the work of a `use` that found it idle, and of one that has waited. */
  succeed: (value: unknown) => unknown = unmade
  fail: (error: unknown) => never = unmade
  answer: (value: unknown) => void = unmade
  refuse: (error: unknown) => void = unmade

  constructor(place: Place, round: number) {
    this.place = place
    this.round = round
  }

  /**
   * Spread, so that resources made together neither end together nor are kept alive together (HikariCP
   * draws the same 2.5 and 10 %).
   */
  begin(now: number, bounds: Bounds): void {
    const { maxLifetime, keepaliveInterval, random } = bounds
    this.usedAt = now
    this.keepaliveInterval = keepaliveInterval * (1 - KEEPALIVE_SPREAD * random())
    // Condemned while it was made: it stays so.
    if (this.verdict === undefined) this.expiresAt = now + maxLifetime * (1 - 0.025 * random())
  }

  /** After its last one it is not lent again. */
  countUse(maxUses: number): void {
    if (++this.uses === maxUses) this.condemn('lent maxUses times')
  }

  /** It has come back. An exact clock has no turns: there time may pass from one line to the next. */
  noteReturn({ exact, turn }: Pulse): void {
    if (!exact && this.usedAt < this.freshUntil) this.turn = turn
  }

  /** Says that it must not be lent again. The first reason stays. */
  condemn(verdict: string, fault?: unknown): void {
    if (this.verdict !== undefined) return
    this.verdict = verdict
    this.fault = fault
    this.expiresAt = Number.NEGATIVE_INFINITY
    this.freshUntil = Number.NEGATIVE_INFINITY
    this.turn = -1
  }
}

/** Until there is a resource. */
function unmade(): never {
  throw new Error('pool: nothing can be done with a resource before it is made')
}
