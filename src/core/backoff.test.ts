import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { seededRandom } from '../testing/seeded-random.ts'
import {
  type Backoff,
  boundDelay,
  constant,
  type DescribedBackoff,
  delays,
  exponential,
  fibonacci,
  type Jitter,
  linear,
} from './backoff.ts'

const unused = { random: () => Number.NaN, previous: 0 }

/** The delays before the first retries, each one told the delay before it. */
function first(retries: number, backoff: Backoff, random: () => number = unused.random): number[] {
  const waits: number[] = []
  for (let attempt = 1; attempt <= retries; attempt++) {
    waits.push(backoff(attempt, { random, previous: waits.at(-1) ?? 0 }))
  }
  return waits
}

describe('exponential', () => {
  it('waits 1 s, 2 s, 4 s and so on up to 30 s, ±20 %, unless told', () => {
    expect(exponential().describe()).toEqual({
      type: 'exponential',
      baseDelay: 1_000,
      factor: 2,
      maxDelay: 30_000,
      jitter: 0.2,
    })
    expect(first(7, exponential({ jitter: 'none' }))).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
    ])
    expect(first(2, exponential(), () => 0)).toEqual([800, 1_600])
    expect(first(2, exponential(), () => 1)).toEqual([1_200, 2_400])
  })

  it('multiplies by its factor', () => {
    const tripling = exponential({ baseDelay: 10, factor: 3, jitter: 'none' })
    const flat = exponential({ baseDelay: 10, factor: 1, jitter: 'none' })

    expect(first(4, tripling)).toEqual([10, 30, 90, 270])
    expect(first(3, flat)).toEqual([10, 10, 10])
  })

  it('spreads at the cap, below it', () => {
    const capped = exponential({ baseDelay: 1_000, maxDelay: 1_000 })
    const random = seededRandom('cap')

    const waits = Array.from({ length: 1_000 }, () => capped(50, { random, previous: 1_000 }))

    expect(Math.min(...waits)).toBeGreaterThanOrEqual(800)
    expect(Math.max(...waits)).toBeLessThanOrEqual(1_000)
    expect(new Set(waits).size).toBeGreaterThan(990)
  })

  it('refuses a factor that would shrink the delay', () => {
    expect(() => exponential({ factor: 0.5 })).toThrow(
      new RangeError('exponential: factor must be a number from 1 up, but was 0.5'),
    )
  })
})

describe('linear', () => {
  it('adds the base each time unless told', () => {
    expect(first(4, linear({ baseDelay: 100, jitter: 'none' }))).toEqual([100, 200, 300, 400])
    expect(linear().describe()).toEqual({
      type: 'linear',
      baseDelay: 1_000,
      increment: 1_000,
      maxDelay: 30_000,
      jitter: 0.2,
    })
  })

  it('adds its increment up to its cap', () => {
    const backoff = linear({ baseDelay: 100, increment: 40, maxDelay: 200, jitter: 'none' })

    expect(first(5, backoff)).toEqual([100, 140, 180, 200, 200])
  })

  it('stays at the base with an increment of 0', () => {
    expect(first(3, linear({ baseDelay: 5, increment: 0, jitter: 0 }))).toEqual([5, 5, 5])
  })

  it('refuses an increment that would shrink the delay', () => {
    expect(() => linear({ increment: -1 })).toThrow('linear: increment must be')
  })
})

describe('fibonacci', () => {
  it('follows the Fibonacci numbers up to its cap', () => {
    const backoff = fibonacci({ baseDelay: 10, maxDelay: 200, jitter: 'none' })

    expect(first(9, backoff)).toEqual([10, 10, 20, 30, 50, 80, 130, 200, 200])
    expect(fibonacci().describe()).toEqual({
      type: 'fibonacci',
      baseDelay: 1_000,
      maxDelay: 30_000,
      jitter: 0.2,
    })
  })

  it('has the very numbers as long as they are exact', () => {
    const backoff = fibonacci({ baseDelay: 1, maxDelay: Number.MAX_SAFE_INTEGER, jitter: 'none' })
    const numbers = [1, 1]
    while (numbers.length < 70) numbers.push((numbers.at(-1) ?? 0) + (numbers.at(-2) ?? 0))

    expect(first(70, backoff)).toEqual(numbers)
  })
})

describe('constant', () => {
  it('waits 1 s ±20 % unless told', () => {
    expect(constant().describe()).toEqual({ type: 'constant', delay: 1_000, jitter: 0.2 })
    expect(first(2, constant(), () => 0)).toEqual([800, 800])
    expect(first(2, constant(), () => 1)).toEqual([1_200, 1_200])
  })

  it('takes a bare number for its delay', () => {
    expect(constant(50).describe()).toEqual(constant({ delay: 50 }).describe())
    expect(() => constant(-1)).toThrow('constant: delay must be')
  })

  it('waits equally long each time', () => {
    expect(first(4, constant({ delay: 0, jitter: 'none' }))).toEqual([0, 0, 0, 0])
    expect(first(3, constant({ delay: 70, jitter: 'none' }))).toEqual([70, 70, 70])
  })

  it('has no base and no cap to walk between', () => {
    const walk = { jitter: 'decorrelated' } as unknown as { jitter: 'none' }

    expect(() => constant(walk)).toThrow(RangeError)
    expect(() => delays([1], walk)).toThrow(RangeError)
  })
})

describe('delays', () => {
  it('follows the list and repeats its last delay', () => {
    expect(first(5, delays([100, 500, 0, 2_000], { jitter: 'none' }))).toEqual([
      100, 500, 0, 2_000, 2_000,
    ])
  })

  it('takes a retry number between two for the smaller', () => {
    const backoff = delays([100, 500], { jitter: 'none' })

    expect([0.5, 1.9, 2.1].map((attempt) => backoff(attempt, unused))).toEqual([100, 100, 500])
  })

  it('spreads by 20 % unless told', () => {
    const backoff = delays([100, 500])

    expect(first(2, backoff, () => 1)).toEqual([120, 600])
    expect(backoff.describe()).toEqual({ type: 'delays', delays: [100, 500], jitter: 0.2 })
  })

  it('is a copy: changing the given list or the description changes nothing', () => {
    const list = [100, 200]
    const backoff = delays(list, { jitter: 'none' })

    list[0] = 9_999
    ;(backoff.describe()['delays'] as number[])[1] = 9_999

    expect(first(2, backoff)).toEqual([100, 200])
    expect(backoff.describe()['delays']).toEqual([100, 200])
  })

  it.each([
    ['an empty list', [], TypeError, 'but was an empty one'],
    ['no list', 100, TypeError, 'but was 100'],
    ['nothing', undefined, TypeError, 'but was undefined'],
    ['a negative delay', [1, -1], RangeError, 'list[1] must be'],
    ['a delay that is text', ['5'], TypeError, 'list[0] must be'],
    ['a delay without end', [Number.POSITIVE_INFINITY], RangeError, 'list[0] must be'],
    ['a hole', Array(1), TypeError, 'list[0] must be'],
  ])('refuses %s', (_, list, kind, message) => {
    const make = () => delays(list as number[])

    expect(make).toThrow(kind)
    expect(make).toThrow(message)
  })
})

const shapes: [string, (options: { jitter?: Jitter }) => DescribedBackoff][] = [
  ['exponential', exponential],
  ['linear', linear],
  ['fibonacci', fibonacci],
]

describe.each(shapes)('%s as any shape that grows', (name, make) => {
  const unchecked = make as (options: object) => DescribedBackoff

  it.each([
    ['a negative base', { baseDelay: -1 }, RangeError],
    ['a base without end', { baseDelay: Number.POSITIVE_INFINITY }, RangeError],
    ['a base that is text', { baseDelay: '100' }, TypeError],
    ['a cap that is NaN', { maxDelay: Number.NaN }, RangeError],
    ['a cap without end', { maxDelay: Number.POSITIVE_INFINITY }, RangeError],
    ['a jitter above 1', { jitter: 20 }, RangeError],
    ['a jitter of unknown name', { jitter: 'half' }, RangeError],
    ['a jitter that is true', { jitter: true }, TypeError],
    ['an unknown option', { minDelay: 1 }, TypeError],
    ['null', null, TypeError],
  ])('refuses %s', (_, options, kind) => {
    expect(() => unchecked(options as object)).toThrow(kind)
    expect(() => unchecked(options as object)).toThrow(`${name}: `)
  })

  it('refuses a base above the cap', () => {
    expect(() => unchecked({ baseDelay: 501, maxDelay: 500 })).toThrow(
      new RangeError(`${name}: baseDelay must be at most maxDelay (500), but was 501`),
    )
    expect(() => unchecked({ baseDelay: 30_001 })).toThrow(RangeError)
    expect(() => unchecked({ baseDelay: 500, maxDelay: 500 })).not.toThrow()
  })

  it('starts at the cap where only a cap below the default base is given', () => {
    const backoff = unchecked({ maxDelay: 500, jitter: 'none' })

    expect(first(1, backoff)).toEqual([500])
    expect(backoff.describe()).toMatchObject({ baseDelay: 500, maxDelay: 500 })
  })

  it('does not wait at all with a base of 0', () => {
    const backoff = unchecked({ baseDelay: 0, jitter: 'none' })

    expect([1, 2_049, 1e6].map((n) => backoff(n, unused))).toEqual([0, 0, 0])
    expect(unchecked({ baseDelay: 0, maxDelay: 0 })(9, unused)).toBe(0)
  })

  it.each([0, -7, Number.NaN, Number.NEGATIVE_INFINITY])(
    'takes retry number %s for the first',
    (attempt) => {
      expect(unchecked({ jitter: 'none' })(attempt, unused)).toBe(1_000)
    },
  )

  it.each([1_025, 2_049, 1e6, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])(
    'is at its cap at retry number %s',
    (attempt) => {
      expect(unchecked({ jitter: 'none' })(attempt, unused)).toBe(30_000)
    },
  )

  it('walks between base and cap with decorrelated jitter', () => {
    const backoff = unchecked({ baseDelay: 100, maxDelay: 5_000, jitter: 'decorrelated' })

    expect(first(5, backoff, () => 1)).toEqual([300, 900, 2_700, 5_000, 5_000])
    expect(first(3, backoff, () => 0)).toEqual([100, 100, 100])
  })

  it('describes itself as plain JSON', () => {
    const description = unchecked({ jitter: 'full' }).describe()

    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
    expect(description).toMatchObject({ type: name, jitter: 'full' })
  })
})

describe('a factor of 1 or a base of 0', () => {
  it('stays a number at the largest retry number', () => {
    const flat = exponential({ factor: 1, baseDelay: 5, jitter: 'none' })
    const none = exponential({ factor: Number.MAX_VALUE, baseDelay: 0, jitter: 'none' })
    const still = fibonacci({ baseDelay: 0, jitter: 'none' })

    const waits = [Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY].map((attempt) =>
      [flat, none, still].map((backoff) => backoff(attempt, unused)),
    )

    expect(waits).toEqual([
      [5, 0, 0],
      [5, 0, 0],
    ])
  })
})

describe('boundDelay', () => {
  const unhandled = vi.fn()
  beforeEach(() => {
    process.on('unhandledRejection', unhandled)
  })
  afterEach(() => {
    process.off('unhandledRejection', unhandled)
    unhandled.mockReset()
  })

  it.each([
    [0, 0],
    [-0, -0],
    [999.5, 999.5],
    [1_000, 1_000],
    [1_001, 1_000],
    [Number.POSITIVE_INFINITY, 1_000],
  ])('makes %d of it %d', (value, bounded) => {
    expect(boundDelay(value, 1_000)).toBe(bounded)
  })

  it.each([
    [Number.NaN, RangeError, 'NaN'],
    [-1, RangeError, '-1'],
    [Number.NEGATIVE_INFINITY, RangeError, '-Infinity'],
    ['100', TypeError, '"100"'],
    [undefined, TypeError, 'undefined'],
    [null, TypeError, 'null'],
    [5n, TypeError, '5n'],
    [{}, TypeError, 'an object'],
    [Promise.resolve(5), TypeError, 'a promise'],
  ])('refuses %o', (value, kind, shown) => {
    expect(() => boundDelay(value, 1_000)).toThrow(
      new kind(`backoff must return a delay in ms from 0 up, but returned ${shown}`),
    )
  })

  it('leaves no unhandled rejection behind when a backoff was async and failed', async () => {
    const rejected = Promise.reject(new Error('async backoff'))
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: this is what a user may return
      get then(): never {
        throw new Error('broken thenable')
      },
    }

    expect(() => boundDelay(rejected, 1_000)).toThrow(TypeError)
    expect(() => boundDelay(thenable, 1_000)).toThrow(TypeError)
    await new Promise(setImmediate)
    await new Promise(setImmediate)

    expect(unhandled).not.toHaveBeenCalled()
  })
})
