/**
 * Those who wait for a resource: first come, first served, each for as long as it may, each able to
 * leave at any moment. Whoever has left is never handed anything.
 *
 * The line is a linked list of the waiters themselves, so that waiting allocates next to nothing. Who is
 * served is decided first, and granted when all is decided: a waiter may begin its work at once.
 */
import { Link, link, unlink } from '../../core/abort.ts'
import { Alarm } from '../../core/alarm.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import type { Pulse, TurnListener } from '../../core/pulse.ts'
import type { Member } from './member.ts'

/** How long somebody may wait: shared by those who came one after the other, with nothing of their own. */
interface Stay {
  since: number
  due: number
  /** Waits no longer than that, whenever it came. */
  readonly deadline: number
  /** Who may call the wait off. */
  caller: Link | undefined
  /** Where it borrows, when leaks are looked for. */
  readonly borrower: Error | undefined
}

/** One in line, once. It brings its own links. */
export interface Waiter<R> {
  /** Kept by the line; undefined for who is not in it. */
  stay: Stay | undefined
  ahead: Waiter<R> | undefined
  behind: Waiter<R> | undefined
  /** Must not throw. */
  grant(member: Member<R>): void
  reject(error: unknown): void
}

/** Whose line it is. */
export interface Host {
  /** What a waiter is refused with whose time is up. */
  tooLate(waited: number): Error
  /** Called when somebody has left without a resource. */
  balance(): void
}

interface Served<R> {
  readonly waiter: Waiter<R>
  readonly member: Member<R>
}

export class Line<R> implements TurnListener {
  /** How many wait. */
  size = 0
  #first: Waiter<R> | undefined
  #last: Waiter<R> | undefined
  /** Who has left the line with a resource, and is still to be granted it. */
  readonly #served: Served<R>[] = []
  #stay: Stay | undefined
  readonly #pulse: Pulse
  readonly #alarm: Alarm
  /** How long one may wait, in ms, if no deadline of its own comes first. */
  readonly #patience: number
  #turn = -1
  readonly #host: Host

  constructor(pulse: Pulse, patience: number, host: Host) {
    this.#pulse = pulse
    this.#patience = patience
    this.#host = host
    this.#alarm = new Alarm(pulse, () => this.#sweep())
  }

  /** Stands in line, at most until `deadline`. `signal` must not be aborted yet. */
  join(waiter: Waiter<R>, deadline: number, signal?: AbortSignal, borrower?: Error): void {
    const stay = this.#stay
    const isAlone = this.#last === undefined || this.#turn !== this.#pulse.turn
    const asBefore = stay?.deadline === deadline && signal === undefined && borrower === undefined
    // Who comes as the one before came, in the same turn, waits as long: all is set already.
    if (asBefore && !isAlone) this.#append(waiter, stay)
    else this.#joinAnew(waiter, deadline, signal, borrower)
  }

  #joinAnew(waiter: Waiter<R>, deadline: number, signal?: AbortSignal, borrower?: Error): void {
    const pulse = this.#pulse
    const since = pulse.now()
    // An exact clock has no turns that could end.
    if (!pulse.exact && this.#turn !== pulse.turn) {
      this.#turn = pulse.turn
      pulse.atTurnEnd(this)
    }
    const due = Math.min(since + this.#patience, deadline)
    const stay: Stay = { since, due, deadline, caller: undefined, borrower }
    const isShared = signal === undefined && borrower === undefined
    this.#stay = isShared ? stay : undefined
    this.#append(waiter, stay)
    if (signal !== undefined) {
      stay.caller = new Link((reason) => this.#leave(waiter, () => reason))
      link(signal, stay.caller)
    }
    if (due < this.#alarm.due) this.#alarm.move(due)
  }

  #append(waiter: Waiter<R>, stay: Stay): void {
    const last = this.#last
    waiter.stay = stay
    this.#last = waiter
    if (last === undefined) this.#first = waiter
    else {
      last.behind = waiter
      waiter.ahead = last
    }
    this.size++
  }

  /** Nobody waited during a turn that was busy with something else. A deadline passes all the same. */
  turnEnded(began: number, now: number): void {
    if (now - began <= 1) return
    for (const [, stay] of this.#staying()) {
      if (stay.since !== began) continue
      stay.since = now
      stay.due = Math.min(now + this.#patience, stay.deadline)
    }
  }

  /** The first in line leaves it, and is granted `member` by the next `tell`. Must not be empty. */
  serve(member: Member<R>): Stay {
    const waiter = this.#first as Waiter<R>
    const stay = waiter.stay as Stay
    this.#remove(waiter)
    this.#served.push({ waiter, member })
    return stay
  }

  /** As `serve` and `tell`, for a resource that goes from hand to hand. */
  pass(member: Member<R>): void {
    const waiter = this.#first as Waiter<R>
    this.#remove(waiter)
    if (this.#served.length === 0) waiter.grant(member)
    else this.#served.push({ waiter, member })
  }

  /** Grants what has been served. Any of them may come back at once, or change everything. */
  tell(): void {
    const served = this.#served
    while (served.length > 0) {
      const { waiter, member } = served.shift() as Served<R>
      waiter.grant(member)
    }
  }

  /** Sends everybody away; says how many that were. */
  refuseAll(error: unknown): number {
    const { size } = this
    // As many as there are now: whoever is refused may come back at once.
    for (let left = size; left > 0; left--) {
      const waiter = this.#first as Waiter<R>
      this.#remove(waiter)
      waiter.reject(error)
    }
    return size
  }

  #leave(waiter: Waiter<R>, error: () => unknown): void {
    this.#remove(waiter)
    waiter.reject(error())
    this.#host.balance()
  }

  #remove(waiter: Waiter<R>): void {
    const { ahead, behind } = waiter
    const caller = waiter.stay?.caller
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    waiter.ahead = undefined
    waiter.behind = undefined
    waiter.stay = undefined
    if (caller !== undefined) unlink(caller)
    // Who waits keeps the process alive, the last one gone does not.
    if (--this.size === 0) this.#alarm.move(Number.POSITIVE_INFINITY)
  }

  // Who is too late is decided first: whoever listens to a refusal may serve, close or join the line.
  #sweep(): void {
    const now = this.#pulse.clock.now()
    const late: [Waiter<R>, Stay][] = []
    for (const [waiter, stay] of this.#staying()) {
      if (stay.due <= now) late.push([waiter, stay])
    }
    for (const [waiter, stay] of late) {
      const left = waiter.stay === undefined
      if (!left) this.#leave(waiter, () => this.#host.tooLate(now - stay.since))
    }
    let next = Number.POSITIVE_INFINITY
    for (const [, { due }] of this.#staying()) next = Math.min(next, due)
    if (next < this.#alarm.due) this.#alarm.move(next)
  }

  *#staying(): Iterable<[Waiter<R>, Stay]> {
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.behind) {
      yield [waiter, waiter.stay as Stay]
    }
  }
}

/** One who takes the resource away. */
export class Acquiring<R> implements Waiter<R> {
  stay: Stay | undefined = undefined
  ahead: Waiter<R> | undefined = undefined
  behind: Waiter<R> | undefined = undefined
  readonly granted: Promise<Member<R>> = new Promise(capture) as Promise<Member<R>>
  readonly grant: (member: Member<R>) => void = resolveNew as (member: unknown) => void
  readonly reject: (error: unknown) => void = rejectNew
}
