/**
 * Those who wait for a resource: first come, first served, each for as long as it may, each able to
 * leave at any moment. Whoever has left is never handed anything.
 *
 * A waiter is a promise: what follows it runs in the async context of whoever waits.
 */
import { type Linked, link, type SignalHub, unlink } from '../../core/abort.ts'
import type { Timer } from '../../core/clock.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import type { Pulse } from '../../core/pulse.ts'
import { type Ticket, WaitQueue } from '../../core/queue.ts'
import type { Member } from './member.ts'

export class Line<R> {
  readonly #queue = new WaitQueue<Waiter<R>>()
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

  get size(): number {
    return this.#queue.size
  }

  /** Stands in line until `due`. `signal` must not be aborted yet. */
  join(
    due: number,
    signal: AbortSignal | undefined,
    borrower: Error | undefined,
  ): Promise<Member<R>> {
    const granted = new Promise(capture) as Promise<Member<R>>
    const waiter = new Waiter<R>(this, this.#pulse.now(), due, borrower)
    waiter.ticket = this.#queue.push(waiter)
    if (signal !== undefined) link(signal, waiter)
    if (due < this.#due) this.#arm(due)
    return granted
  }

  /** The first in line, who leaves it and must be granted something. */
  shift(): Waiter<R> | undefined {
    const waiter = this.#queue.shift()
    if (waiter !== undefined) {
      unlink(waiter)
      this.#rest()
    }
    return waiter
  }

  /** Sends everybody away; says how many that were. */
  refuseAll(error: unknown): number {
    const waiters = this.#queue.clear()
    this.#rest()
    for (const waiter of waiters) {
      unlink(waiter)
      waiter.reject(error)
    }
    return waiters.length
  }

  /** @internal Used by a waiter. */
  leave(waiter: Waiter<R>, error: () => unknown): void {
    if (waiter.ticket === undefined || !this.#queue.remove(waiter.ticket)) return
    unlink(waiter)
    this.#rest()
    waiter.reject(error())
    this.#onLeave()
  }

  /** The timer goes with the last in line, and keeps the process alive until then. */
  #rest(): void {
    if (this.#queue.size > 0 || this.#timer === undefined) return
    this.#timer.cancel()
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

  readonly #sweep = (): void => {
    const now = this.#pulse.clock.now()
    this.#due = Number.POSITIVE_INFINITY
    let next = Number.POSITIVE_INFINITY
    for (const waiter of this.#queue) {
      if (waiter.due <= now) this.leave(waiter, () => this.#tooLate(now - waiter.since))
      else next = Math.min(next, waiter.due)
    }
    if (this.#queue.size > 0 && next < this.#due) this.#arm(next)
  }
}

export class Waiter<R> implements Linked {
  readonly since: number
  readonly due: number
  readonly borrower: Error | undefined
  readonly grant: (member: Member<R>) => void
  readonly reject: (error: unknown) => void
  ticket: Ticket | undefined = undefined
  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  readonly #line: Line<R>

  /** Call right after `new Promise(capture)`. */
  constructor(line: Line<R>, since: number, due: number, borrower: Error | undefined) {
    this.#line = line
    this.since = since
    this.due = due
    this.borrower = borrower
    this.grant = resolveNew as (member: Member<R>) => void
    this.reject = rejectNew
  }

  onAbort(reason: unknown): void {
    this.#line.leave(this, () => reason)
  }
}
