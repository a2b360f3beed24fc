/**
 * Lets everything happen that can happen without time going on.
 */
import { nextTurn } from '../../src/core/clock.ts'

/** Resolves when every promise that can settle by itself has settled, however long its chain. */
export function settled(): Promise<void> {
  return new Promise(nextTurn)
}
