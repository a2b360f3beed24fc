import { AsyncLocalStorage } from 'node:async_hooks'
import { limiter } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { caught, gate, quiet, times, watch } from '../../../test/support/calls.ts'
import { listenersOn, withoutNoise } from '../../../test/support/leaks.ts'

describe('limiter', () => {
  it('runs so many at a time, the others in order', async () => {
    const limit = limiter(2)
    const gates = times(4, () => gate<number>())
    const started: number[] = []
    const calls = gates.map(({ promise }, n) =>
      limit(() => {
        started.push(n)
        return promise
      }),
    )
    expect(started).toEqual([0, 1])
    expect(limit.stats()).toEqual({ running: 2, queued: 2, concurrency: 2 })

    gates[1]?.open(1)
    await quiet()
    expect(started).toEqual([0, 1, 2])
    for (const [n, { open }] of gates.entries()) open(n)

    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3])
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 2 })
  })

  it('settles as the function does: values, thenables, throws, rejections', async () => {
    const limit = limiter(1)
    const error = new Error('down')
    const fail = (): never => {
      throw error
    }
    const given = [limit(() => 1), limit(async () => 2), limit(() => 3)]

    expect(await Promise.all(given)).toEqual([1, 2, 3])
    for (const call of [limit(fail), limit(fail), limit(() => Promise.reject(error))]) {
      expect((await caught(call)).error).toBe(error)
    }
    expect(limit.stats()).toMatchObject({ running: 0, queued: 0 })
  })

  it('starts waiters when it grows, and stops nobody when it shrinks', async () => {
    const limit = limiter(1)
    const held = gate()
    let running = 0
    const calls = times(6, () =>
      limit(async () => {
        running++
        await held.promise
      }),
    )
    limit.resize(4)
    await quiet()
    expect(running).toBe(4)
    limit.resize(1)
    expect(limit.stats()).toEqual({ running: 4, queued: 2, concurrency: 1 })

    held.open()
    await Promise.all(calls)
    expect(limit.concurrency).toBe(1)
    expect(running).toBe(6)
  })

  it('lets an aborted call leave the line at once, with exactly its reason', async () => {
    const limit = limiter(1)
    const held = gate()
    const first = limit(() => held.promise)
    const controller = new AbortController()
    const doomed = limit(() => expect.fail('was called'), { signal: controller.signal })
    const last = limit(() => 'last')
    const reason = { changed: 'my mind' }

    controller.abort(reason)
    expect((await caught(doomed)).error).toBe(reason)
    expect(limit.stats().queued).toBe(1)
    held.open()
    await first

    expect(await last).toBe('last')
    expect(listenersOn(controller.signal)).toBe(0)
  })

  it('keeps the slot of an aborted call until its work has ended', async () => {
    const limit = limiter(1)
    const held = gate()
    const controller = new AbortController()
    const running = watch(limit(() => held.promise, { signal: controller.signal }))
    const next = watch(limit(() => 'next'))

    controller.abort('gone')
    await quiet()
    expect(running).toEqual({ status: 'rejected', reason: 'gone' })
    expect(next.status).toBe('pending')
    held.open()
    await quiet()

    expect(next.value).toBe('next')
  })

  it('gives the slot back when grant and abort meet', async () => {
    const limit = limiter(1)
    const held = gate()
    const controller = new AbortController()
    const first = limit(() => held.promise)
    void first.then(() => controller.abort('too late'))
    const doomed = watch(limit(() => 'ran', { signal: controller.signal }))
    held.open()
    await quiet()

    expect(doomed.status).not.toBe('pending')
    expect(limit.stats()).toMatchObject({ running: 0, queued: 0 })
  })

  it('does not call a function that is granted and aborted in the same moment', async () => {
    const limit = limiter(1)
    const held = gate()
    const first = limit(() => held.promise)
    const controller = new AbortController()
    const doomed = watch(limit(() => expect.fail('was called'), { signal: controller.signal }))

    limit.resize(2)
    controller.abort('gone')
    await quiet()

    expect(doomed.reason).toBe('gone')
    expect(limit.stats()).toMatchObject({ running: 1, queued: 0 })
    held.open()
    await first
    expect(limit.stats()).toMatchObject({ running: 0, queued: 0 })
  })

  it('does not call for a signal that has aborted, and ends well with one that never does', async () => {
    const limit = limiter(1)
    const { signal } = new AbortController()
    const aborted = limit(() => expect.fail('was called'), { signal: AbortSignal.abort('before') })

    expect((await caught(aborted)).error).toBe('before')
    expect(await limit(() => 1, { signal })).toBe(1)
    expect(await limit(() => 2, {})).toBe(2)
    expect((await caught(limit(() => Promise.reject('bad'), { signal }))).error).toBe('bad')
    expect(listenersOn(signal)).toBe(0)
  })

  it('runs each function in the context of its own caller', async () => {
    const store = new AsyncLocalStorage<number>()
    const limit = limiter(1)
    const { signal } = new AbortController()
    const here = async (): Promise<number | undefined> => store.getStore()
    const calls = times(5, (n) => store.run(n, () => limit(here)))
    const abortable = times(5, (n) => store.run(n, () => limit(here, { signal })))

    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4])
    expect(await Promise.all(abortable)).toEqual([0, 1, 2, 3, 4])
  })

  it('says when it is idle, however that came about', async () => {
    const limit = limiter(1)
    await limit.idle()
    const held = gate()
    const controller = new AbortController()
    const first = limit(() => held.promise)
    const aborted = limit(() => 'never', { signal: controller.signal }).catch(() => 'aborted')
    const idle = watch(limit.idle())
    held.open()
    controller.abort()
    await first

    expect(await aborted).toBe('aborted')
    await quiet()
    expect(idle.status).toBe('fulfilled')
  })

  it('wraps a function with its this, arguments, name and length', async () => {
    const limit = limiter(1)
    const shop = {
      tax: 2,
      price: limit.wrap(function price(this: { tax: number }, net: number, pieces: number) {
        return (net + this.tax) * pieces
      }),
    }

    expect(await shop.price(3, 4)).toBe(20)
    expect(shop.price.name).toBe('price')
    expect(shop.price).toHaveLength(2)
    expect(() => limit.wrap('text' as never)).toThrow(TypeError)
  })

  it('goes through a line of 100,000 without depth or noise', async () => {
    await withoutNoise(async () => {
      const limit = limiter(3)
      let sum = 0
      await Promise.all(times(100_000, () => limit(() => sum++)))
      expect(sum).toBe(100_000)
    })
  })

  it.each([0, -1, 1.5, Number.NaN])('refuses a concurrency of %s', (concurrency) => {
    expect(() => limiter(concurrency)).toThrow(RangeError)
    expect(() => limiter(1).resize(concurrency)).toThrow(RangeError)
  })

  it('takes any number, refuses what is none, and names what is no function', async () => {
    expect(limiter(Number.POSITIVE_INFINITY).stats().concurrency).toBe(Number.POSITIVE_INFINITY)
    expect(() => limiter('2' as never)).toThrow(TypeError)
    expect((await caught(limiter(1)('text' as never))).error).toBeInstanceOf(TypeError)
    const unknown = limiter(1)(() => 1, { priority: 1 } as never)
    expect((await caught(unknown)).error).toMatchObject({ name: 'TypeError' })
  })
})
