/** What a pool says of itself: its counts, its events, and the numbers in its errors. */
import {
  AcquireTimeoutError,
  PoolClosedError,
  type PoolFacts,
  PoolFullError,
} from '../../core/errors.ts'
import { Emitter, type PoolChanged } from '../../core/events.ts'
import { stackless } from '../../core/stackless.ts'
import { Inventory } from './inventory.ts'
import type { Settings } from './options.ts'

export abstract class Voice<R> {
  readonly settings: Settings<R>
  readonly inventory: Inventory<R>
  readonly emitter: Emitter = new Emitter()
  readonly counts = {
    timedOut: 0,
    rejected: 0,
    created: 0,
    createFailed: 0,
    destroyed: 0,
    leaked: 0,
  }

  /** Loans of the resources that are no more. */
  protected endedUses = 0

  constructor(settings: Settings<R>) {
    this.settings = settings
    this.inventory = new Inventory(settings.order)
  }

  abstract readonly line: { readonly size: number }
  abstract readonly maker: { readonly lastFailure: unknown }

  /** Loans so far; counted by the resources, so that lending touches nothing else. */
  get acquired(): number {
    let uses = this.endedUses
    for (const member of this.inventory.members) uses += member.uses
    return uses
  }

  facts(): PoolFacts {
    const { inventory, line, settings } = this
    return {
      total: inventory.size,
      idle: inventory.idle.size,
      inUse: inventory.lent.size,
      waiting: line.size,
      limit: settings.limit,
    }
  }

  tell(facts: Pick<PoolChanged, 'change' | 'reason' | 'error' | 'stack'>): void {
    if (!this.emitter.observed) return
    const { name: policy, clock } = this.settings
    this.emitter.emit({ type: 'pool', policy, at: clock.now(), ...facts })
  }

  /** Counts, tells and hands out why somebody is not served. */
  closed(): PoolClosedError {
    this.counts.rejected++
    return this.#refusal(stackless(() => new PoolClosedError(this.settings.name)))
  }

  full(): PoolFullError {
    const { name, maxWaiting } = this.settings
    this.counts.rejected++
    return this.#refusal(stackless(() => new PoolFullError(name, this.facts(), maxWaiting)))
  }

  tooLate(waited: number): AcquireTimeoutError {
    const { name } = this.settings
    const { lastFailure } = this.maker
    this.counts.timedOut++
    return this.#refusal(
      stackless(() => new AcquireTimeoutError(name, waited, this.facts(), lastFailure)),
    )
  }

  #refusal<E extends Error>(error: E): E {
    if (!this.emitter.observed) return error
    const { name: policy, clock } = this.settings
    this.emitter.emit({ type: 'reject', policy, pipeline: policy, at: clock.now(), error })
    return error
  }
}
