import {
  adaptiveThrottle,
  bulkhead,
  circuitBreaker,
  pipeline,
  retry,
  ThrottledError,
  timeout,
} from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, quiet, rejection, times, watch } from '../../test/support/calls.ts'
import { type AdaptiveThrottle, adaptiveThrottle as make } from './adaptive-throttle.ts'

const down = (): Promise<never> => Promise.reject(new Error('out of quota'))

/** Lets so many calls be accepted, and so many not. */
async function history(policy: AdaptiveThrottle, accepted: number, refused: number): Promise<void> {
  for (const _ of times(accepted, () => 0)) await policy.execute(() => 1)
  for (const _ of times(refused, () => 0)) await policy.execute(down).catch(() => undefined)
}

/** Draws a number that lets every call pass. */
const lucky = (): number => 0.999_999

describe('an adaptive throttle', () => {
  // max(0, (requests - K x accepts) / (requests + 1)), worked out by hand.
  it.each([
    [0, 9, {}, 0],
    [0, 10, {}, 0.9],
    [0, 10, { maxRejection: 0.99 }, 10 / 11],
    [5, 5, {}, 0],
    [4, 6, {}, 2 / 11],
    [3, 10, {}, 7 / 14],
    [30, 60, {}, 30 / 91],
    [10, 10, { multiplier: 1 }, 10 / 21],
    [10, 10, { multiplier: 1.5 }, 5 / 21],
    [0, 1, { minimumCalls: 1 }, 1 / 2],
    [0, 2, { minimumCalls: 1 }, 2 / 3],
    [1, 99, { multiplier: 1_000 }, 0],
  ])(
    'of %d accepted and %d refused calls, %o, rejects %d',
    async (accepted, refused, options, share) => {
      const policy = adaptiveThrottle({ ...options, random: lucky, clock: virtualClock() })
      await history(policy, accepted, refused)

      const stats = policy.stats()
      expect(stats).toMatchObject({ requests: accepted + refused, accepts: accepted })
      expect(stats.rejection).toBeCloseTo(share, 12)
    },
  )

  it('rejects when the die falls below that share, and only then', async () => {
    const clock = virtualClock()
    let die = lucky()
    const policy = adaptiveThrottle({ name: 'quota', random: () => die, clock })
    await history(policy, 3, 10)

    die = 0.5
    expect(await policy.execute(() => 'sent')).toBe('sent')
    // 14 requests, 4 accepted: 6 / 15.
    die = 0.39999
    let called = false
    const error = await rejection(
      policy.execute(() => {
        called = true
      }),
    )
    expect(called).toBe(false)
    expect(error).toBeInstanceOf(ThrottledError)
    expect((error as ThrottledError).toJSON()).toEqual({
      name: 'ThrottledError',
      code: 'ERR_THROTTLED',
      policy: 'quota',
      message:
        'throttle "quota": the dependency accepts 4 of 14 calls, so 40 % are not sent; not called; send less, or look after the dependency',
      rejection: 0.4,
      requests: 14,
      accepts: 4,
    })
    expect(policy.stats()).toMatchObject({ requests: 15, accepts: 4, rejected: 1 })
  })

  it('forgets what its window has left behind, and lets everybody pass again', async () => {
    const clock = virtualClock()
    const policy = adaptiveThrottle({ random: lucky, clock }) as AdaptiveThrottle & {
      pinned: boolean
    }
    await history(policy, 0, 20)
    expect([policy.stats().rejection, policy.pinned]).toEqual([0.9, true])

    await clock.advance(117_000)
    expect(policy.stats().rejection).toBe(0.9)
    await clock.advance(3_000)
    expect(policy.stats()).toMatchObject({ requests: 0, accepts: 0, rejection: 0 })
    expect(policy.pinned).toBe(false)
    expect(await policy.execute(() => 'sent')).toBe('sent')
  })

  it('lets the outcome decide what was accepted', async () => {
    const clock = virtualClock()
    const policy = make({ clock })
    const status = (code: number): Promise<unknown> =>
      policy
        .execute(() => Promise.reject(Object.assign(new Error('no'), { status: code })))
        .catch(() => 0)
    const seen = (): number[] => [policy.stats().requests, policy.stats().accepts]

    await status(404)
    expect(seen()).toEqual([1, 1])
    await status(429)
    await status(503)
    expect(seen()).toEqual([3, 1])
    await policy
      .execute(() => null as never as { a: { b: 1 } })
      .then(
        (x) => x?.a.b,
        () => 0,
      )
    await policy.execute(() => Promise.reject(new TypeError('bug'))).catch(() => 0)
    expect(seen()).toEqual([4, 2])
    const controller = new AbortController()
    const left = policy.execute(hangs, { signal: controller.signal }).catch(() => 0)
    controller.abort()
    await left
    expect(seen()).toEqual([4, 2])
    const limited = pipeline('p', policy, timeout({ duration: 10, clock }))
    const late = watch(limited.execute(hangs))
    await clock.advance(10)
    expect([late.status, ...seen()]).toEqual(['rejected', 5, 2])
    const full = bulkhead({ maxConcurrent: 1, clock })
    void full.execute(hangs)
    await pipeline('q', policy, full)
      .execute(() => 1)
      .catch(() => 0)
    expect(seen()).toEqual([5, 2])
  })

  it('asks its user what a refusal is, and survives the answer', async () => {
    const broken = (): never => {
      throw new Error('broken')
    }
    for (const [isRefusal, accepts] of [
      [() => false, 1],
      [() => true, 0],
      [() => undefined, 0],
      [broken, 0],
    ] as const) {
      const policy = adaptiveThrottle({ isRefusal, clock: virtualClock() })
      await policy.execute(down).catch(() => 0)
      expect(policy.stats()).toMatchObject({ requests: 1, accepts })
    }
  })

  it('is ignored by a circuit breaker outside, and not retried', async () => {
    const clock = virtualClock()
    const throttle = adaptiveThrottle({ random: lucky, clock })
    await history(throttle, 0, 20)
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const unlucky = adaptiveThrottle({ random: () => 0, minimumCalls: 1, clock })
    await unlucky.execute(down).catch(() => 0)
    const policy = pipeline('p', retry({ maxRetries: 3, clock }), breaker, unlucky)

    expect(await rejection(policy.execute(() => 1))).toBeInstanceOf(ThrottledError)
    expect(breaker.stats()).toMatchObject({ state: 'closed', ignored: 1 })
  })

  it('is kept by its key while a call runs', async () => {
    const policy = adaptiveThrottle({ clock: virtualClock() }) as AdaptiveThrottle & {
      pinned: boolean
    }
    expect(policy.pinned).toBe(false)
    void policy.execute(hangs)
    expect(policy.pinned).toBe(true)
  })

  it('has no timer', async () => {
    const clock = virtualClock()
    const policy = adaptiveThrottle({ clock })
    await history(policy, 5, 20)
    expect(clock.timers).toEqual([])
  })

  it.each([
    [{ multiplier: 0.9 }, RangeError, 'multiplier must be a number from 1 up'],
    [{ window: 10 }, RangeError, 'window must be'],
    [{ maxRejection: 1 }, RangeError, 'maxRejection must be'],
    [{ maxRejection: 0 }, RangeError, 'maxRejection must be'],
    [{ minimumCalls: 0 }, RangeError, 'minimumCalls must be'],
    [{ isRefusal: 429 }, TypeError, 'isRefusal must be'],
    [{ random: 4 }, TypeError, 'random must be'],
  ])('refuses the options %o', (options, kind, message) => {
    expect(() => adaptiveThrottle(options as never)).toThrow(kind)
    expect(() => adaptiveThrottle(options as never)).toThrow(message)
  })
})

describe('a dependency with a quota', () => {
  it('is sent about twice what it accepts, and everything when it accepts everything again', async () => {
    const clock = virtualClock()
    const policy = adaptiveThrottle({ window: 10_000, random: seededRandom(3), clock })
    let sent = 0
    let quota = 100
    const second = async (): Promise<number> => {
      sent = 0
      for (const _ of times(40, () => 0)) {
        for (const _call of times(10, () => 0)) {
          policy
            .execute(() => {
              if (++sent > quota) throw new Error('out of quota')
            })
            .catch(() => 0)
        }
        await quiet()
        await clock.advance(25)
      }
      return sent
    }
    for (const _ of times(20, () => 0)) await second()
    const throttled = await second()
    expect(throttled).toBeGreaterThan(150)
    expect(throttled).toBeLessThan(250)

    quota = 1_000
    for (const _ of times(11, () => 0)) await second()
    expect(await second()).toBe(400)
    expect(policy.stats().rejection).toBe(0)
  }, 20_000)
})
