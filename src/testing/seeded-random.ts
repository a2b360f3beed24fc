/**
 * Chance that repeats: the same seed, the same numbers, on every machine.
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand), its state filled from the text of the
 * seed by the FNV-1a hash and 32-bit finalizer of MurmurHash3.
 */

import type { RandomSource } from '../core/random.ts'

/** A `RandomSource` that repeats, with two common draws. */
export interface SeededRandom {
  /** The next number from 0 up to but not including 1, with 53 random bits. */
  (): number
  /** The seed it was made with; print it when a test fails. */
  readonly seed: number | string
  /**
   * A whole number from `min` to `max`, both included.
   *
   * @throws RangeError if one is not a safe integer, or `min` is above `max`.
   */
  integer(min: number, max: number): number
  /**
   * One of the items.
   *
   * @throws RangeError if there is none.
   */
  pick<T>(items: readonly T[]): T
}

/**
 * Makes a source of chance that gives the same sequence for the same seed.
 *
 * **Use it** as the `random` of a policy, so that jitter is the same in every run of a test.
 * **Not for** secrets: it can be predicted.
 *
 * @param seed - A number, or any text: a number and its decimal text are the same seed.
 *
 * @example
 * ```ts
 * import { seededRandom } from 'holdfast/testing'
 *
 * const random = seededRandom(42)
 * random() === seededRandom(42)() // => true
 * random.integer(1, 6) <= 6 // => true
 * random.pick(['heads']) // => 'heads'
 * ```
 */
export function seededRandom(seed: number | string): SeededRandom {
  const next = generator(String(seed))
  const random: RandomSource = () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53
  const integer = (min: number, max: number): number => {
    if (!(Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max)) {
      throw new RangeError(
        `seededRandom: integer needs whole min <= max, but got ${min} and ${max}`,
      )
    }
    return Math.min(max, min + Math.floor(random() * (max - min + 1)))
  }
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError('seededRandom: cannot pick from an empty list')
    return items[integer(0, items.length - 1)] as T
  }
  return Object.assign(() => random(), { seed, integer, pick })
}

/** The next 32 random bits. */
function generator(seed: string): () => number {
  let hash = 0x811c9dc5
  for (let at = 0; at < seed.length; at++) {
    hash = Math.imul(hash ^ seed.charCodeAt(at), 0x01000193)
  }
  const word = (): number => {
    hash = (hash + 0x9e3779b9) | 0
    let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return mixed ^ (mixed >>> 16)
  }
  let [a, b, c, counter] = [word(), word(), word(), 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum
  }
  // The first words still show the seed.
  for (let round = 0; round < 12; round++) next()
  return next
}
