import { describe, expect, it } from 'vitest'
import { seededRandom } from './seeded-random.ts'

function draws(seed: number | string, count: number): number[] {
  return Array.from({ length: count }, seededRandom(seed))
}

describe('seededRandom', () => {
  it('repeats itself for the same seed, on every machine', () => {
    expect(draws(42, 3)).toEqual(draws(42, 3))
    expect(draws(42, 3)).toMatchInlineSnapshot(`
      [
        0.09958556714550137,
        0.11887264310900125,
        0.6324906162387615,
      ]
    `)
    expect(draws('42', 3)).toEqual(draws(42, 3))
  })

  it('differs for seeds that differ little', () => {
    const seeds = [0, 1, 2, -1, 0.5, '', 'a', 'b', 'ab', 'ba']

    expect(new Set(seeds.map((seed) => draws(seed, 1)[0])).size).toBe(seeds.length)
  })

  it('says what its seed is', () => {
    expect(seededRandom('the seed').seed).toBe('the seed')
    expect(seededRandom(7).seed).toBe(7)
  })

  it.each([1, 2, 'three'])('draws evenly from 0 up to but not including 1 with seed %s', (seed) => {
    const drawn = draws(seed, 100_000)

    const tenths = Array.from({ length: 10 }, () => 0)
    for (const value of drawn)
      tenths[Math.floor(value * 10)] = (tenths[Math.floor(value * 10)] ?? 0) + 1
    expect(tenths).toHaveLength(10)
    for (const hits of tenths) expect(Math.abs(hits - 10_000)).toBeLessThan(400)
    expect(Math.min(...drawn.slice(0, 1_000))).toBeGreaterThanOrEqual(0)
  })

  it('does not depend on the draw before', () => {
    const drawn = draws('pairs', 50_000)

    let product = 0
    for (let at = 1; at < drawn.length; at++) {
      product += ((drawn[at] as number) - 0.5) * ((drawn[at - 1] as number) - 0.5)
    }
    expect(Math.abs(product / drawn.length) * 12).toBeLessThan(0.02)
  })

  it('has more than 32 random bits', () => {
    const low = draws('bits', 1_000).map((value) => (value * 2 ** 32) % 1)

    expect(new Set(low).size).toBeGreaterThan(990)
  })
})

describe('integer', () => {
  it('draws every whole number from min to max, both included', () => {
    const random = seededRandom('dice')

    const seen = new Set(Array.from({ length: 500 }, () => random.integer(-1, 4)))

    expect([...seen].toSorted((a, b) => a - b)).toEqual([-1, 0, 1, 2, 3, 4])
  })

  it('has no choice where min is max, and stays in the largest range', () => {
    const random = seededRandom('wide')
    const { MAX_SAFE_INTEGER: most } = Number

    expect(random.integer(3, 3)).toBe(3)
    for (let i = 0; i < 100; i++) {
      const drawn = random.integer(-most, most)
      expect(Number.isInteger(drawn) && Math.abs(drawn) <= most).toBe(true)
    }
  })

  it.each([
    [2, 1],
    [0.5, 2],
    [0, 1.5],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
  ])('refuses %s to %s', (min, max) => {
    expect(() => seededRandom(1).integer(min, max)).toThrow(
      new RangeError(`seededRandom: integer needs whole min <= max, but got ${min} and ${max}`),
    )
  })
})

describe('pick', () => {
  it('draws every item', () => {
    const random = seededRandom('pick')

    const seen = new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b', 'c'])))

    expect([...seen].toSorted()).toEqual(['a', 'b', 'c'])
  })

  it('refuses an empty list', () => {
    expect(() => seededRandom(1).pick([])).toThrow(RangeError)
  })
})
