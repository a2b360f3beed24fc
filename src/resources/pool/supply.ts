/**
 * What acts: it looks at the inventory and at the line, decides synchronously, and calls the hooks
 * afterwards. Everything that changes comes through `balance`, which brings resources and waiters
 * together: nobody waits beside an idle resource, and whoever waits has something on its way.
 */
import { type Pulse, pulseOf } from '../../core/pulse.ts'
import { followUses, type Lender } from './handlers.ts'
import { bounded, type Ended, type HookContext } from './hook.ts'
import { Keeper, type Ward } from './keeper.ts'
import { type Host, Line } from './line.ts'
import { Maker, type Orderer } from './maker.ts'
import type { Member } from './member.ts'
import type { Settings } from './options.ts'
import { Voice } from './voice.ts'

type Look = 'validate' | 'keepalive' | 'reset'

export class Supply<R> extends Voice<R> implements Orderer<R>, Ward<R>, Lender<R>, Host {
  readonly pulse: Pulse
  readonly line: Line<R>
  readonly maker: Maker<R>
  readonly keeper: Keeper<R>
  /** `draining` takes nobody in, `closed` serves nobody either. */
  phase: 'open' | 'draining' | 'closed' = 'open'
  suspended = false
  /** Loans are to be watched: who borrowed, and since when. */
  readonly watchesLoans: boolean
  /** Called after each change that more than one borrower sees. */
  readonly watchers: Set<() => void> = new Set()
  /** What went wrong with destroying, since closing began. */
  readonly problems: unknown[] = []
  #balancing = false
  #again = false

  constructor(settings: Settings<R>) {
    super(settings)
    this.pulse = pulseOf(settings.clock)
    this.maker = new Maker(settings, this)
    this.keeper = new Keeper(this)
    this.watchesLoans = settings.leakTimeout !== Number.POSITIVE_INFINITY
    this.line = new Line(this.pulse, settings.acquireTimeout, this)
  }

  /** The fast path: an idle resource that needs no look. */
  take(): Member<R> | undefined {
    const member = this.inventory.next
    if (member === undefined || this.suspended) return undefined
    if (member.turn !== this.pulse.turn && this.pulse.now() >= member.freshUntil) return undefined
    this.inventory.lendNext(member)
    member.countUse(this.settings.maxUses)
    if (this.watchesLoans) this.watchLoan(member, new Error('borrowed here'))
    return member
  }

  /** Brings waiters and resources together. Never recurses, whatever a hook does. */
  balance(): void {
    this.#again = true
    if (this.#balancing) return
    this.#balancing = true
    while (this.#again) {
      this.#again = false
      if (this.phase !== 'closed') this.#balanceOnce()
    }
    this.#balancing = false
    this.line.tell()
    if (this.watchers.size > 0) for (const look of [...this.watchers]) look()
  }

  #balanceOnce(): void {
    const { inventory, line, settings, keeper } = this
    const now = settings.clock.now()
    while (!this.suspended && line.size > inventory.validating.size) {
      const member = inventory.next
      if (member === undefined) break
      if (now >= member.expiresAt) this.#retire(member)
      else if (now < member.freshUntil) this.#serve(member)
      else this.#look(member, 'validate')
    }
    const coming = this.maker.hopeful
    const served = inventory.validating.size + inventory.tending.size + coming
    const waiting = this.suspended ? 0 : line.size
    const missing =
      this.phase === 'open' ? settings.minSize + keeper.replacements - inventory.alive : 0
    const wanted = Math.max(waiting - served, missing)
    const room = settings.limit - inventory.size
    if (wanted <= 0) return coming === 0 ? this.maker.rest() : undefined
    if (room > 0) this.maker.order(Math.min(wanted, room), coming, waiting > 0)
  }

  /** A loan has ended well. */
  giveBack(member: Member<R>): void {
    if (member.place !== this.inventory.lent) return
    const stays = this.phase === 'open' && !this.settings.overflows
    const isFit = stays && member.turn === this.pulse.turn
    if (isFit && this.line.size === 0) this.inventory.shelve(member, false)
    else if (!(isFit && this.#passes(member))) this.#takeBack(member)
  }

  #takeBack(member: Member<R>): void {
    const now = this.pulse.now()
    if (now >= member.expiresAt) this.#retire(member)
    else if (this.settings.reset !== undefined) this.#look(member, 'reset')
    else {
      // Within one turn of the loop it is all the same moment.
      if (now !== member.usedAt) {
        member.usedAt = now
        this.#seen(member, now)
      }
      member.noteReturn(this.pulse)
      if (this.phase === 'open' && this.#passes(member)) return
      this.#offer(member, false)
    }
    if (this.phase === 'open') this.line.tell()
    else this.balance()
  }

  /** To the first in line, if there is one: it stays lent, unless its loans are watched. */
  #passes(member: Member<R>): boolean {
    if (this.line.size === 0 || this.suspended || this.watchesLoans) return false
    member.countUse(this.settings.maxUses)
    this.line.pass(member)
    return true
  }

  /** The work on a lent resource has failed. */
  giveBackFailed(member: Member<R>, error: unknown): void {
    const { isBroken } = this.settings
    let broken = true
    try {
      broken = isBroken?.(error, member.resource as R) !== false
    } catch {
      // Whoever cannot tell whether it is broken must not lend it again.
    }
    if (broken) this.giveUp(member, 'its work failed', error)
    else this.giveBack(member)
  }

  /** A lent resource is of no use any more. */
  giveUp(member: Member<R>, reason: string, error?: unknown): void {
    if (member.place === this.inventory.lent) this.destroy(member, reason, error)
  }

  destroy(member: Member<R>, reason: string, error?: unknown): void {
    const { inventory, settings, counts } = this
    if (!inventory.doom(member)) return
    const { destroy, clock, hookTimeout: limit, name: pool } = settings
    const resource = member.resource as R
    const done = (ended: Ended<unknown>): void => {
      inventory.forget(member)
      counts.destroyed++
      this.endedUses += member.uses
      if (ended.ok) this.tell({ change: 'destroyed', reason, error })
      else {
        this.tell({ change: 'destroy-failed', reason, error: ended.error })
        if (this.phase === 'closed') this.problems.push(ended.error)
      }
      this.balance()
    }
    if (destroy === undefined) done({ ok: true, value: undefined })
    else
      bounded(
        { clock, limit, pool, what: 'destroy' },
        (context) => destroy(resource, context),
        done,
      )
  }

  /** Takes an idle resource out to be kept alive. */
  keepAlive(member: Member<R>): void {
    this.#look(member, 'keepalive')
  }

  watchLoan(member: Member<R>, borrower: Error | undefined): void {
    member.borrower = borrower
    member.leaked = false
    member.lentAt = this.pulse.now()
    this.keeper.watch(member.lentAt + this.settings.leakTimeout)
  }

  reserve(round: number): Member<R> {
    return this.inventory.add(round)
  }

  arrived(member: Member<R>, resource: R): void {
    const { settings, inventory } = this
    const now = settings.clock.now()
    this.maker.succeed(member)
    this.counts.created++
    member.resource = resource
    member.begin(now, settings)
    followUses(this, member)
    this.tell({ change: 'created' })
    // As if it came back from a first loan: whether it may stay is decided in one place.
    inventory.check(member)
    this.keeper.watch(member.expiresAt)
    this.#settleLook(member, 'validate')
    if (this.keeper.overdue) this.keeper.watch(now)
    this.balance()
  }

  arrivedLate(member: Member<R>, resource: R): void {
    member.resource = resource
    this.destroy(member, 'created too late')
  }

  failed(member: Member<R>, error: unknown): void {
    const { inventory, maker, settings, line } = this
    maker.fail(member, error)
    this.counts.createFailed++
    this.tell({ change: 'create-failed', error })
    // Whoever can still be served goes on waiting.
    const { validating, tending, lent } = inventory
    const others = maker.hopeful + validating.size + tending.size + lent.size
    if (others === 0 && maker.failures > settings.createRetries && !this.suspended) {
      this.counts.rejected += line.refuseAll(error)
    }
    this.balance()
  }

  /** Nobody in line will be served: all of them count, one has been counted already. */
  turnAway(error: Error): void {
    this.counts.rejected += this.line.refuseAll(error) - 1
  }

  gaveUp(member: Member<R>): void {
    this.inventory.forget(member)
    this.balance()
  }

  broke(member: Member<R>, error: unknown): void {
    this.condemn(member, 'broke by itself', error)
  }

  /** It is not lent again: destroyed at once if idle, else when it comes back. */
  condemn(member: Member<R>, verdict: string, fault?: unknown): void {
    member.condemn(verdict, fault)
    if (member.place === this.inventory.idle) this.#retire(member)
  }

  mayMake(): void {
    this.balance()
  }

  #serve(member: Member<R>): void {
    const { borrower } = this.line.serve(member)
    this.inventory.lend(member)
    member.countUse(this.settings.maxUses)
    if (this.watchesLoans) this.watchLoan(member, borrower)
  }

  #retire(member: Member<R>): void {
    this.destroy(member, member.verdict ?? 'older than maxLifetime', member.fault)
  }

  #seen(member: Member<R>, now: number): void {
    member.seenAt = now
    member.freshUntil = Math.min(member.expiresAt, now + this.settings.freshFor)
    this.keeper.watch(now + this.settings.careAfter)
  }

  /** To the first in line, else to the idle; what a burst has left over is destroyed. */
  #offer(member: Member<R>, asOldest: boolean): void {
    const { inventory, settings } = this
    if (this.line.size > 0 && !this.suspended) this.#serve(member)
    else if (settings.overflows && inventory.alive > settings.maxSize) {
      this.destroy(member, 'left over from a burst')
    } else inventory.shelve(member, asOldest)
  }

  /** Hands a resource to a hook; it is lent or idle again only when that has gone well, in time. */
  #look(member: Member<R>, look: Look): void {
    const { inventory, settings } = this
    const { clock, hookTimeout: limit, name: pool } = settings
    if (look === 'validate') inventory.check(member)
    else inventory.tend(member)
    const began = clock.now()
    const hook = (context: HookContext): unknown => settings[look]?.(member.resource as R, context)
    bounded({ clock, limit, pool, what: look }, hook, (ended) => {
      if (!ended.ok && ended.late) this.keeper.suspect(began)
      if (!ended.ok) this.destroy(member, `${look} failed`, ended.error)
      else if (ended.value === false && look !== 'reset') this.destroy(member, `${look} said no`)
      else this.#settleLook(member, look)
      if (this.keeper.overdue) this.keeper.watch(began)
      this.balance()
    })
  }

  #settleLook(member: Member<R>, look: Look): void {
    const now = this.settings.clock.now()
    if (now >= member.expiresAt) return this.#retire(member)
    if (look === 'reset') member.usedAt = now
    this.#seen(member, now)
    this.#offer(member, look === 'keepalive')
  }
}
