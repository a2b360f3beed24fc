import {
  type Backoff,
  constant,
  delays,
  exponential,
  fibonacci,
  type Jitter,
  linear,
  retry,
} from 'holdfast'
import { scripted, seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, watch } from '../support/calls.ts'

const jitters: Jitter[] = ['none', 'full', 'equal', 'decorrelated', 0, 0.2, 1]
const shapes: [string, (jitter: Jitter) => Backoff][] = [
  ['exponential', (jitter) => exponential({ baseDelay: 3, factor: 7.5, maxDelay: 20_000, jitter })],
  ['linear', (jitter) => linear({ baseDelay: 3, increment: 1e9, maxDelay: 20_000, jitter })],
  ['fibonacci', (jitter) => fibonacci({ baseDelay: 3, maxDelay: 20_000, jitter })],
]

describe('RT6 backoff arithmetic runs away', () => {
  it.each(shapes)('%s stays within its cap up to the millionth retry', (_name, make) => {
    for (const jitter of jitters) {
      const backoff = make(jitter)
      const random = seededRandom(`${_name} ${String(jitter)}`)
      let previous = 0
      for (const attempt of [1, 2, 3, 31, 32, 33, 63, 64, 1_023, 1_024, 1_025, 2_049, 1e5, 1e6]) {
        const delay = backoff(attempt, { random, previous })
        expect(Number.isFinite(delay)).toBe(true)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(20_000)
        if (jitter === 'none') expect(delay).toBeGreaterThanOrEqual(previous)
        previous = delay
      }
    }
  })

  it('retries 2,049 times on one call, and each pause is within the cap', async () => {
    const clock = virtualClock()
    const pauses: number[] = []
    const policy = retry({
      maxRetries: 2_049,
      baseDelay: 1,
      factor: 3,
      maxDelay: 5,
      jitter: 'decorrelated',
      onRetry: ({ delay }) => pauses.push(delay),
      clock,
    })
    const call = watch(policy.execute(scripted([...Array(2_049).fill('fail'), 'ok'])))

    await clock.runAll()

    expect(call).toEqual({ status: 'fulfilled', value: 'ok' })
    expect(pauses).toHaveLength(2_049)
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(5)
  })
})

describe('RT9 jitter larger than the delay', () => {
  it.each(jitters)('spreads within bounds at the base and at the cap (%s)', (jitter) => {
    const random = seededRandom(`jitter ${String(jitter)}`)
    const backoff = exponential({ baseDelay: 100, maxDelay: 400, jitter })
    const draws = (attempt: number): number[] =>
      Array.from({ length: 10_000 }, () => backoff(attempt, { random, previous: 100 }))

    for (const attempt of [1, 3, 50]) {
      const drawn = draws(attempt)
      expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
      expect(Math.max(...drawn)).toBeLessThanOrEqual(400)
    }
    const atCap = draws(50)
    if (jitter !== 'none' && jitter !== 0) expect(new Set(atCap).size).toBeGreaterThan(1_000)
    const mean = atCap.reduce((sum, delay) => sum + delay, 0) / atCap.length
    if (jitter === 'full') expect(mean).toBeCloseTo(200, -1)
    if (jitter === 'equal') expect(mean).toBeCloseTo(300, -1)
  })

  it('draws the same from the same seed', async () => {
    const pausesOf = async (): Promise<number[]> => {
      const clock = virtualClock()
      const pauses: number[] = []
      const policy = retry({
        maxRetries: 20,
        random: seededRandom(7),
        jitter: 'full',
        onRetry: ({ delay }) => pauses.push(delay),
        clock,
      })
      const call = caught(policy.execute(scripted(['fail'])))
      await clock.runAll()
      await call
      return pauses
    }

    expect(await pausesOf()).toEqual(await pausesOf())
  })

  it.each([Number.NaN, -1, 2, Number.POSITIVE_INFINITY])(
    'stays within bounds when chance itself is broken (%s)',
    async (draw) => {
      const clock = virtualClock()
      const pauses: number[] = []
      const policy = retry({
        random: () => draw,
        baseDelay: 100,
        maxDelay: 400,
        onRetry: ({ delay }) => pauses.push(delay),
        clock,
      })
      const call = watch(policy.execute(scripted(['fail'])))
      await clock.runAll()

      expect(call.status).toBe('rejected')
      for (const pause of pauses) {
        expect(pause).toBeGreaterThanOrEqual(0)
        expect(pause).toBeLessThanOrEqual(400)
      }
    },
  )
})

describe('RT14 attempts are miscounted', () => {
  it.each([0, 1, 2, 5])('makes exactly 1 + %d calls, the first pause being the base', async (n) => {
    const clock = virtualClock()
    const at: number[] = []
    const told: number[] = []
    const policy = retry({
      maxRetries: n,
      baseDelay: 100,
      jitter: 'none',
      clock,
      onRetry: ({ attempt, delay }) => told.push(attempt, delay),
    })
    const call = caught(
      policy.execute(({ attempt }) => {
        at.push(clock.now())
        throw new Error(`attempt ${attempt}`)
      }),
    )
    await clock.runAll()

    expect((await call).error).toEqual(new Error(`attempt ${n + 1}`))
    expect(at).toEqual([0, 100, 300, 700, 1_500, 3_100].slice(0, n + 1))
    expect(told).toEqual([1, 100, 2, 200, 3, 400, 4, 800, 5, 1_600].slice(0, 2 * n))
    expect(policy.stats()).toMatchObject({ retries: n, failed: 1, gaveUp: { 'max-retries': 1 } })
  })

  it('keeps to a list of delays, and to a constant', async () => {
    for (const [backoff, expected] of [
      [delays([100, 500, 2_000], { jitter: 'none' }), [100, 500, 2_000, 2_000]],
      [constant({ delay: 70, jitter: 'none' }), [70, 70, 70, 70]],
    ] as const) {
      const clock = virtualClock()
      const pauses: number[] = []
      const policy = retry({
        maxRetries: 4,
        backoff,
        onRetry: ({ delay }) => pauses.push(delay),
        clock,
      })
      const call = caught(policy.execute(scripted(['fail'])))
      await clock.runAll()
      await call
      expect(pauses).toEqual(expected)
    }
  })
})

describe('RT18 a backoff function that misbehaves', () => {
  const answers: [string, () => unknown][] = [
    ['NaN', () => Number.NaN],
    ['a negative number', () => -1],
    ['a string', () => '100'],
    ['a promise', () => Promise.resolve(100)],
    ['a promise that rejects', () => Promise.reject(new Error('broken backoff'))],
    ['undefined', () => undefined],
    ['Infinity', () => Number.POSITIVE_INFINITY],
    [
      'an exception',
      () => {
        throw new Error('broken backoff')
      },
    ],
  ]
  it.each(answers)('settles the call when it answers %s', async (_title, answer) => {
    const clock = virtualClock()
    const operation = scripted(['fail', 'ok'])
    const policy = retry({ backoff: answer as never, clock })

    const call = watch(policy.execute(operation))
    await clock.advance(Number.MAX_SAFE_INTEGER)

    expect(call.status).not.toBe('pending')
    expect(clock.timers).toEqual([])
    expect(policy.stats().inFlight).toBe(0)
  })
})

describe('RT19 state is shared between calls', () => {
  it('counts attempts and remembers pauses for each of 100 interleaved calls', async () => {
    const clock = virtualClock()
    const policy = retry({ maxRetries: 2, baseDelay: 100, jitter: 'none', clock })
    const seen: number[][] = []
    const calls = Array.from({ length: 100 }, async (_, index) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, index * 3))
      const began = clock.now()
      const mine: number[] = []
      seen.push(mine)
      return await policy.execute(async ({ attempt }) => {
        mine.push(attempt, clock.now() - began)
        if (attempt < 3) throw new Error('down')
        return index
      })
    })
    await clock.runAll()

    expect(await Promise.all(calls)).toEqual(Array.from({ length: 100 }, (_, index) => index))
    expect(new Set(seen.map(String))).toEqual(new Set(['1,0,2,100,3,300']))
  })

  it('draws decorrelated pauses of each call from that call’s own last pause', async () => {
    const clock = virtualClock()
    const first: number[] = []
    const backoff: Backoff = (attempt, { previous }) => {
      if (attempt === 1) first.push(previous)
      return previous + 10
    }
    const policy = retry({ maxRetries: 3, backoff, clock })
    expect(first, 'asked before there was anything to retry').toEqual([])
    const calls = Array.from({ length: 20 }, () => caught(policy.execute(scripted(['fail']))))
    await clock.runAll()
    await Promise.all(calls)

    expect(first).toEqual(Array(20).fill(0))
  })
})
