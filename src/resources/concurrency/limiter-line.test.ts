/** The line before a limiter: bounded where it should be, never for ever, always in order. */
import { iterateConcurrent, LimiterFullError, limiter, mapConcurrent } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { gate, hangs, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import { listenersOn } from '../../../test/support/leaks.ts'

function stalling(concurrency: number, options: { maxQueue?: number; stallTimeout?: number } = {}) {
  const clock = virtualClock()
  const limit = limiter(concurrency, { name: 'disk', stallTimeout: 1_000, clock, ...options })
  return { clock, limit }
}

function sleep(clock: VirtualClock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(resolve, ms))
}

describe('a function that waits for its own limiter (BH13)', () => {
  it('is told so, and everything goes on', async () => {
    const { clock, limit } = stalling(1)
    const outer = watch(limit(() => limit(() => 'inner')))

    await clock.advance(2_000)

    expect(outer.status).toBe('rejected')
    expect(outer.reason).toBeInstanceOf(LimiterFullError)
    expect(outer.reason).toMatchObject({
      code: 'ERR_LIMITER_FULL',
      policy: 'disk',
      running: 1,
      queued: 1,
      concurrency: 1,
      stalled: 1_000,
    })
    expect(String(outer.reason)).toBe(
      'LimiterFullError: limiter "disk": no slot came free for 1000 ms (1 of 1 running, 1 of Infinity queued); not called; a function that waits for its own limiter waits for itself: give inner calls a limiter of their own, or raise stallTimeout if calls take so long',
    )
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 1 })
    expect(await limit(() => 'next')).toBe('next')
    clock.assertIdle()
  })

  it('with as many as there are slots, each waiting inside, loses the first, which frees the others', async () => {
    const { clock, limit } = stalling(3)
    const calls = times(3, () =>
      watch(limit(() => Promise.resolve().then(() => limit(() => 'inner')))),
    )

    await clock.advance(2_000)

    expect(calls[0]?.reason).toMatchObject({ queued: 3, running: 3 })
    expect(calls.slice(1).map(({ value }) => value)).toEqual(['inner', 'inner'])
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 3 })
    clock.assertIdle()
  })

  it('by a signal, a map or a stream is told so as well', async () => {
    const { clock, limit } = stalling(1)
    const shared = { concurrency: limit }
    const { signal } = new AbortController()
    const inner = [
      () => limit(() => 'inner', { signal }),
      () => mapConcurrent([1], async (n) => n, shared),
      () => iterateConcurrent([1], async (n) => n, shared).next(),
    ]
    for (const each of inner) {
      const outer = watch(limit<unknown>(each))

      await clock.advance(2_000)

      expect(outer.reason).toMatchObject({ code: 'ERR_LIMITER_FULL' })
      expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 1 })
    }
    clock.assertIdle()
  })

  it('leaves no listener on the signal of whoever is refused', async () => {
    const { clock, limit } = stalling(1)
    const held = gate()
    const first = limit(() => held.promise)
    const { signal } = new AbortController()
    const refused = watch(limit(() => 'never', { signal }))
    await quiet()
    expect(listenersOn(signal)).toBe(1)

    await clock.advance(2_000)

    expect(refused.reason).toBeInstanceOf(LimiterFullError)
    expect(listenersOn(signal)).toBe(0)
    held.open()
    await first
  })

  it('waits as long as it takes when stallTimeout is Infinity', async () => {
    const { clock, limit } = stalling(1, { stallTimeout: Number.POSITIVE_INFINITY })
    const outer = watch(limit(() => limit(() => 'inner')))

    await clock.advance(1e9)

    expect(outer.status).toBe('pending')
    clock.assertIdle()
  })
})

describe('a line that moves', () => {
  it('refuses nobody, however long it is', async () => {
    const { clock, limit } = stalling(1)
    const calls = times(50, (n) => watch(limit(() => sleep(clock, 900).then(() => n))))

    await clock.advance(50 * 900)

    expect(calls.map(({ value }) => value)).toEqual(times(50, (n) => n))
    clock.assertIdle()
  })

  it('refuses only who has seen it stand still', async () => {
    const { clock, limit } = stalling(1)
    const first = gate()
    watch(limit(() => first.promise))
    watch(limit(hangs))
    await clock.advance(900)
    first.open()
    await quiet()
    const old = watch(limit(() => 'old'))
    await clock.advance(500)
    const young = watch(limit(() => 'young'))

    await clock.advance(600)
    expect([old.status, young.status]).toEqual(['rejected', 'pending'])
    await clock.advance(1_000)
    expect(young.status).toBe('rejected')
    clock.assertIdle()
  })

  it('does not end a map whose own items hold the slots', async () => {
    const { clock, limit } = stalling(2)
    const seen = watch(
      mapConcurrent([1, 2, 3, 4], (n) => sleep(clock, 5_000).then(() => n), { concurrency: limit }),
    )

    await clock.advance(10_000)

    expect(seen).toEqual({ status: 'fulfilled', value: [1, 2, 3, 4] })
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 2 })
    clock.assertIdle()
  })
})

describe('the bound of the line (BH7)', () => {
  it.each([0, 1, 7])('of %i is kept, and whoever is refused is not called', async (maxQueue) => {
    const { limit } = stalling(2, { maxQueue })
    const held = gate()
    let called = 0
    const call = (): Promise<void> => {
      called++
      return held.promise
    }
    const { signal } = new AbortController()
    const calls = times(20, (n) => watch(n % 2 ? limit(call, { signal }) : limit(call)))
    await quiet()

    expect(limit.stats()).toEqual({ running: 2, queued: maxQueue, concurrency: 2 })
    const refused = calls.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(18 - maxQueue)
    expect(refused[0]?.reason).toMatchObject({ code: 'ERR_LIMITER_FULL', maxQueue, stalled: 0 })
    held.open()
    await quiet()
    expect(called).toBe(2 + maxQueue)
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 2 })
  })

  it('of 0 lets in whoever finds a slot, with a signal too', async () => {
    const { limit } = stalling(1, { maxQueue: 0 })

    expect(await limit(() => 'in')).toBe('in')
    expect(await limit(() => 'in', { signal: new AbortController().signal })).toBe('in')
  })

  it('is checked', () => {
    expect(() => limiter(1, { maxQueue: -1 })).toThrow(/maxQueue/)
    expect(() => limiter(1, { stallTimeout: 0 })).toThrow(/stallTimeout/)
    expect(() => limiter(1, { patience: 1 } as never)).toThrow(/patience/)
  })
})

describe('a slot', () => {
  it('is given back once, whatever a thenable calls back (BH11)', async () => {
    const limit = limiter(2)
    const twice = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
      then(resolve: (value: string) => void, reject: (error: unknown) => void) {
        resolve('first')
        resolve('second')
        reject(new Error('third'))
      },
    }
    const held = gate()
    const calls = times(3, () => limit(() => twice as unknown as Promise<string>))
    const others = times(4, () => watch(limit(() => held.promise)))

    expect(await Promise.all(calls)).toEqual(['first', 'first', 'first'])
    await quiet()

    expect(limit.stats()).toEqual({ running: 2, queued: 2, concurrency: 2 })
    held.open()
    await quiet()
    expect(others.every(({ status }) => status === 'fulfilled')).toBe(true)
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 2 })
  })

  it.each([
    ['runs at once', false, undefined],
    ['waits', true, undefined],
    ['has a signal', false, { signal: new AbortController().signal }],
    ['has a signal and waits', true, { signal: new AbortController().signal }],
  ])(
    'is given back by a call that %s and answers what only looks like a promise',
    async (...given) => {
      const [, waits, options] = given
      const limit = limiter(1)
      const before = waits ? limit(async () => 1) : undefined

      await expect(limit(() => Object.create(Promise.prototype), options)).rejects.toThrow(
        TypeError,
      )

      await before
      expect(await limit(() => 'next')).toBe('next')
      expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 1 })
    },
  )

  it('is given back once by a call that is aborted when it is granted, refused or done', async () => {
    const { clock, limit } = stalling(1)
    const held = gate()
    const caller = new AbortController()
    watch(limit(() => held.promise))
    const waiting = rejection(limit(() => 'late', { signal: caller.signal }))
    held.open()
    caller.abort('gone')
    expect(await waiting).toBe('gone')

    const outer = watch(limit(() => limit(() => 'inner', { signal: new AbortController().signal })))
    await clock.advance(2_000)
    expect(outer.status).toBe('rejected')

    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 1 })
    expect(await Promise.all(times(5, (n) => limit(() => n)))).toEqual([0, 1, 2, 3, 4])
  })

  it('goes to who came first, and to nobody who comes as it is freed (BH14)', async () => {
    const limit = limiter(1)
    const ended: number[] = []
    const calls = times(1_000, (n) =>
      limit(async () => {
        ended.push(n)
        if (n === 500) void limit(() => void ended.push(5_000))
      }),
    )
    // In the very turn in which the first slot is freed.
    const newcomer = calls[0]?.then(() => limit(() => void ended.push(10_000)))
    await Promise.all([...calls, newcomer])
    await quiet()

    expect(ended.slice(0, 1_000)).toEqual(times(1_000, (n) => n))
    expect(ended.slice(1_000)).toEqual([10_000, 5_000])
  })
})
