/**
 * Seeded chance, so that the order of a run can be repeated.
 *
 * @param {number} seed
 * @returns {() => number} Numbers in [0, 1). Mulberry32, Tommy Ettinger 2017, public domain.
 */
export function seeded(seed) {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * @template T
 * @param {readonly T[]} values
 * @param {() => number} random
 * @returns {T[]}
 */
export function shuffled(values, random) {
  const copy = [...values]
  for (let last = copy.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const value = copy[last]
    copy[last] = copy[other]
    copy[other] = value
  }
  return copy
}
