import { describe, expect, it } from 'vitest'
import { seededRandom } from '../testing/seeded-random.ts'
import { Histogram } from './histogram.ts'

function of(...durations: number[]): Histogram {
  const histogram = new Histogram()
  for (const duration of durations) histogram.record(duration)
  return histogram
}

describe('a Histogram', () => {
  it('says 0 of everything when nothing was recorded', () => {
    expect(new Histogram().stats()).toEqual({ count: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 })
    expect(new Histogram().percentile(1)).toBe(0)
  })

  it('counts, and knows mean and longest exactly', () => {
    expect(of(1, 2, 6.5, 30.5).stats()).toMatchObject({ count: 4, mean: 10, max: 30.5 })
  })

  it('never says more than the longest that there was', () => {
    expect(of(100).stats()).toEqual({ count: 1, mean: 100, p50: 100, p90: 100, p99: 100, max: 100 })
  })

  it('is at most 3.2 % above the true percentile, and never below it', () => {
    const random = seededRandom('latencies')
    const longTail = Array.from({ length: 20_000 }, () => 0.01 * 10 ** (random() * 7))
    const shapes = [
      longTail,
      Array.from({ length: 5_000 }, () => 1 + random()),
      Array.from({ length: 999 }, (_, n) => n + 1),
      [0.001, 0.002, 0.5],
      Array.from({ length: 40 }, (_, exponent) => 2 ** (exponent - 9)).filter((ms) => ms < 2 ** 25),
    ]

    for (const durations of shapes) {
      const histogram = of(...durations)
      const sorted = durations.toSorted((a, b) => a - b)
      for (const share of [0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
        const exact = sorted[Math.ceil(share * sorted.length) - 1] as number
        const found = histogram.percentile(share)
        expect(found).toBeGreaterThanOrEqual(exact)
        expect(found).toBeLessThanOrEqual(exact * 1.032)
      }
    }
  })

  it('takes the rank of a percentile from above: 9 of 10 are at most p90', () => {
    const histogram = of(...Array.from({ length: 9 }, () => 1), 1_000)

    expect(histogram.percentile(0.9)).toBeLessThan(1.04)
    expect(histogram.percentile(0.91)).toBe(1_000)
    expect(histogram.stats()).toMatchObject({ p90: histogram.percentile(0.9), p99: 1_000 })
  })

  it('gives the fastest for a share of 0', () => {
    expect(of(64, 1_000).percentile(0)).toBeLessThanOrEqual(64 * 1.032)
  })

  it('puts what is shorter than a microsecond into its first bucket', () => {
    const histogram = of(0, 1e-9, 2 ** -10)

    expect(histogram.percentile(0.5)).toBeLessThanOrEqual(2 ** -10 * 1.032)
    expect(histogram.stats()).toMatchObject({ count: 3, max: 2 ** -10 })
  })

  it('puts whole years into its last bucket and still knows the longest', () => {
    const year = 365 * 86_400_000

    const { p50, p99, max } = of(1, year, 3 * year).stats()

    expect(max).toBe(3 * year)
    expect(p99).toBeGreaterThan(2 ** 25)
    expect(p50).toBeGreaterThan(2 ** 25)
  })

  it.each([Number.NaN, -1, Number.NEGATIVE_INFINITY, -0])(
    'counts %d, which is no duration, as 0 and throws at nobody (WP6)',
    (duration) => {
      expect(of(duration).stats()).toEqual({ count: 1, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 })
    },
  )
})
