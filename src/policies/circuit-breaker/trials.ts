/**
 * The trial calls of a half-open circuit: how many may run, how many have succeeded, and which have
 * lost their place because they never came back.
 */
import type { Permit } from '../../core/step.ts'

/** One trial call. It decides only while it is live. */
export interface Trial extends Permit {
  readonly expiresAt: number
  readonly expired: boolean
}

export class Trials {
  readonly #wanted: number
  readonly #lease: number
  readonly #live = new Set<Lease>()
  #succeeded = 0

  constructor(wanted: number, lease: number) {
    this.#wanted = wanted
    this.#lease = lease
  }

  /** A place for one more trial, unless enough are out or have succeeded. */
  tryBegin(now: number): Trial | undefined {
    // All leases last equally long: the first is the first to expire.
    for (const lease of this.#live) {
      if (lease.expiresAt > now) break
      this.#expire(lease)
    }
    if (this.#live.size + this.#succeeded >= this.#wanted) return undefined
    const lease = new Lease(now + this.#lease)
    this.#live.add(lease)
    return lease
  }

  /** Gives the place back without a verdict. */
  forget(trial: Trial): void {
    this.#live.delete(trial as Lease)
  }

  /** Notes a success; true if it was the last one needed. */
  succeed(trial: Trial): boolean {
    this.#live.delete(trial as Lease)
    return ++this.#succeeded >= this.#wanted
  }

  /** Until the next place may become free, in ms, if no trial ends before. */
  wait(now: number): number {
    const [first] = this.#live
    return first === undefined ? this.#lease : Math.max(0, first.expiresAt - now)
  }

  #expire(lease: Lease): void {
    lease.expired = true
    this.#live.delete(lease)
  }
}

class Lease implements Trial {
  readonly kind = 'permit'
  readonly expiresAt: number
  expired = false

  constructor(expiresAt: number) {
    this.expiresAt = expiresAt
  }
}
