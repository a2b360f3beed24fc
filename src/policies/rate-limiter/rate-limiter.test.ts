import { pipeline, RateLimitedError, rateLimiter, retry, timeout } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import type { RateLimiterOptions } from './options.ts'
import type { RateLimiter } from './rate-limiter.ts'

const passes = (limiter: RateLimiter, tries: number): Promise<number> =>
  Promise.all(
    times(tries, () =>
      limiter
        .execute(() => 1)
        .catch((error: unknown) => (error instanceof RateLimitedError ? 0 : 9)),
    ),
  ).then((answers) => answers.reduce<number>((sum, one) => sum + one, 0))

/** How many of so many tries pass, at one time after the other. */
async function passing(
  options: RateLimiterOptions,
  history: readonly { readonly at: number; readonly tries: number }[],
): Promise<number[]> {
  const clock = virtualClock()
  const limiter = rateLimiter({ ...options, clock })
  const passed: number[] = []
  for (const { at, tries } of history) {
    await clock.advance(at - clock.now())
    passed.push(await passes(limiter, tries))
  }
  return passed
}

describe('a token bucket', () => {
  it('lets a burst pass, then goes by its rate', async () => {
    const passed = await passing({ limit: 10, interval: 1_000, burst: 3 }, [
      { at: 0, tries: 5 },
      { at: 99, tries: 1 },
      { at: 100, tries: 2 },
      { at: 10_100, tries: 10 },
    ])

    expect(passed).toEqual([3, 0, 1, 3])
  })

  it('holds as many as its limit when no burst is given, and one at least', async () => {
    const clock = virtualClock()
    expect(await passes(rateLimiter({ limit: 4, clock }), 9)).toBe(4)
    expect(await passes(rateLimiter({ limit: 0.1, clock }), 9)).toBe(1)
  })
})

describe('a sliding window', () => {
  it('never lets more than its limit pass in any interval', async () => {
    const passed = await passing({ limit: 3, algorithm: 'sliding-window' }, [
      { at: 0, tries: 2 },
      { at: 600, tries: 5 },
      { at: 999, tries: 5 },
      { at: 1_000, tries: 5 },
      { at: 1_600, tries: 5 },
    ])

    expect(passed).toEqual([2, 1, 0, 2, 1])
  })

  it('remembers thousands of moments', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 500, interval: 1_000, algorithm: 'sliding-window', clock })

    for (const _ of times(500, () => 0)) {
      await passes(limiter, 1)
      await clock.advance(1)
    }
    expect(await passes(limiter, 10)).toBe(0)
    await clock.advance(500)
    expect(await passes(limiter, 10)).toBe(1)
    await clock.advance(250)
    expect(limiter.stats().available).toBe(250)
  })
})

describe('a rate limiter', () => {
  it('says when to come again, and that nothing was called', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ name: 'api', limit: 2, clock })
    await passes(limiter, 2)
    let called = false

    const error = await rejection(
      limiter.execute(() => {
        called = true
      }),
    )

    expect(called).toBe(false)
    expect(error).toBeInstanceOf(RateLimitedError)
    expect((error as RateLimitedError).toJSON()).toEqual({
      name: 'RateLimitedError',
      code: 'ERR_RATE_LIMITED',
      policy: 'api',
      message:
        'rate limit "api": 2 per 1000 ms used up (0 of 0 queued), next turn in 500 ms; not called; slow down, or raise limit if the other side allows more',
      retryAfter: 500,
      limit: 2,
      interval: 1_000,
      queued: 0,
      maxQueue: 0,
      waited: 0,
    })
  })

  it('lets wait in line as many as there are places, first come first served', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, maxQueue: 2, clock })
    const order: number[] = []
    const calls = times(4, (n) => watch(limiter.execute(() => order.push(n))))
    await quiet()

    expect(limiter.stats()).toMatchObject({ queued: 2, maxQueue: 2, inFlight: 2, available: 0 })
    expect(calls.map(({ status }) => status)).toEqual([
      'fulfilled',
      'pending',
      'pending',
      'rejected',
    ])
    // Who would join now would be the third in line.
    expect(calls[3]?.reason).toMatchObject({ retryAfter: 3_000, queued: 2, waited: 0 })
    await clock.advance(1_000)
    expect(order).toEqual([0, 1])
    await clock.advance(1_000)
    expect(order).toEqual([0, 1, 2])
    expect(clock.timers).toEqual([])
  })

  it('serves a larger priority first', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, maxQueue: 9, priority: ([n]) => Number(n), clock })
    const order: number[] = []
    const call = limiter.wrap(async (n: number) => void order.push(n))
    const calls = [0, 1, 5, 3, 5].map(call)

    await clock.advance(4_000)

    await Promise.all(calls)
    expect(order).toEqual([0, 5, 5, 3, 1])
  })

  it('lets a light call of a larger priority pass a heavy one that has to wait', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 5, maxQueue: 9, weight: ([w]) => w as number, clock })
    await limiter.execute(() => 1, { args: [3] })
    const heavy = watch(limiter.execute(() => 1, { args: [4] }))
    const equal = watch(limiter.execute(() => 1, { args: [1] }))
    const urgent = watch(limiter.execute(() => 1, { args: [1], priority: 1 }))
    await quiet()

    expect([heavy, equal, urgent].map(({ status }) => status)).toEqual([
      'pending',
      'pending',
      'fulfilled',
    ])
    await clock.advance(600)
    expect([heavy.status, equal.status]).toEqual(['fulfilled', 'pending'])
    await clock.advance(200)
    expect(equal.status).toBe('fulfilled')
  })

  it('does not begin a wait that is longer than maxWait, or than what is left of the call', async () => {
    const clock = virtualClock({ start: 500 })
    const limiter = rateLimiter({ limit: 1, maxQueue: 9, maxWait: 2_500, clock })
    void passes(limiter, 3)
    await quiet()

    const tooLong = await rejection(limiter.execute(() => 1))
    expect(tooLong).toMatchObject({ code: 'ERR_RATE_LIMITED', retryAfter: 3_000, waited: 0 })
    expect(limiter.stats().queued).toBe(2)

    const within = pipeline(
      'p',
      timeout({ duration: 999, clock }),
      rateLimiter({ limit: 1, maxQueue: 9, clock }),
    )
    await within.execute(() => 1)
    expect(await rejection(within.execute(() => 1))).toMatchObject({ retryAfter: 1_000 })
    const alone = rateLimiter({ limit: 1, maxQueue: 9, clock })
    await alone.execute(() => 1)
    expect(await rejection(alone.execute(() => 1, { deadline: 1_500 }))).toMatchObject({
      code: 'ERR_RATE_LIMITED',
    })
    const inTime = watch(alone.execute(() => 'in time', { deadline: 1_501 }))
    await clock.advance(1_000)
    expect(inTime.value).toBe('in time')
  })

  it('refuses who has waited too long because somebody more urgent came', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, maxQueue: 9, maxWait: 1_500, clock })
    await passes(limiter, 1)
    const patient = watch(limiter.execute(() => 'patient'))
    const urgent = watch(limiter.execute(() => 'urgent', { priority: 5 }))

    await clock.advance(1_499)
    expect([urgent.status, patient.status]).toEqual(['fulfilled', 'pending'])
    await clock.advance(1)

    expect(patient.reason).toMatchObject({ waited: 1_500, retryAfter: 500 })
    expect((patient.reason as Error).message).toContain('no turn within 1500 ms')
    expect(clock.timers).toEqual([])
  })

  it('counts those ahead when it tells somebody who waited in vain when to come again', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, maxQueue: 9, maxWait: 1_500, clock })
    await passes(limiter, 1)
    const patient = watch(limiter.execute(() => 'patient'))
    void limiter.execute(() => 'urgent', { priority: 5 })
    await clock.advance(1_000)
    void limiter.execute(() => 'urgent too', { priority: 5 })
    await clock.advance(500)

    expect(patient.reason).toMatchObject({ waited: 1_500, retryAfter: 1_500, queued: 1 })
  })

  it('changes its rate while it works', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, interval: 60_000, maxQueue: 9, maxWait: 90_000, clock })
    await passes(limiter, 1)
    const waiting = watch(limiter.execute(() => 'served'))
    await clock.advance(1_000)

    limiter.resize({ limit: 100, interval: 1_000 })
    await clock.advance(10)

    expect(waiting.value).toBe('served')
    expect(limiter.stats()).toMatchObject({ limit: 100, interval: 1_000, burst: 100 })
    limiter.resize({ burst: 5 })
    limiter.resize({ limit: 7 })
    await clock.advance(60_000)
    expect(limiter.stats()).toMatchObject({ limit: 7, burst: 5, available: 5 })
    expect(() => limiter.resize({ limit: 0 })).toThrow('limit must be a number above 0, but was 0')
    expect(() => limiter.resize({ speed: 1 } as never)).toThrow('unknown option "speed"')
  })

  it('sends away at once who became too heavy', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 5, maxQueue: 9, weight: ([w]) => w as number, clock })
    await limiter.execute(() => 1, { args: [5] })
    const heavy = watch(limiter.execute(() => 1, { args: [4] }))
    const light = watch(limiter.execute(() => 1, { args: [2] }))
    await quiet()

    limiter.resize({ limit: 2 })
    await quiet()

    expect(heavy.reason).toMatchObject({ retryAfter: Number.POSITIVE_INFINITY })
    expect((heavy.reason as Error).message).toContain('weighs more than ever may pass')
    await clock.advance(1_000)
    expect(light.status).toBe('fulfilled')
  })

  it('is kept by its key as long as its rate has not recovered', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, clock }) as RateLimiter & { pinned: boolean }

    expect(limiter.pinned).toBe(false)
    await passes(limiter, 1)
    expect(limiter.pinned).toBe(true)
    await clock.advance(1_000)
    expect(limiter.pinned).toBe(false)
    void limiter.execute(hangs)
    await clock.advance(1_000)
    expect(limiter.pinned).toBe(true)
  })

  it('is waited for by a retry that is told to', async () => {
    const clock = virtualClock()
    const shouldRetry = (error: unknown): boolean => error instanceof RateLimitedError
    const calls = pipeline(
      'calls',
      retry({ maxRetries: 1, baseDelay: 1, shouldRetry, random: () => 0, clock }),
      rateLimiter({ limit: 1, clock }),
    )
    await calls.execute(() => 1)

    const second = watch(calls.execute(() => 'later'))
    await clock.advance(999)
    expect(second.status).toBe('pending')
    await clock.advance(1)
    expect(second.value).toBe('later')
  })

  it.each([
    [{}, TypeError, 'limit is required'],
    [{ limit: 0 }, RangeError, 'limit must be a number above 0'],
    [{ limit: Number.NaN }, RangeError, 'limit must be'],
    [{ limit: Number.POSITIVE_INFINITY }, RangeError, 'limit must be'],
    [{ limit: '5' }, TypeError, 'limit must be'],
    [{ limit: 1, interval: 0 }, RangeError, 'interval must be'],
    [{ limit: 1, burst: 0.5 }, RangeError, 'burst must be'],
    [{ limit: 1, algorithm: 'leaky' }, RangeError, 'algorithm must be'],
    [{ limit: 1, maxQueue: -1 }, RangeError, 'maxQueue must be'],
    [{ limit: 1, maxWait: 0 }, RangeError, 'maxWait must be'],
    [{ limit: 1, weight: -1 }, RangeError, 'weight must be'],
    [{ limit: 1, priority: 11 }, RangeError, 'priority must be'],
    [{ limit: 1, algorithm: 'sliding-window', burst: 2 }, TypeError, 'burst belongs to'],
    [{ limit: 2, weight: 3 }, RangeError, 'no call could ever pass: each weighs 3, and at most 2'],
  ])('refuses the options %o', (options, kind, message) => {
    expect(() => rateLimiter(options as never)).toThrow(kind)
    expect(() => rateLimiter(options as never)).toThrow(message)
  })

  it('describes what is in force', () => {
    expect(rateLimiter({ limit: 5 }).describe()).toEqual({
      policy: 'rateLimiter',
      name: 'rateLimiter',
      options: {
        limit: 5,
        interval: 1_000,
        burst: 5,
        algorithm: 'token-bucket',
        maxQueue: 0,
        maxWait: 30_000,
        weight: 1,
        priority: 0,
      },
    })
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '1', undefined])(
    'refuses a call whose weight is %s, without calling it',
    async (weight) => {
      const limiter = rateLimiter({ limit: 5, weight: () => weight as number })
      let called = false

      const { error } = await caught(
        limiter.execute(() => {
          called = true
        }),
      )

      expect(error).toBeInstanceOf(RangeError)
      expect((error as Error).message).toContain('weight must be a number from 0 up, but was')
      expect(called).toBe(false)
      expect(limiter.stats()).toMatchObject({ rejected: 1, available: 5, inFlight: 0 })
    },
  )
})

/** Nobody waits, nothing ticks. */
function idle(clock: VirtualClock): boolean {
  return clock.timers.length === 0
}

describe('the timer of a rate limiter', () => {
  it('runs only while somebody waits', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 1, maxQueue: 3, clock })
    const controller = new AbortController()

    await passes(limiter, 1)
    expect(idle(clock)).toBe(true)
    const waiting = watch(limiter.execute(() => 1, { signal: controller.signal }))
    await quiet()
    expect(clock.timers).toHaveLength(1)
    controller.abort()
    await quiet()
    expect(waiting.status).toBe('rejected')
    expect(idle(clock)).toBe(true)
  })

  it('is set anew when the first in line goes, and a lighter one may go sooner', async () => {
    const clock = virtualClock()
    const limiter = rateLimiter({ limit: 10, maxQueue: 3, weight: ([w]) => w as number, clock })
    const controller = new AbortController()
    await limiter.execute(() => 1, { args: [10] })
    void caught(limiter.execute(() => 1, { args: [10], signal: controller.signal }))
    const light = watch(limiter.execute(() => 'light', { args: [1] }))
    await quiet()
    expect(clock.timers[0]?.due).toBe(1_000)

    controller.abort()
    await quiet()
    expect(clock.timers[0]?.due).toBe(100)
    await clock.advance(100)
    expect(light.value).toBe('light')
  })
})
