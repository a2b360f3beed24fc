/**
 * Whether the event loop goes round: while one piece of work keeps it busy, everybody else waits,
 * whatever they want.
 */

/**
 * @typedef {object} Stalls - So far.
 * @property {number} count - How often it stood still.
 * @property {number} total - For how long in all, in ms.
 * @property {number} longest - ms.
 */

/** How often it is looked at, and what is still no stall, in ms. */
const every = 10
const tolerated = 40

/** @returns {Stalls} Counts from now on, for as long as this process lives. */
export function watchLoop() {
  const stalls = { count: 0, total: 0, longest: 0 }
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    const late = now - last - every
    last = now
    if (late <= tolerated) return
    stalls.count++
    stalls.total += late
    stalls.longest = Math.max(stalls.longest, late)
  }, every).unref()
  return stalls
}
