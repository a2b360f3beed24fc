/** TO9: whatever makes a request wait ends with the deadline that it inherits, also if it brings a signal of its own. */
import {
  adaptiveConcurrency,
  batcher,
  bulkhead,
  createPool,
  fetchAll,
  hedge,
  iterateConcurrent,
  limiter,
  mapConcurrent,
  rateLimiter,
  TimeoutError,
} from 'holdfast'
import { describe, expect, it } from 'vitest'
import { gate, hangs, quiet, rejection } from '../../../test/support/calls.ts'
import { listenersOn } from '../../../test/support/leaks.ts'
import { withDeadline, withSurroundings } from './surroundings.ts'

type Wait = (signal: AbortSignal) => Promise<unknown>

const waits: Record<string, () => Wait | Promise<Wait>> = {
  'the line of a bulkhead': () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 9 })
    slots.execute(hangs)
    return (signal) => slots.execute(() => 'ran', { signal })
  },
  'the line of an adaptive limit': () => {
    const slots = adaptiveConcurrency({ initialLimit: 1, maxLimit: 1, maxQueue: 9 })
    slots.execute(hangs)
    return (signal) => slots.execute(() => 'ran', { signal })
  },
  'the line of a rate limiter, which it does not even join': async () => {
    const api = rateLimiter({ limit: 1, interval: 60_000, maxQueue: 9, maxWait: 90_000 })
    await api.execute(() => 'first')
    return async (signal) => {
      expect(await rejection(api.execute(() => 'ran', { signal }))).toMatchObject({
        code: 'ERR_RATE_LIMITED',
      })
      throw new TimeoutError('deadline', 0, 'as good as')
    }
  },
  'all calls of a hedge': () => (signal) => hedge({ delay: 1 }).execute(hangs, { signal }),
  'the line of a pool': async () => {
    const pool = createPool({ create: () => ({}), maxSize: 1 })
    await pool.acquire()
    return async (signal) => {
      const error = await rejection(pool.acquire({ signal }))
      expect(error).toMatchObject({ code: 'ERR_ACQUIRE_TIMEOUT' })
      throw new TimeoutError('deadline', 0, 'as good as')
    }
  },
  'a load of a batch': () => {
    const prices = batcher(hangs as (keys: readonly number[]) => Promise<number[]>)
    return (signal) => prices.load(1, { signal })
  },
  'many loads of a batch': () => {
    const prices = batcher(hangs as (keys: readonly number[]) => Promise<number[]>)
    return (signal) => prices.loadMany([1, 2], { signal })
  },
  'the line of a limiter': () => {
    const limit = limiter(1)
    limit(hangs)
    return (signal) => limit(() => 'ran', { signal })
  },
  'a call under a limiter': () => (signal) => limiter(1)(hangs, { signal }),
  mapConcurrent: () => (signal) => mapConcurrent([1, 2], hangs, { concurrency: 1, signal }),
  'mapConcurrent in the line of a limiter': () => {
    const limit = limiter(1)
    limit(hangs)
    return (signal) => mapConcurrent([1, 2], () => 'ran', { concurrency: limit, signal })
  },
  iterateConcurrent: () => async (signal) => {
    for await (const _ of iterateConcurrent([1], hangs, { signal }));
  },
  fetchAll: () => (signal) => fetchAll(['https://a.example'], { signal, fetch: hangs }),
}

describe('TO9 a wait outlives the deadline of its request', () => {
  it.each(Object.entries(waits))('no: %s ends', async (_what, make) => {
    const wait = await make()
    const { signal } = new AbortController()

    expect(await rejection(withDeadline(20, () => wait(signal)))).toBeInstanceOf(TimeoutError)
    expect(listenersOn(signal)).toBe(0)
  })

  it.each(Object.entries(waits).filter(([what]) => !/rate limiter|pool/.test(what)))(
    'no: %s still ends with a signal of its own, whatever is inherited',
    async (_what, make) => {
      const wait = await make()
      const controller = new AbortController()
      const pending = rejection(withDeadline(60_000, () => wait(controller.signal)))
      await quiet()
      controller.abort('gone')

      expect(await pending).toBe('gone')
      expect(listenersOn(controller.signal)).toBe(0)
    },
  )
})

describe('a deadline that has passed', () => {
  it('begins nothing', async () => {
    let begun = 0
    const fn = () => ++begun
    const late = withDeadline(0, () =>
      Promise.all([
        rejection(limiter(1)(fn)),
        rejection(limiter(1).wrap(fn)()),
        rejection(mapConcurrent([1], fn)),
        rejection(iterateConcurrent([1], fn).next()),
        rejection(batcher(async () => [fn()]).load(1)),
        rejection(batcher(async () => [fn()]).loadMany([1])),
      ]),
    )

    expect((await late).every((error) => error instanceof TimeoutError)).toBe(true)
    expect(begun).toBe(0)
  })

  it('starts no further items, tells those under way, and what was done', async () => {
    const begun: number[] = []
    const told: boolean[] = []
    const reports: unknown[] = []
    const first = gate()
    const run = withDeadline(20, () =>
      mapConcurrent(
        [1, 2, 3, 4],
        async (item, { signal }) => {
          begun.push(item)
          signal.addEventListener('abort', () => told.push(true))
          if (item === 1) return first.promise
          return new Promise(() => {})
        },
        { concurrency: 2, onStop: ({ unfinished }) => reports.push(unfinished) },
      ),
    )
    first.open()
    const error = await rejection(run)

    expect(error).toBeInstanceOf(TimeoutError)
    expect([begun, told, reports]).toEqual([[1, 2, 3], [true, true], [[1, 2]]])
  })
})

describe('what is followed without a deadline', () => {
  it('runs as ever', async () => {
    const limit = limiter(1)
    const all = withSurroundings({}, () =>
      Promise.all([limit(() => 'one'), limit(() => 'two'), mapConcurrent([3], (n) => n)]),
    )

    expect(await all).toEqual(['one', 'two', [3]])
  })
})
