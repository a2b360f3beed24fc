/**
 * Spreads delays, so that callers that failed together do not come back together.
 * The cap is never passed and never piled up on: a range that would pass it is cut there,
 * and the delay is drawn from what remains.
 */

import { anyOf, type Check, number, oneOf } from './options.ts'
import type { RandomSource } from './random.ts'

/**
 * How a delay is spread.
 *
 * - a fraction from 0 to 1: evenly around the delay, 0.2 being ±20 %
 * - `'none'`: not at all
 * - `'full'`: evenly from 0 to the delay
 * - `'equal'`: half the delay, and evenly up to the other half
 * - `'decorrelated'`: evenly from the base delay to three times the delay before; the shape of the
 *   backoff gives way to this walk
 *
 * The names are those of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export type Jitter = number | 'none' | 'full' | 'equal' | 'decorrelated'

/** Every {@link Jitter} that needs only the delay itself. */
export type PlainJitter = Exclude<Jitter, 'decorrelated'>

/** Checks of the `jitter` option. */
export const plainJitter: Check = anyOf(number(0, 1), oneOf(['none', 'full', 'equal']))
export const anyJitter: Check = anyOf(
  number(0, 1),
  oneOf(['none', 'full', 'equal', 'decorrelated']),
)

/** Between what a delay may be drawn. */
export interface Bounds {
  /** What a decorrelated delay never falls below, in ms. */
  readonly base: number
  /** What no delay passes, in ms. */
  readonly cap: number
}

/**
 * Draws the delay that stands for `delay`, which must be from 0 to `bounds.cap`.
 *
 * A fraction j gives delay × (1 - j) to min(delay × (1 + j), cap), so at the cap the mean lies
 * half the fraction below it. Likewise a decorrelated range ends at the cap, where the original
 * draws beyond it first, and so puts most of its delays on the cap once it is near.
 */
export function spread(
  delay: number,
  jitter: Jitter,
  { base, cap }: Bounds,
  { random, previous }: { readonly random: RandomSource; readonly previous: number },
): number {
  switch (jitter) {
    case 'none':
      return delay
    case 'full':
      return draw(0, delay, random)
    case 'equal':
      return draw(delay / 2, delay, random)
    case 'decorrelated':
      return draw(base, Math.min(3 * (previous > base ? previous : base), cap), random)
    default:
      return draw(delay * (1 - jitter), Math.min(delay * (1 + jitter), cap), random)
  }
}

function draw(low: number, high: number, random: RandomSource): number {
  const drawn = random()
  // A user's source may give anything, NaN too; the delay stays within its range.
  const share = drawn > 0 ? Math.min(drawn, 1) : 0
  return Math.min(high, low + (high - low) * share)
}
