/**
 * What the pool has, as a plain state machine: every resource is in exactly one set, and every change
 * of set is one call of `#change`. It decides nothing by time, calls nobody and waits for nothing.
 *
 * A new resource and one that was validated go to somebody in line or to the idle; from there they are
 * lent, and come back, through `tending` where there is something to reset. From anywhere a resource can
 * go to `destroying`, and only from there, or from `creating`, out of the pool.
 */
import { Member, Place } from './member.ts'

export class Inventory<R> {
  readonly creating: Place = new Place('creating')
  readonly idle: Place = new Place('idle')
  /** In the hands of `validate`, for somebody in line. */
  readonly validating: Place = new Place('validating')
  /** In the hands of `reset` or `keepalive`. */
  readonly tending: Place = new Place('tending')
  readonly lent: Place = new Place('lent')
  readonly destroying: Place = new Place('destroying')
  readonly #gone = new Place('gone')
  /** Everything that takes a place. */
  readonly members: Set<Member<R>> = new Set()
  readonly #newestFirst: boolean
  /** In the order in which they came back. Few enough to be searched when one breaks in the middle. */
  readonly #shelf: Member<R>[] = []

  constructor(order: 'lifo' | 'fifo') {
    this.#newestFirst = order === 'lifo'
  }

  /** Places taken: what the other side may see at the same time. */
  get size(): number {
    return this.members.size
  }

  /** What is of use now or will be: everything but what is being destroyed. */
  get alive(): number {
    return this.members.size - this.destroying.size
  }

  /** The idle resource that would be lent next. */
  get next(): Member<R> | undefined {
    const shelf = this.#shelf
    // Reading before the first element is as dear as a promise.
    if (shelf.length === 0) return undefined
    return this.#newestFirst ? shelf[shelf.length - 1] : shelf[0]
  }

  /** Takes a place for a resource that is about to be made. */
  add(round: number): Member<R> {
    const member = new Member<R>(this.creating, round)
    this.creating.size++
    this.members.add(member)
    return member
  }

  /** As `lend`, for what `next` has shown. */
  lendNext(member: Member<R>): void {
    if (this.#newestFirst) this.#shelf.pop()
    else this.#shelf.shift()
    this.#change(member, this.lent)
  }

  lend(member: Member<R>): void {
    this.#move(member, this.lent)
  }

  check(member: Member<R>): void {
    this.#move(member, this.validating)
  }

  tend(member: Member<R>): void {
    this.#move(member, this.tending)
  }

  /** Among the idle: as the newest, or as the oldest when it was only looked at and not used. */
  shelve(member: Member<R>, asOldest: boolean): void {
    this.#move(member, this.idle)
    if (asOldest) this.#shelf.unshift(member)
    else this.#shelf.push(member)
  }

  /** False if that has begun already, or is over. */
  doom(member: Member<R>): boolean {
    if (member.place === this.destroying || member.place === this.#gone) return false
    this.#move(member, this.destroying)
    return true
  }

  /** Gives the place back. Twice is harmless. */
  forget(member: Member<R>): void {
    if (member.place === this.#gone) return
    this.#move(member, this.#gone)
    this.members.delete(member)
    member.resource = undefined
    member.borrower = undefined
  }

  #move(member: Member<R>, to: Place): void {
    if (member.place === this.idle) this.#unlink(member)
    this.#change(member, to)
  }

  #change(member: Member<R>, to: Place): void {
    member.place.size--
    to.size++
    member.place = to
  }

  #unlink(member: Member<R>): void {
    const shelf = this.#shelf
    if (shelf[shelf.length - 1] === member) shelf.pop()
    else if (shelf[0] === member) shelf.shift()
    else shelf.splice(shelf.indexOf(member), 1)
  }
}
