/** What a queue says of itself and its jobs. */
import type { Clock } from '../../core/clock.ts'
import { Emitter, type JobChanged } from '../../core/events.ts'

export class Voice {
  readonly emitter: Emitter = new Emitter()
  readonly #name: string
  readonly #clock: Clock
  #storeIsDown = false
  #steps = 0
  /** Of the steps up to this one it is known that the store worked after they began. */
  #provenUpTo = 0

  constructor(name: string, clock: Clock) {
    this.#name = name
    this.#clock = clock
  }

  tell(facts: Omit<JobChanged, 'type' | 'policy' | 'at'>): void {
    if (!this.emitter.observed) return
    this.emitter.emit({ type: 'job', policy: this.#name, at: this.#clock.now(), ...facts })
  }

  /** A step of the store begins: the number to tell its failure by. */
  step(): number {
    return ++this.#steps
  }

  /**
   * Told once when it begins to fail, once when it works again: not with every attempt, and not for a step
   * that comes to its limit when others have shown meanwhile that the store is back.
   */
  storeFailed(step: number, error: unknown): void {
    if (this.#storeIsDown || step <= this.#provenUpTo) return
    this.#storeIsDown = true
    this.#tellStore('failed', error)
  }

  storeWorks(): void {
    this.#provenUpTo = this.#steps
    if (!this.#storeIsDown) return
    this.#storeIsDown = false
    this.#tellStore('recovered')
  }

  #tellStore(change: 'failed' | 'recovered', error?: unknown): void {
    if (!this.emitter.observed) return
    const facts = error === undefined ? {} : { error }
    const at = this.#clock.now()
    this.emitter.emit({ type: 'queue-store', policy: this.#name, at, change, ...facts })
  }
}
