/** Medians and quartiles of samples, and of the ratios between samples of the same round. */

/**
 * @param {readonly number[]} values
 * @param {number} share 0.5 is the median.
 */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)]
  const above = sorted[Math.ceil(at)]
  return below + (above - below) * (at - Math.floor(at))
}

/** @param {readonly number[]} values */
export const median = (values) => quantile(values, 0.5)

/**
 * Rounds compared pairwise: what disturbs a round disturbs both sides of its ratio.
 * A subject too slow for every round has fewer samples, all of them from the first rounds.
 *
 * @param {readonly number[]} samples
 * @param {readonly number[]} base
 */
export function ratios(samples, base) {
  const rounds = Math.min(samples.length, base.length)
  return Array.from({ length: rounds }, (_, round) => samples[round] / base[round])
}
