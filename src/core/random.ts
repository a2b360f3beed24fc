/**
 * Chance. The only module that names `Math.random`.
 * Everything that rolls dice takes a `RandomSource`, so that a test can load them.
 * A seeded one is `seededRandom` of `holdfast/testing`.
 */

import { quiet } from './events.ts'

/**
 * Returns a number from 0 up to but not including 1, as `Math.random` does.
 * While one of your own throws, or gives anything else, that of the machine takes its place.
 */
export type RandomSource = () => number

/**
 * The chance of the machine, used wherever no other `random` is given.
 *
 * @example
 * ```ts
 * import { systemRandom } from 'holdfast'
 *
 * const drawn = systemRandom()
 * drawn >= 0 && drawn < 1 // => true
 * ```
 */
export const systemRandom: RandomSource = () => Math.random()

/** The same source, except that the machine's answers while it throws, or gives what is no chance. */
export function guardedRandom(random: RandomSource): RandomSource {
  return () => {
    try {
      const drawn: unknown = quiet(random())
      if (typeof drawn === 'number' && drawn >= 0 && drawn <= 1) return drawn
    } catch {
      // Dice are thrown where an error would leave a call counted for ever.
    }
    return systemRandom()
  }
}

/** A text that nobody else makes, not even another process; texts made later sort behind. */
export function uniqueId(wallTime: number): string {
  const time = Math.max(0, Math.floor(wallTime)).toString(36).padStart(9, '0')
  return `${time}-${globalThis.crypto.randomUUID().replaceAll('-', '').slice(0, 20)}`
}
