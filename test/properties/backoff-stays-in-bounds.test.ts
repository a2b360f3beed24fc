import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  constant,
  type DescribedBackoff,
  delays,
  exponential,
  fibonacci,
  type Jitter,
  linear,
  type PlainJitter,
} from '../../src/core/backoff.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { holds } from './seed.ts'

interface Case {
  readonly shape: string
  readonly backoff: DescribedBackoff
  /** What no delay may pass. */
  readonly most: number
}

const milliseconds = fc.oneof(
  fc.constantFrom(0, 1, 1_000, 30_000, 2 ** 31, Number.MAX_SAFE_INTEGER),
  fc.nat(100_000),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
)
const plain: fc.Arbitrary<PlainJitter> = fc.oneof(
  fc.constantFrom<PlainJitter>('none', 'full', 'equal', 0, 0.2, 1),
  fc.double({ min: 0, max: 1, noNaN: true }),
)
const any: fc.Arbitrary<Jitter> = fc.oneof(
  { weight: 4, arbitrary: plain },
  { weight: 1, arbitrary: fc.constant<Jitter>('decorrelated') },
)
const factor = fc.oneof(
  fc.constantFrom(1, 1 + Number.EPSILON, 2, 1e300, Number.MAX_VALUE),
  fc.double({ min: 1, max: 10, noNaN: true }),
)
const limits = fc
  .tuple(milliseconds, milliseconds)
  .map((pair) => pair.toSorted((a, b) => a - b) as [number, number])
const attempt = fc.oneof(
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 1, max: 1_000_000 }),
  fc.constantFrom(1_000_000, Number.MAX_SAFE_INTEGER),
)

/** Every shape, with the jitter that is asked for. */
function cases(jitters: fc.Arbitrary<Jitter>, plainJitters = jitters): fc.Arbitrary<Case> {
  const growing = fc.tuple(limits, jitters).chain(([[baseDelay, maxDelay], jitter]) => {
    const options = { baseDelay, maxDelay, jitter }
    return fc.oneof(
      factor.map((by) => exponential({ ...options, factor: by })),
      milliseconds.map((increment) => linear({ ...options, increment })),
      fc.constant(fibonacci(options)),
    )
  })
  const level = fc.tuple(milliseconds, plainJitters as fc.Arbitrary<PlainJitter>)
  const list = fc.array(milliseconds, { minLength: 1, maxLength: 5 })
  const most = (longest: number): number => Math.min(longest * 2, Number.MAX_SAFE_INTEGER)
  return fc.oneof(
    {
      weight: 3,
      arbitrary: growing.map((backoff) => {
        const { type, maxDelay } = backoff.describe()
        return { shape: type, backoff, most: maxDelay as number }
      }),
    },
    {
      weight: 1,
      arbitrary: level.map(([delay, jitter]) => ({
        shape: 'constant',
        backoff: constant({ delay, jitter }),
        most: most(delay),
      })),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(list, level).map(([all, [, jitter]]) => ({
        shape: 'delays',
        backoff: delays(all, { jitter }),
        most: most(Math.max(...all)),
      })),
    },
  )
}

const previous = fc.oneof(milliseconds, fc.constantFrom(Number.POSITIVE_INFINITY, Number.NaN))
const chance = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  fc.constantFrom(0, 1 - Number.EPSILON, Number.NaN, -1, 2),
)

describe('a backoff', () => {
  it('is finite and between 0 and its cap, for every shape, jitter, retry and chance', () => {
    holds(
      fc.property(cases(any, plain), attempt, previous, chance, (example, n, last, drawn) => {
        const delay = example.backoff(n, { random: () => drawn, previous: last })

        expect(Number.isFinite(delay)).toBe(true)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(example.most)
      }),
      5_000,
    )
  })

  it('gives the same delays for the same seed', () => {
    const walk = (backoff: DescribedBackoff, seed: number): number[] => {
      const random = seededRandom(seed)
      const walked: number[] = []
      for (let n = 1; n <= 30; n++) {
        walked.push(backoff(n, { random, previous: walked.at(-1) ?? 0 }))
      }
      return walked
    }

    holds(
      fc.property(cases(any, plain), fc.integer(), ({ backoff }, seed) => {
        expect(walk(backoff, seed)).toEqual(walk(backoff, seed))
      }),
    )
  })

  it('never shrinks without jitter, unless it is a list that does', () => {
    holds(
      fc.property(
        cases(fc.constant('none')),
        attempt,
        fc.nat(1_000),
        ({ shape, backoff }, n, more) => {
          fc.pre(shape !== 'delays')
          const state = { random: () => Number.NaN, previous: 0 }

          expect(backoff(n + more, state)).toBeGreaterThanOrEqual(backoff(n, state))
        },
      ),
    )
  })

  it('spreads around the delay it has without jitter, as far as the cap allows', () => {
    holds(
      fc.property(
        limits,
        factor,
        fc.double({ min: 0, max: 1, noNaN: true }),
        attempt,
        chance,
        (pair, by, jitter, n, drawn) => {
          const options = { baseDelay: pair[0], maxDelay: pair[1], factor: by }
          const state = { random: () => drawn, previous: 0 }

          const delay = exponential({ ...options, jitter })(n, state)

          const still = exponential({ ...options, jitter: 'none' })(n, state)
          const slack = still * 1e-12
          expect(delay).toBeGreaterThanOrEqual(still * (1 - jitter) - slack)
          expect(delay).toBeLessThanOrEqual(Math.min(still * (1 + jitter) + slack, pair[1]))
        },
      ),
    )
  })

  it('is about half as long on average with full jitter', () => {
    holds(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, n) => {
        const random = seededRandom(seed)
        const options = { baseDelay: 100, maxDelay: 20_000 }
        const full = exponential({ ...options, jitter: 'full' })
        const still = exponential({ ...options, jitter: 'none' })(n, { random, previous: 0 })

        let sum = 0
        for (let draw = 0; draw < 1_000; draw++) sum += full(n, { random, previous: still })

        // Eight standard deviations of the mean of 1,000 draws.
        expect(Math.abs(sum / 1_000 / still - 0.5)).toBeLessThan(0.073)
      }),
    )
  })

  it('does not pile up on its cap, whatever the jitter', () => {
    const jitters = fc.oneof(
      fc.constantFrom<Jitter>('full', 'equal', 'decorrelated'),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
    )

    holds(
      fc.property(
        fc.integer(),
        jitters,
        fc.integer({ min: 10, max: 1_000_000 }),
        (seed, jitter, n) => {
          const random = seededRandom(seed)
          const backoff = exponential({ baseDelay: 100, maxDelay: 5_000, jitter })

          const drawn = Array.from({ length: 100 }, () => backoff(n, { random, previous: 5_000 }))

          expect(drawn.filter((delay) => delay === 5_000).length).toBeLessThanOrEqual(1)
          expect(new Set(drawn).size).toBeGreaterThanOrEqual(99)
        },
      ),
    )
  })
})
