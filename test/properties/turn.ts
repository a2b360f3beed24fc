/**
 * What histories of thousands of steps need: to let everything happen, and to look at it quickly.
 */
import { expect } from 'vitest'
import { nextTurn } from '../../src/core/clock.ts'

/** Resolves when every promise that can settle by itself has settled, however long its chain. */
export function settled(): Promise<void> {
  return new Promise(nextTurn)
}

/** `expect(actual).toBe(expected)`, which costs nothing while they are the same. */
export function same(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) expect(actual).toBe(expected)
}
