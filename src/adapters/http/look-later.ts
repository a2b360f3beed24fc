/**
 * Most bodies are read within the turn of the loop in which their head has come: a timer for each would
 * cost more than all else that is done for it. Who began in a turn is looked at once it is over.
 */
import { type Clock, inNextTurn } from '../../core/clock.ts'

/** Wants to be asked in the next turn, if that still matters then. */
export interface Later {
  watchOn(): void
}

let waiting: Later[] = []

export function lookLater(clock: Clock, one: Later): void {
  // A clock of a test's own, whose time stands still, knows no turns.
  if (clock.defer === undefined) return one.watchOn()
  if (waiting.push(one) > 1) return
  inNextTurn(clock, () => {
    const all = waiting
    waiting = []
    for (const each of all) each.watchOn()
  })
}
