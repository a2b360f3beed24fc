/**
 * The care of what nobody is waiting for: idle too long, too old, to be kept alive, lent too long. One
 * timer for all of it, which never keeps a process alive; the fast path only compares two numbers.
 */
import type { Timer } from '../../core/clock.ts'
import { stackless } from '../../core/stackless.ts'
import type { Inventory } from './inventory.ts'
import type { Maker } from './maker.ts'
import type { Member } from './member.ts'
import type { Settings } from './options.ts'
import type { Voice } from './voice.ts'

/** What is taken care of. */
export interface Ward<R> extends Pick<Voice<R>, 'tell' | 'counts'> {
  readonly settings: Settings<R>
  readonly inventory: Inventory<R>
  readonly maker: Maker<R>
  destroy(member: Member<R>, reason: string): void
  keepAlive(member: Member<R>): void
  balance(): void
}

export class Keeper<R> {
  /** Resources wanted beside those there are, so that an old one can go. */
  replacements = 0
  /** Something idle is too old and waits for its successor, or waits for its turn to be kept alive. */
  overdue = false
  readonly #ward: Ward<R>
  #timer: Timer | undefined
  #due = Number.POSITIVE_INFINITY

  constructor(ward: Ward<R>) {
    this.#ward = ward
  }

  /** Something will have to be seen to at `due`. */
  watch(due: number): void {
    if (due < this.#due) this.#arm(due)
  }

  /** One hung in its hook: so will the others that have not been seen alive since that began. */
  suspect(since: number): void {
    const { members, idle } = this.#ward.inventory
    const unseen = [...members].filter(({ place, seenAt }) => place === idle && seenAt < since)
    for (const member of unseen) this.#ward.destroy(member, 'idle beside one that hung')
  }

  rest(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    // Nothing is due before this, whatever comes.
    this.#due = Number.NEGATIVE_INFINITY
  }

  #arm(due: number): void {
    this.#timer?.cancel()
    this.#due = due
    const { clock } = this.#ward.settings
    this.#timer = clock.setTimer(this.#tend, Math.max(0, due - clock.now()))
    this.#timer.unref()
  }

  readonly #tend = (): void => {
    const ward = this.#ward
    const now = ward.settings.clock.now()
    this.#due = Number.POSITIVE_INFINITY
    this.replacements = 0
    this.overdue = false
    let next = Number.POSITIVE_INFINITY
    for (const member of [...ward.inventory.members]) {
      next = Math.min(next, this.#tendOne(member, now))
    }
    ward.balance()
    this.watch(next)
  }

  /** When it has to be looked at again. */
  #tendOne(member: Member<R>, now: number): number {
    const { inventory, settings } = this.#ward
    if (member.place === inventory.lent) return this.#tendLoan(member, now)
    if (member.place !== inventory.idle) return Number.POSITIVE_INFINITY
    if (now >= member.expiresAt) return this.#retire(member)
    const tooIdle = member.usedAt + settings.idleTimeout
    const spare = inventory.alive > settings.minSize
    if (now >= tooIdle && spare) {
      this.#ward.destroy(member, 'idle too long')
      return Number.POSITIVE_INFINITY
    }
    const sleepy = member.seenAt + member.keepaliveInterval
    if (now >= sleepy) {
      // After a standstill all are due at once: half of them stay ready to be lent.
      if (inventory.tending.size * 2 >= inventory.alive) this.overdue = true
      else this.#ward.keepAlive(member)
      return Number.POSITIVE_INFINITY
    }
    return Math.min(member.expiresAt, sleepy, tooIdle > now ? tooIdle : Number.POSITIVE_INFINITY)
  }

  /** Never below the minimum: where there is room the successor comes first, else one goes at a time. */
  #retire(member: Member<R>): number {
    const { inventory, settings, maker } = this.#ward
    const { alive, destroying } = inventory
    const oneByOne = alive >= settings.maxSize && maker.hopeful === 0 && destroying.size === 0
    if (alive > settings.minSize || (alive === settings.minSize && oneByOne)) {
      this.#ward.destroy(member, 'older than maxLifetime')
    } else {
      this.overdue = true
      this.replacements = alive < settings.maxSize ? 1 : 0
    }
    return Number.POSITIVE_INFINITY
  }

  #tendLoan(member: Member<R>, now: number): number {
    const { leakTimeout } = this.#ward.settings
    if (member.leaked) return Number.POSITIVE_INFINITY
    const due = member.lentAt + leakTimeout
    if (now < due) return due
    member.leaked = true
    this.#ward.counts.leaked++
    const { borrower } = member
    const stack = borrower?.stack ?? 'unknown'
    const error = stackless(
      () => new Error(`pool "${this.#ward.settings.name}": a loan lasts over ${leakTimeout} ms`),
    )
    this.#ward.tell({ change: 'leaked', stack, error })
    return Number.POSITIVE_INFINITY
  }
}
