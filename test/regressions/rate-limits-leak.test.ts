import fc from 'fast-check'
import { type Clock, keyed, pipeline, RateLimitedError, rateLimiter, systemClock } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from '../properties/seed.ts'
import { caught, quiet, times, watch } from '../support/calls.ts'

const algorithms = ['token-bucket', 'sliding-window'] as const

describe('RL1 more than the limit passes', () => {
  it.each([0, 3])(
    'never, in whatever span one looks (places in line: %d)',
    async (maxQueue) => {
      await holds(
        fc.asyncProperty(
          fc.constantFrom(...algorithms),
          fc.integer({ min: 1, max: 7 }),
          fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 6 })), {
            maxLength: 30,
          }),
          async (algorithm, limit, arrivals) => {
            const clock = virtualClock()
            const limiter = rateLimiter({ limit, algorithm, maxQueue, clock })
            const grants: number[] = []
            for (const [pause, calls] of arrivals) {
              await clock.advance(pause)
              for (const _ of times(calls, () => 0)) {
                limiter.execute(() => void grants.push(clock.now())).catch(() => {})
              }
              await quiet()
            }
            await clock.runAll()
            // Over all spans that begin and end with a grant, not over aligned ones.
            for (const [first, from] of grants.entries()) {
              for (const [last, to] of grants.entries()) {
                if (last < first) continue
                const passed = last - first + 1
                const span = to - from
                if (algorithm === 'token-bucket') {
                  expect(passed).toBeLessThanOrEqual(limit + (limit * span) / 1_000 + 1e-3)
                } else if (span < 1_000 - 1e-3) expect(passed).toBeLessThanOrEqual(limit)
              }
            }
          },
        ),
        500,
      )
    },
    60_000,
  )
})

describe('RL2 waiters that left eat the turns of the others', () => {
  it.each(algorithms)('no: the ones behind move up (%s)', async (algorithm) => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, algorithm, maxQueue: 9, clock })
    await limiter.execute(() => 0)
    const controllers = times(5, () => new AbortController())
    const calls = controllers.map(({ signal }, n) => watch(limiter.execute(() => n, { signal })))
    await quiet()

    for (const n of [0, 1, 3]) controllers[n]?.abort('gone')
    await clock.advance(1_000)
    expect(calls[2]?.value).toBe(2)
    await clock.advance(1_000)
    expect(calls[4]?.value).toBe(4)
    expect(limiter.stats()).toMatchObject({ aborted: 3, succeeded: 3, inFlight: 0 })
  })

  it('no: a turn that was granted and given up in one go is given to the next', async () => {
    const clock = virtualClock()
    const weight = ([w]: readonly unknown[]): number => w as number
    const limiter = rateLimiter({ limit: 3, maxQueue: 9, weight, clock })
    await limiter.execute(() => 0, { args: [3] })
    const [heavy, light] = [new AbortController(), new AbortController()]
    let called = 0
    const call = (weighs: number, { signal }: AbortController): Promise<unknown> =>
      limiter.execute(() => called++, { args: [weighs], signal }).catch(() => undefined)
    const gone = [call(3, heavy), call(1, light)]
    const last = watch(limiter.execute(() => 'last', { args: [1] }))
    await clock.advance(400)

    // With the heavy one gone it is the light one's turn, which is not there any more to take it.
    heavy.abort()
    light.abort()
    await Promise.all(gone)
    await quiet()

    expect([called, last.value]).toEqual([0, 'last'])
    expect(limiter.stats()).toMatchObject({ inFlight: 0, queued: 0, aborted: 2 })
    expect(limiter.stats().available).toBeCloseTo(0.2)
  })

  it('no: nor do those of a sliding window', async () => {
    const clock = virtualClock()
    const weight = ([w]: readonly unknown[]): number => w as number
    const algorithm = 'sliding-window'
    const limiter = rateLimiter({ limit: 3, algorithm, maxQueue: 9, weight, clock })
    await limiter.execute(() => 0, { args: [2] })
    const [heavy, light] = [new AbortController(), new AbortController()]
    const gone = [
      limiter.execute(() => 0, { args: [3], signal: heavy.signal }).catch(() => undefined),
      limiter.execute(() => 0, { args: [1], signal: light.signal }).catch(() => undefined),
    ]
    const last = watch(limiter.execute(() => 'last', { args: [1] }))
    await clock.advance(10)
    heavy.abort()
    light.abort()
    await Promise.all(gone)
    await quiet()

    expect(last.value).toBe('last')
    expect(limiter.stats().available).toBe(0)
  })
})

describe('RL2 a timer that is late lets others overtake', () => {
  it('no: whoever comes lets those in line go first', async () => {
    let now = 0
    const late: Clock = {
      now: () => now,
      wallTime: () => now,
      setTimer: () => ({ cancel() {}, ref() {}, unref() {} }),
    }
    const limiter = rateLimiter({ limit: 1, maxQueue: 9, clock: late })
    await limiter.execute(() => 0)
    const order: string[] = []
    const first = limiter.execute(() => order.push('first'))
    now = 1_500
    const second = limiter.execute(() => order.push('second'))
    await first
    now = 2_500
    const third = limiter.execute(() => order.push('third'))
    await second

    expect(order).toEqual(['first', 'second'])
    limiter.resize({ limit: 9 })
    now = 3_500
    limiter.resize({ limit: 9 })
    await third
  })
})

describe('RL3 the clock steps', () => {
  it.each(algorithms)('and neither freezes nor floods (%s)', async (algorithm) => {
    let now = 0
    const still = virtualClock()
    const clock: Clock = {
      now: () => now,
      wallTime: () => now,
      setTimer: (callback, delay) => still.setTimer(callback, delay),
    }
    const limiter = rateLimiter({ limit: 10, algorithm, clock })
    const passed = async (): Promise<number> => {
      const calls = times(30, () => watch(limiter.execute(() => 1)))
      await quiet()
      for (const { status, reason } of calls) {
        if (status === 'rejected') {
          expect((reason as RateLimitedError).retryAfter).toBeLessThanOrEqual(1_000)
        }
      }
      const { available } = limiter.stats()
      expect(available).toBeGreaterThanOrEqual(0)
      expect(available).toBeLessThanOrEqual(10)
      return calls.filter(({ status }) => status === 'fulfilled').length
    }
    expect(await passed()).toBe(10)
    now -= 3_600_000
    expect(await passed()).toBe(0)
    for (const _ of times(1_000, () => 0)) limiter.stats()
    now += 1_000
    expect(await passed()).toBe(10)
    now += 3_600_000
    expect(await passed()).toBe(10)
  })
})

describe('RL4 rates at the edges', () => {
  it('one in ten seconds is one in ten seconds', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 0.1, maxQueue: 1, clock })
    await limiter.execute(() => 1)
    const next = watch(limiter.execute(() => 1))

    await clock.advance(9_999)
    expect(next.status).toBe('pending')
    await clock.advance(1)
    expect(next.status).toBe('fulfilled')
  })

  it('a billion per second does not overflow, and a year of rest gives one burst', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1e9, burst: 100, clock })
    await limiter.execute(() => 1)
    await clock.advance(365 * 86_400_000)

    expect(limiter.stats().available).toBe(100)
    const calls = times(200, () => watch(limiter.execute(() => 1)))
    await quiet()
    expect(calls.filter(({ status }) => status === 'fulfilled')).toHaveLength(100)
  })

  it('a turn that is nearer than the clock can tell comes all the same', async () => {
    const clock = virtualClock({ start: 1.7e12 })
    const limiter = rateLimiter({ limit: 1e9, burst: 1, maxQueue: 9, clock })
    const calls = times(5, () => watch(limiter.execute(() => 1)))

    await clock.advance(1)

    expect(calls.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    expect(clock.timers).toEqual([])
  })

  it('a turn comes at its moment after years of uptime too', async () => {
    const clock = virtualClock({ start: 1.7e12 + 0.1 })
    const limiter = rateLimiter({ limit: 3, maxQueue: 100, clock })
    const calls = times(60, () => watch(limiter.execute(() => 1)))

    await clock.advance(19_000)

    expect(calls.filter(({ status }) => status === 'fulfilled')).toHaveLength(60)
    expect(clock.timers).toEqual([])
  })
})

describe('RL5 a call heavier than the bucket', () => {
  it.each(algorithms)('is refused at once, and does not hang (%s)', async (algorithm) => {
    const clock = virtualClock()
    const weight = ([w]: readonly unknown[]): number => w as number
    const limiter = rateLimiter({ limit: 5, algorithm, maxQueue: 9, weight, clock })

    const { error } = await caught(limiter.execute(() => 1, { args: [6] }))
    expect(error).toMatchObject({ retryAfter: Number.POSITIVE_INFINITY })
    expect(await limiter.execute(() => 'as heavy as may be', { args: [5] })).toBeDefined()
    expect(await limiter.execute(() => 'weighs nothing', { args: [0] })).toBe('weighs nothing')
    expect(limiter.stats().available).toBe(0)
  })
})

describe('RL7 strangers make a hot key be forgotten', () => {
  it('not before its rate has recovered', async () => {
    const clock = virtualClock()
    const limits = keyed(() => rateLimiter({ limit: 2, clock }), { maxKeys: 10, clock })
    await limits.execute('hot', () => 1)
    await limits.execute('hot', () => 1)

    for (const n of times(50, (index) => index)) {
      await limits.execute(`stranger ${n}`, () => 1).catch(() => {})
    }

    expect((await caught(limits.execute('hot', () => 1))).error).toBeInstanceOf(RateLimitedError)
  })
})

describe('RL8 a call that is told "not now" hangs', () => {
  it('no: each of a hundred settles', async () => {
    const clock = virtualClock()
    const calls = pipeline('calls', rateLimiter({ limit: 10, maxQueue: 50, maxWait: 3_000, clock }))
    const seen = times(100, () => watch(calls.execute(async () => 'done')))

    await clock.advance(10_000)

    expect(seen.filter(({ status }) => status === 'pending')).toEqual([])
    expect(seen.filter(({ status }) => status === 'fulfilled')).toHaveLength(40)
  })

  it('no: on the machine’s clock too', async () => {
    const limiter = rateLimiter({ limit: 20, interval: 100, maxQueue: 50 })
    const began = systemClock.now()

    const done = await Promise.all(times(40, () => limiter.execute(async () => systemClock.now())))

    const latest = Math.max(...done) - began
    expect(latest).toBeGreaterThan(95)
    // Any twenty one after another take as long as the rate says.
    for (const [index, at] of done.slice(21).entries()) {
      expect(at - (done[index] as number)).toBeGreaterThan(0)
    }
  })
})
