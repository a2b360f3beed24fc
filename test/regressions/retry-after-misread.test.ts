import { circuitBreaker, retry } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail } from '../support/breakers.ts'
import { caught, watch } from '../support/calls.ts'

const now = Date.UTC(2026, 0, 1, 12, 0, 0)
const date = (ms: number): string => new Date(now + ms).toUTCString()

/** The pause that a retry makes after an answer with this header; its own would be 100 ms. */
async function pauseAfter(error: unknown, options = {}): Promise<number> {
  const clock = virtualClock({ wallTime: now })
  const pauses: number[] = []
  const policy = retry({
    maxRetries: 1,
    baseDelay: 100,
    jitter: 'none',
    onRetry: ({ delay }) => pauses.push(delay),
    random: () => 0,
    clock,
    ...options,
  })
  const call = caught(policy.execute(() => Promise.reject(error)))
  await clock.runAll()
  await call
  return pauses[0] ?? Number.NaN
}

const busy = (value: unknown): Error =>
  Object.assign(new Error('busy'), { status: 503, headers: { 'retry-after': value } })

describe('RT8 Retry-After is misread', () => {
  const headers: [unknown, number][] = [
    ['2', 2_000],
    [2, 2_000],
    [' 2 ', 2_000],
    ['120', 30_000],
    ['0', 100],
    ['', 100],
    ['-5', 100],
    ['+5', 100],
    ['1.5', 100],
    ['1e3', 100],
    ['0x10', 100],
    ['Infinity', 100],
    ['NaN', 100],
    ['soon', 100],
    ['2 seconds', 100],
    ['9999999999', 30_000],
    ['9'.repeat(400), 30_000],
    [date(5_000), 5_000],
    [date(-60_000), 100],
    [date(86_400_000), 30_000],
    ['2026-01-01', 100],
    ['Thu, 99 Foo 2026 99:99:99 GMT', 100],
    [null, 100],
    [{}, 100],
    [['2'], 100],
  ]
  it.each(headers)('waits as %j says', async (value, expected) => {
    expect(await pauseAfter(busy(value))).toBe(expected)
  })

  it('finds the header wherever clients put it', async () => {
    const headers = new Headers({ 'Retry-After': '3' })
    const places = [
      Object.assign(new Error('busy'), { headers }),
      Object.assign(new Error('busy'), { response: { headers } }),
      { status: 429, headers: { 'retry-after': '3' } },
      Object.assign(new Error('busy'), { response: new Response(null, { status: 503, headers }) }),
    ]

    for (const error of places) expect(await pauseAfter(error)).toBe(3_000)
  })

  it('survives headers that bite', async () => {
    const biting = {
      get() {
        throw new Error('no header for you')
      },
    }
    expect(await pauseAfter(Object.assign(new Error('busy'), { headers: biting }))).toBe(100)
    expect(await pauseAfter(Object.assign(new Error('busy'), { response: null }))).toBe(100)
  })

  it('spreads only towards later, and never past the clamp', async () => {
    const pause = await pauseAfter(busy('2'), { random: () => 0.999 })
    expect(pause).toBeGreaterThan(2_000)
    expect(pause).toBeLessThanOrEqual(2_200)
    expect(await pauseAfter(busy('30'), { random: () => 0.999 })).toBe(30_000)
    expect(await pauseAfter(busy('99'), { maxRetryAfter: 5_000 })).toBe(5_000)
    expect(await pauseAfter(busy('99'), { maxRetryAfter: 0 })).toBe(100)
  })

  it('never shortens its own pause', async () => {
    expect(await pauseAfter(busy('1'), { baseDelay: 7_000 })).toBe(7_000)
  })

  it('gives up rather than wait past the deadline', async () => {
    const clock = virtualClock({ wallTime: now })
    const call = watch(
      retry({ clock }).execute(() => Promise.reject(busy('20')), { deadline: 10_000 }),
    )
    await clock.advance(1)

    expect(call.status).toBe('rejected')
    expect(clock.timers).toEqual([])
  })

  it('keeps a circuit open for as long, up to maxRetryAfter', async () => {
    const cases: [string, number][] = [
      ['60', 60_000],
      [date(60_000), 60_000],
      ['5', 30_000],
      ['9999999999', 300_000],
      ['-5', 30_000],
    ]
    for (const [header, expected] of cases) {
      const clock: VirtualClock = virtualClock({ wallTime: now })
      const breaker = circuitBreaker({ failureThreshold: 2, clock })
      await fail(breaker, 1)
      await caught(breaker.execute(() => Promise.reject(busy(header))))
      expect(breaker.stats().retryAfter).toBe(expected)
    }
  })

  it('does not take another library’s `retryAfter` for milliseconds', async () => {
    expect(await pauseAfter(Object.assign(new Error('limited'), { retryAfter: 7 }))).toBe(100)
  })
})
