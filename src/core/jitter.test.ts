import { describe, expect, it } from 'vitest'
import { seededRandom } from '../testing/seeded-random.ts'
import { anyJitter, type Jitter, plainJitter, spread } from './jitter.ts'

const bounds = { base: 100, cap: 1_000 }

/** The shortest, the middle and the longest delay that a jitter makes of one. */
function range(delay: number, jitter: Jitter, previous = 0): number[] {
  return [0, 0.5, 1].map((drawn) =>
    spread(delay, jitter, bounds, { random: () => drawn, previous }),
  )
}

describe('spread', () => {
  it.each<[Jitter, number[]]>([
    ['none', [400, 400, 400]],
    ['full', [0, 200, 400]],
    ['equal', [200, 300, 400]],
    [0, [400, 400, 400]],
    [0.2, [320, 400, 480]],
    [1, [0, 400, 800]],
  ])('with %s draws evenly from its range', (jitter, expected) => {
    expect(range(400, jitter)).toEqual(expected)
  })

  it.each<[Jitter, number[]]>([
    ['none', [1_000, 1_000, 1_000]],
    ['full', [0, 500, 1_000]],
    ['equal', [500, 750, 1_000]],
    [0.2, [800, 900, 1_000]],
    [1, [0, 500, 1_000]],
  ])('with %s draws from below the cap, at the cap', (jitter, expected) => {
    expect(range(1_000, jitter)).toEqual(expected)
  })

  it('cuts a range that would pass the cap where the cap is', () => {
    expect(range(900, 0.2)).toEqual([720, 860, 1_000])
  })

  it.each([
    ['the first time from the base', 0, [100, 200, 300]],
    ['from the base, when the delay before was shorter', 50, [100, 200, 300]],
    ['up to three times the delay before', 200, [100, 350, 600]],
    ['no further than the cap', 900, [100, 550, 1_000]],
    [
      'no further than the cap, after a delay without end',
      Number.POSITIVE_INFINITY,
      [100, 550, 1_000],
    ],
    ['from the base, when the delay before is not known', Number.NaN, [100, 200, 300]],
  ])('with decorrelated draws %s', (_, previous, expected) => {
    expect(range(400, 'decorrelated', previous)).toEqual(expected)
  })

  it.each<Jitter>(['full', 'equal', 'decorrelated', 0.2])(
    'with %s stays in range whatever the source of chance gives',
    (jitter) => {
      const [low, , high] = range(400, jitter) as [number, number, number]
      const odd = [-1, 2, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]

      const drawn = odd.map((value) =>
        spread(400, jitter, bounds, { random: () => value, previous: 0 }),
      )

      expect(drawn).toEqual([low, high, low, high, low])
    },
  )

  it('never passes the cap by a rounding error', () => {
    const random = seededRandom('rounding')
    const capped = Array.from({ length: 2_000 }, () => {
      const cap = random() * 1_000
      return spread(cap, random(), { base: 0, cap }, { random: () => 1, previous: 0 }) <= cap
    })

    expect(capped.every(Boolean)).toBe(true)
  })

  it.each<[Jitter, number, number]>([
    ['full', 200, 115.5],
    ['equal', 300, 57.7],
    [0.2, 400, 46.2],
    ['decorrelated', 200, 57.7],
  ])('with %s has the mean and deviation of an even spread', (jitter, mean, deviation) => {
    const random = seededRandom('spread')
    const drawn = Array.from({ length: 10_000 }, () =>
      spread(400, jitter, bounds, { random, previous: 0 }),
    )

    const average = drawn.reduce((sum, delay) => sum + delay, 0) / drawn.length
    const variance = drawn.reduce((sum, delay) => sum + (delay - average) ** 2, 0) / drawn.length
    expect(Math.abs(average - mean)).toBeLessThan(mean * 0.02)
    expect(Math.abs(Math.sqrt(variance) - deviation)).toBeLessThan(deviation * 0.03)
  })

  it('does not ask for chance where there is none', () => {
    const random = () => {
      throw new Error('asked')
    }

    expect(spread(400, 'none', bounds, { random, previous: 0 })).toBe(400)
  })
})

describe('the checks of jitter', () => {
  it('take a fraction or a name', () => {
    const values = [0, 0.2, 1, 'none', 'full', 'equal', 'decorrelated']

    expect(values.map(anyJitter.fault)).toEqual(values.map(() => undefined))
    expect(values.map(plainJitter.fault)).toEqual([...Array(6).fill(undefined), 'range'])
  })

  it('refuse anything else', () => {
    const values = [-0.1, 1.1, Number.NaN, 'half', true, null]

    const faults = ['range', 'range', 'range', 'range', 'type', 'type']
    expect(values.map(anyJitter.fault)).toEqual(faults)
    expect(values.map(plainJitter.fault)).toEqual(faults)
  })
})
