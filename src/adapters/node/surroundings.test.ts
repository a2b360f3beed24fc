import {
  AcquireTimeoutError,
  batcher,
  coalesce,
  createPool,
  pipeline,
  retry,
  systemClock,
  TimeoutError,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it, vi } from 'vitest'
import { gate, hangs, quiet, rejection } from '../../../test/support/calls.ts'
import { collectGarbage } from '../../../test/support/leaks.ts'
import {
  outgoingHeaders,
  remainingTime,
  withDeadline,
  withoutDeadline,
  withSurroundings,
} from './surroundings.ts'

const down = () => Promise.reject(new Error('down'))

describe('an inherited deadline', () => {
  it('ends a call that is made deep inside', async () => {
    const prices = pipeline('prices', retry())
    const deep = async () => {
      await undefined
      return prices.execute(hangs)
    }

    const error = await rejection(withDeadline(30, deep))

    expect(error).toBeInstanceOf(TimeoutError)
    expect(String(error)).toContain('deadline reached')
  })

  it('is seen by the function as its context', async () => {
    const [outside, inside] = await withDeadline(1_000, () =>
      timeout(60_000).execute(({ remaining }) => [remainingTime(), remaining]),
    )

    expect(inside).toBeGreaterThan(0)
    expect(inside).toBeLessThanOrEqual(1_000)
    expect(outside).toBeLessThanOrEqual(1_000)
  })

  it('leaves a smaller limit of the call alone', async () => {
    const { signal } = new AbortController()
    const deadline = systemClock.now() + 500

    const remaining = await withDeadline(60_000, () =>
      pipeline('own').execute((context) => context.deadline, { signal, deadline }),
    )

    expect(remaining).toBe(deadline)
  })

  it('is the earlier of two, whichever is outside', () => {
    expect(withDeadline(50, () => withDeadline(5_000, remainingTime))).toBeLessThanOrEqual(50)
    expect(withDeadline(5_000, () => withDeadline(50, remainingTime))).toBeLessThanOrEqual(50)
  })

  it('refuses a call that is made too late, without making it', async () => {
    let calls = 0

    const error = await withDeadline(0, () => rejection(pipeline('late').execute(() => calls++)))

    expect(error).toBeInstanceOf(TimeoutError)
    expect(calls).toBe(0)
  })

  it('begins no pause of a retry that could not end in time', async () => {
    const patient = retry({ baseDelay: 20_000, jitter: 'none' })

    await withDeadline(1_000, () => rejection(patient.execute(down)))

    expect(patient.stats().gaveUp.deadline).toBe(1)
  })

  it("is told in the time of a clock of one's own", async () => {
    const clock = virtualClock({ start: 5_000_000 })

    const left = await withDeadline(1_000, () =>
      pipeline({ name: 'own', clock }).execute(({ deadline }) => deadline - clock.now()),
    )

    expect(left).toBeGreaterThan(900)
    expect(left).toBeLessThanOrEqual(1_000)
  })

  it('ends a wait for a resource of a pool', async () => {
    const pool = createPool({ create: () => ({}), maxSize: 1, acquireTimeout: 60_000 })
    const lease = await pool.acquire()

    const error = await withDeadline(20, () => rejection(pool.acquire()))

    expect(error).toBeInstanceOf(AcquireTimeoutError)
    lease.release()
    await pool.close()
  })

  it('ends the wait for a batch, which goes on for the others', async () => {
    const answer = gate()
    // Whoever's deadline ends before the batch is sent is not in it.
    const prices = batcher(async (keys: readonly number[]): Promise<number[]> => {
      await answer.promise
      return keys.map((key) => 10 * key)
    })

    const patient = prices.load(1)
    const [one, many] = await withDeadline(20, () =>
      Promise.all([rejection(prices.load(2)), rejection(prices.loadMany([3]))]),
    )
    answer.open()

    expect([one, many].map((error) => error instanceof TimeoutError)).toEqual([true, true])
    expect(await patient).toBe(10)
  })

  it('leaves no timer behind for requests that were answered long before', async () => {
    const prices = batcher((keys: readonly number[]) => keys)
    const cleared = vi.spyOn(globalThis, 'clearTimeout')
    for (let n = 0; n < 200; n++) await withDeadline(86_000_000, () => prices.load(n))

    await vi.waitFor(
      async () => {
        collectGarbage()
        await quiet()
        expect(cleared.mock.calls.length).toBeGreaterThan(150)
      },
      { timeout: 10_000 },
    )
    cleared.mockRestore()
  })

  it('does not end work that others share with whoever began it', async () => {
    const patient = timeout(60_000)
    const answer = gate<number>()
    const deep = () => patient.execute(() => answer.promise)
    const shared = pipeline('shared', coalesce({ key: () => 'one' }))
    const prices = batcher(async (keys: readonly number[]) => {
      const price = await deep()
      return keys.map(() => price)
    })
    const pool = createPool({ create: deep, maxSize: 1 })

    const hasty = withDeadline(20, () =>
      Promise.all([shared.execute(deep), prices.load(1), pool.acquire()].map(rejection)),
    )
    const others = [shared.execute(deep), prices.load(1), pool.use((resource) => resource)]
    await hasty
    answer.open(7)

    expect(await Promise.all(others)).toEqual([7, 7, 7])
    await pool.close()
  })

  it('is over when its function has returned', () => {
    withDeadline(10, () => {})

    expect(remainingTime()).toBe(Number.POSITIVE_INFINITY)
  })

  it.each([-1, Number.NaN, '5' as never])('must not be %o', (limit) => {
    expect(() => withDeadline(limit, () => 1)).toThrow(/limit/)
  })
})

describe('work that has to be ended, whoever still waits', () => {
  it('inherits no deadline, and limits of its own hold', async () => {
    const kept = withDeadline(5, () =>
      withoutDeadline(async () => {
        await withDeadline(10, () => rejection(pipeline('too long').execute(hangs)))
        return pipeline('record').execute(() => 'kept')
      }),
    )

    expect(await kept).toBe('kept')
    const own = withDeadline(5_000, () => withoutDeadline(() => withDeadline(50, remainingTime)))
    expect(own).toBeLessThanOrEqual(50)
    expect(own).toBeGreaterThan(0)
  })

  it('is still not retried below somebody who tries again', async () => {
    const again = retry({ baseDelay: 0 })

    await withSurroundings({ retriedAbove: true, remaining: 1_000 }, () =>
      withoutDeadline(() => rejection(again.execute(down))),
    )

    expect(again.stats().retries).toBe(0)
  })

  it('needs no request around it', () => {
    expect(withoutDeadline(remainingTime)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('retries that somebody above makes anyway', () => {
  it('are not made here', async () => {
    const again = retry({ baseDelay: 0 })

    await withSurroundings({ retriedAbove: true }, () => rejection(again.execute(down)))
    await rejection(again.execute(down))

    expect(again.stats().gaveUp).toMatchObject({ 'retried-above': 1, 'max-retries': 1 })
  })

  it('stay known inside a deadline and a request of a request', async () => {
    const again = retry({ baseDelay: 0 })
    const nested = () => withSurroundings({}, () => rejection(again.execute(down)))

    await withSurroundings({ retriedAbove: true }, () => withDeadline(1_000, nested))

    expect(again.stats().retries).toBe(0)
  })
})

describe('outgoingHeaders', () => {
  it('tell the time left and the attempt', () => {
    const headers = withDeadline(1_000, () => outgoingHeaders({ attempt: 1, maxAttempts: 4 }))

    expect(headers['x-attempt']).toBe('1/4')
    expect(Number(headers['x-deadline-ms'])).toBeGreaterThan(900)
  })
})

describe('what is said of a request', () => {
  it.each([
    [{ remaining: -1 }, RangeError],
    [{ remaining: '5' }, TypeError],
    [{ attempt: 0 }, RangeError],
    [{ attempt: '2' }, TypeError],
    [{ retriedAbove: 'false' }, TypeError],
  ])('is checked: %o', (options, kind) => {
    let calls = 0

    expect(() => withSurroundings(options as never, () => calls++)).toThrow(kind)
    expect(calls).toBe(0)
  })

  it.each([
    [{ attempt: 1.5, maxAttempts: 4.9 }, '1/4'],
    [{ attempt: 0, maxAttempts: 2 }, '1/2'],
    [{ attempt: Number.NaN, maxAttempts: 2 }, '1/2'],
    [{ attempt: 5_000, maxAttempts: Number.POSITIVE_INFINITY }, '999/999'],
    [{ attempt: 2, maxAttempts: Number.NaN }, undefined],
  ])('is told so that the next service can read it: %o', (sending, header) => {
    expect(outgoingHeaders(sending)['x-attempt']).toBe(header)
  })
})
