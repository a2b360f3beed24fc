/**
 * Those who wait for a resource: first come, first served, each for as long as it may, each able to
 * leave at any moment. Whoever has left is never handed anything.
 *
 * The line is a linked list of the waiters themselves, so that waiting allocates nothing else. Who is
 * served is decided first, and told when all is decided: a waiter may begin its work at once.
 */
import { Link, link, unlink } from '../../core/abort.ts'
import type { Timer } from '../../core/clock.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import type { Pulse } from '../../core/pulse.ts'
import type { Member } from './member.ts'

export class Line<R> {
  /** How many wait. */
  size = 0
  #first: Waiter<R> | undefined
  #last: Waiter<R> | undefined
  #firstServed: Waiter<R> | undefined
  #lastServed: Waiter<R> | undefined
  readonly #pulse: Pulse
  /** What a waiter is told whose time is up. */
  readonly #tooLate: (waited: number) => Error
  /** Somebody left without a resource. */
  readonly #onLeave: () => void
  #timer: Timer | undefined
  #due = Number.POSITIVE_INFINITY

  constructor(pulse: Pulse, tooLate: (waited: number) => Error, onLeave: () => void) {
    this.#pulse = pulse
    this.#tooLate = tooLate
    this.#onLeave = onLeave
  }

  /** Stands in line until `due`. `signal` must not be aborted yet. */
  join(
    waiter: Waiter<R>,
    now: number,
    due: number,
    signal: AbortSignal | undefined,
    borrower: Error | undefined,
  ): void {
    waiter.since = now
    waiter.due = due
    if (borrower !== undefined) waiter.borrower = borrower
    waiter.inLine = true
    const last = this.#last
    this.#last = waiter
    if (last === undefined) this.#first = waiter
    else {
      last.behind = waiter
      waiter.ahead = last
    }
    this.size++
    if (signal !== undefined) {
      waiter.caller = new Link((reason) => this.#leave(waiter, () => reason))
      link(signal, waiter.caller)
    }
    if (due < this.#due) this.#arm(due)
  }

  /** The first in line leaves it, and is told of `member` by the next `tell`. Must not be empty. */
  serve(member: Member<R>): Waiter<R> {
    const waiter = this.#first as Waiter<R>
    this.#remove(waiter)
    waiter.member = member
    if (this.#lastServed === undefined) this.#firstServed = waiter
    else this.#lastServed.behind = waiter
    this.#lastServed = waiter
    return waiter
  }

  /** Tells those who have been served. Any of them may come back at once, or change everything. */
  tell(): void {
    for (let waiter = this.#firstServed; waiter !== undefined; waiter = this.#firstServed) {
      this.#firstServed = waiter.behind
      if (waiter.behind === undefined) this.#lastServed = undefined
      else waiter.behind = undefined
      waiter.grant(waiter.member as Member<R>)
    }
  }

  /** Sends everybody away; says how many that were. */
  refuseAll(error: unknown): number {
    const { size } = this
    // As many as there are now: whoever is told may come back at once.
    for (let left = size; left > 0; left--) {
      const waiter = this.#first as Waiter<R>
      this.#remove(waiter)
      waiter.reject(error)
    }
    return size
  }

  #leave(waiter: Waiter<R>, error: () => unknown): void {
    if (!waiter.inLine) return
    this.#remove(waiter)
    waiter.reject(error())
    this.#onLeave()
  }

  #remove(waiter: Waiter<R>): void {
    const { ahead, behind, caller } = waiter
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    waiter.ahead = undefined
    waiter.behind = undefined
    waiter.inLine = false
    if (caller !== undefined) unlink(caller)
    if (--this.size === 0) this.#rest()
  }

  /** The timer goes with the last in line, and keeps the process alive until then. */
  #rest(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#due = Number.POSITIVE_INFINITY
  }

  #arm(due: number): void {
    this.#timer?.cancel()
    this.#due = due
    const { clock } = this.#pulse
    this.#timer = clock.setTimer(this.#ring, Math.max(0, due - clock.now()))
  }

  // After a blocked loop timers run before the sockets are read: a resource that is already there
  // gets one turn to arrive.
  readonly #ring = (): void => {
    const { defer } = this.#pulse.clock
    if (defer === undefined) this.#sweep()
    else defer(this.#sweep)
  }

  // Who is too late is decided first: whoever listens to a refusal may serve, close or join the line.
  readonly #sweep = (): void => {
    const now = this.#pulse.clock.now()
    this.#due = Number.POSITIVE_INFINITY
    const late: Waiter<R>[] = []
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.behind) {
      if (waiter.due <= now) late.push(waiter)
    }
    for (const waiter of late) {
      // One that is used again meanwhile has time.
      if (waiter.due <= now) this.#leave(waiter, () => this.#tooLate(now - waiter.since))
    }
    let next = Number.POSITIVE_INFINITY
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.behind) {
      next = Math.min(next, waiter.due)
    }
    if (next < this.#due) this.#arm(next)
  }
}

/** One in line. It may come back, when what it was granted or refused is over. */
export abstract class Waiter<R> {
  since = 0
  due = 0
  borrower: Error | undefined = undefined
  ahead: Waiter<R> | undefined = undefined
  behind: Waiter<R> | undefined = undefined
  caller: Link | undefined = undefined
  inLine = false
  /** What it has been served with. */
  member: Member<R> | undefined = undefined

  /** Must not throw. */
  abstract grant(member: Member<R>): void
  abstract reject(error: unknown): void
}

/** One who takes the resource away. */
export class Acquiring<R> extends Waiter<R> {
  readonly granted: Promise<Member<R>> = new Promise(capture) as Promise<Member<R>>
  readonly #grant: (member: Member<R>) => void = resolveNew as (member: unknown) => void
  readonly #reject: (error: unknown) => void = rejectNew

  override grant(member: Member<R>): void {
    this.#grant(member)
  }

  override reject(error: unknown): void {
    this.#reject(error)
  }
}
