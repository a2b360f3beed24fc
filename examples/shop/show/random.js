/**
 * Chance that repeats: the same seed gives the same customers, the same answering times and the
 * same failures, so that a run can be told again and both shops meet the same day.
 */

/** @typedef {() => number} Random  The next number, from 0 up to but not including 1. */

/**
 * Seeded random numbers (mulberry32, Tommy Ettinger).
 *
 * @param {string} seed - Any text; each text is a stream of its own.
 * @returns {Random}
 */
export function seededRandom(seed) {
  let state = hash(seed)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * FNV-1a, 32 bits.
 *
 * @param {string} text
 */
function hash(text) {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return value
}
