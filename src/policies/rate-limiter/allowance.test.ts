import { describe, expect, it } from 'vitest'
import { SlidingWindow } from './sliding-window.ts'
import { TokenBucket } from './token-bucket.ts'

describe('a sliding window', () => {
  it('grows without losing its place in the ring', () => {
    const window = new SlidingWindow({ limit: 40, interval: 1_000, burst: 40 })
    for (let at = 0; at < 10; at++) window.take(1, at)
    for (let at = 2_000; at < 2_040; at++) {
      expect(window.wait(1, 0, at)).toBe(0)
      window.take(1, at)
    }
    expect(window.wait(1, 0, 2_040)).toBe(960)
    // The sixth to come is granted when the sixth of those remembered is forgotten.
    expect(window.wait(1, 5, 2_040)).toBe(965)
    expect(window.available(3_019)).toBe(20)
    expect(window.wait(1, 20, 3_019)).toBe(1)
  })

  it('knows when those that are in line now will have been forgotten', () => {
    const window = new SlidingWindow({ limit: 2, interval: 1_000, burst: 2 })
    window.take(1, 0)
    window.take(1, 400)
    expect([0, 1, 2, 3, 4].map((ahead) => window.wait(1, ahead, 500))).toEqual([
      500, 900, 1_500, 1_900, 2_500,
    ])
  })

  it('keeps no remainder of weights that are no whole numbers', () => {
    const window = new SlidingWindow({ limit: 1, interval: 1_000, burst: 1 })
    for (const weight of [0.1, 0.2, 0.3]) window.take(weight, weight)
    expect(window.available(5_000)).toBe(1)
  })

  it('gives back what was taken at that moment, and nothing else', () => {
    const window = new SlidingWindow({ limit: 5, interval: 1_000, burst: 5 })
    window.take(2, 0)
    window.take(3, 10)
    window.giveBack(3, 10)
    window.giveBack(3, 11)
    expect(window.available(20)).toBe(3)
    expect(window.available(1_000)).toBe(5)
  })
})

describe('a token bucket', () => {
  it('never holds more than it can, whatever is given back', () => {
    const bucket = new TokenBucket({ limit: 10, interval: 1_000, burst: 10 }, 0)
    bucket.take(8, 0)
    bucket.resize({ limit: 2, interval: 1_000, burst: 2 }, 0)
    bucket.giveBack(8)
    expect(bucket.available(0)).toBe(2)
    expect(bucket.wait(2, 2, 0)).toBe(1_000)
  })
})
