/**
 * The end of work whose caller has gone: it is cancelled, and its resource comes back when both the work
 * and the cancel have ended. A cancel that is under way would hit the next borrower's work, and one that
 * failed may still. Work that does not end although it was cancelled loses its resource: nobody will
 * ever answer it.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { bounded, type Ended, type HookContext } from './hook.ts'

/** What bounds a cancel. */
export interface CancelBounds {
  readonly name: string
  readonly clock: Clock
  readonly hookTimeout: number
}

export class Cancelling {
  readonly #bounds: CancelBounds
  readonly #giveUp: (why: string, error?: unknown) => void
  /** How the cancel ended. */
  #ended: Ended<unknown> | undefined
  /** Gives the resource back; there when the work has ended. */
  #giveBack: (() => void) | undefined
  #patience: Timer | undefined

  constructor(bounds: CancelBounds, giveUp: (why: string, error?: unknown) => void) {
    this.#bounds = bounds
    this.#giveUp = giveUp
  }

  begin(cancel: (context: HookContext) => unknown): void {
    const { name: pool, clock, hookTimeout: limit } = this.#bounds
    bounded({ clock, limit, pool, what: 'cancel' }, cancel, (ended) => {
      this.#ended = ended
      if (this.#giveBack !== undefined) return this.#end(ended, this.#giveBack)
      const tooLong = (): void => this.#giveUp('its work did not end when it was cancelled')
      this.#patience = clock.setTimer(tooLong, limit)
      this.#patience.unref()
    })
  }

  workEnded(giveBack: () => void): void {
    this.#giveBack = giveBack
    this.#patience?.cancel()
    if (this.#ended !== undefined) this.#end(this.#ended, giveBack)
  }

  #end(ended: Ended<unknown>, giveBack: () => void): void {
    if (ended.ok) giveBack()
    else this.#giveUp('cancel failed', ended.error)
  }
}
