import { AsyncLocalStorage } from 'node:async_hooks'
import {
  circuitBreaker,
  fallback,
  type ItemContext,
  limiter,
  type MapProgress,
  type MapReport,
  mapConcurrent,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, times, watch } from '../../../test/support/calls.ts'
import { listenersOn, withoutNoise } from '../../../test/support/leaks.ts'

const numbers = times(10, (n) => n)
const double = async (n: number): Promise<number> => n * 2

/** An input that notes what is done to it. */
function input(count: number) {
  const notes = { read: 0, closed: 0 }
  const items: Iterable<number> = {
    *[Symbol.iterator]() {
      try {
        while (notes.read < count) yield notes.read++
      } finally {
        notes.closed++
      }
    },
  }
  return { notes, items }
}

async function* slowly(count: number): AsyncGenerator<number> {
  for (let n = 0; n < count; n++) yield n
}

function fail(): never {
  throw new Error('no such item')
}

describe('mapConcurrent', () => {
  it('gives all results in the order of the items', async () => {
    expect(await mapConcurrent(numbers, double)).toEqual(numbers.map((n) => n * 2))
    expect(await mapConcurrent(new Set(numbers), double)).toHaveLength(10)
    expect(await mapConcurrent(slowly(10), double, { concurrency: 3 })).toHaveLength(10)
    expect(await mapConcurrent([], double)).toEqual([])
    expect(await mapConcurrent(slowly(0), double)).toEqual([])
  })

  it('gives them as they come when order does not matter', async () => {
    const gates = times(3, () => gate<number>())
    const results = mapConcurrent([0, 1, 2], (n) => gates[n]?.promise, { ordered: false })
    for (const n of [2, 0, 1]) {
      gates[n]?.open(n)
      await quiet()
    }
    expect(await results).toEqual([2, 0, 1])
  })

  it.each([
    ['items that are there', () => numbers],
    ['a stream', () => slowly(10)],
  ])('never runs more than concurrency at a time, of %s', async (_what, items) => {
    let running = 0
    let most = 0
    await mapConcurrent(
      items(),
      async () => {
        most = Math.max(most, ++running)
        await quiet()
        running--
      },
      { concurrency: 3 },
    )
    expect(most).toBe(3)
  })

  it('takes items only when it can use them', async () => {
    const { notes, items } = input(100)
    const held = gate<number>()
    const results = mapConcurrent(items, () => held.promise, { concurrency: 4 })
    await quiet()
    expect(notes.read).toBe(4)
    held.open(1)
    await results
    expect(notes).toEqual({ read: 100, closed: 1 })
  })

  it('stops at the first error: nothing new, signals aborted, input closed, no wait', async () => {
    const { notes, items } = input(100)
    const error = new Error('down')
    const contexts: ItemContext[] = []
    const results = mapConcurrent(
      items,
      (n, context) => {
        contexts.push(context)
        expect(context.signal.aborted).toBe(false)
        return n === 1 ? Promise.reject(error) : hangs()
      },
      { concurrency: 3 },
    )

    expect((await caught(results)).error).toBe(error)
    await quiet()
    expect(notes).toEqual({ read: 3, closed: 1 })
    expect(contexts.map(({ index, signal }) => [index, signal.aborted])).toEqual([
      [0, true],
      [1, false],
      [2, true],
    ])
    expect(contexts[0]?.signal.reason).toBe(error)
  })

  it('runs all with stopOnError false, and tells of every failure in the order of the items', async () => {
    let calls = 0
    const results = mapConcurrent(
      [3, 1, 2],
      async (n) => {
        calls++
        if (n < 3) throw new Error(`no ${n}`)
      },
      { stopOnError: false, concurrency: 1 },
    )
    const { error } = await caught(results)

    expect(calls).toBe(3)
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({
      message: 'mapConcurrent: 2 of 3 items failed; first: Error: no 1',
      errors: [{ message: 'no 1' }, { message: 'no 2' }],
    })
  })

  it('says how each item ended with settle', async () => {
    const fn = (n: number): number => {
      if (n === 1) throw new Error('no 1')
      return n
    }
    const results = await mapConcurrent([0, 1, undefined as never], fn, { settle: true })

    expect(results).toEqual([
      { status: 'fulfilled', value: 0 },
      { status: 'rejected', reason: new Error('no 1') },
      { status: 'fulfilled', value: undefined },
    ])
  })

  it('rejects at once with exactly the reason of an abort, and tells what was done', async () => {
    const { notes, items } = input(100)
    const controller = new AbortController()
    const reports: MapReport[] = []
    const results = watch(
      mapConcurrent(items, (n) => (n < 2 ? n : hangs()), {
        concurrency: 2,
        signal: controller.signal,
        onStop: (report) => reports.push(report),
      }),
    )
    await quiet()
    controller.abort('changed my mind')
    await quiet()

    expect(results).toEqual({ status: 'rejected', reason: 'changed my mind' })
    expect(notes).toEqual({ read: 4, closed: 1 })
    expect(reports).toEqual([
      {
        reason: 'changed my mind',
        done: 2,
        failed: 0,
        running: 2,
        total: undefined,
        results: [
          { status: 'fulfilled', value: 0 },
          { status: 'fulfilled', value: 1 },
        ],
        unfinished: [2, 3],
      },
    ])
    expect(listenersOn(controller.signal)).toBe(0)
  })

  it('touches nothing when the signal has aborted before', async () => {
    const { notes, items } = input(3)
    const results = mapConcurrent(items, double, { signal: AbortSignal.abort('before') })

    expect((await caught(results)).error).toBe('before')
    expect(notes).toEqual({ read: 0, closed: 0 })
  })

  it('ends when the input itself aborts', async () => {
    const controller = new AbortController()
    const items: Iterable<number> = {
      [Symbol.iterator]() {
        controller.abort('input')
        return numbers.values()
      },
    }
    const { signal } = controller
    expect((await caught(mapConcurrent(items, double, { signal }))).error).toBe('input')
  })

  it('hands out a signal that has aborted to whoever reads it late', async () => {
    const held = gate()
    const late = gate<AbortSignal>()
    const results = mapConcurrent([0, 1], async (n, context) => {
      if (n === 1) throw new Error('down')
      await held.promise
      late.open(context.signal)
    })
    await caught(results)
    held.open()

    expect(await late.promise).toMatchObject({ aborted: true, reason: new Error('down') })
  })

  it('sees what an array gains and loses while it is mapped', async () => {
    const items = [1, 2, 3, 4]
    const seen = await mapConcurrent(
      items,
      async (item) => {
        if (item === 1) items.push(5)
        if (item === 3) items.length = 4
        return item
      },
      { concurrency: 1 },
    )
    expect(seen).toEqual([1, 2, 3, 4])
  })

  it('takes nothing that an array gains after its end was seen, as with any iterator', async () => {
    const items = [1, 2]
    const held = gate()
    const results = mapConcurrent(items, async (item) => {
      if (item === 2) await held.promise
      return item
    })
    await quiet()
    items.push(3)
    held.open()
    expect(await results).toEqual([1, 2])
  })

  it('gives as many results as an array had items, also when it has become shorter', async () => {
    const items = [1, 2, 3, 4, 5]
    const results = await mapConcurrent(
      items,
      async (item) => {
        items.length = 2
        return item
      },
      { concurrency: 1 },
    )
    expect(results).toEqual([1, 2])
    expect(results).toHaveLength(2)
  })

  it.each([
    [
      'an item',
      1,
      { get: (list: number[], key: string) => (key === '2' ? fail() : Reflect.get(list, key)) },
    ],
    [
      'its length',
      0,
      {
        get: (list: number[], key: string) => (key === 'length' ? fail() : Reflect.get(list, key)),
      },
    ],
  ])('rejects when an array throws for %s', async (_what, least, traps) => {
    const seen: number[] = []
    const items = new Proxy([1, 2, 3, 4], traps as ProxyHandler<number[]>)
    const outcome = mapConcurrent(items, async (item) => void seen.push(item), { settle: true })
    expect((await caught(outcome)).error).toEqual(new Error('no such item'))
    expect(seen.length).toBeGreaterThanOrEqual(least)
    expect(seen).not.toContain(4)
  })

  it('rejects when the length of an array throws later', async () => {
    let reads = 0
    const get = (list: number[], key: string): unknown =>
      key === 'length' && ++reads > 3 ? fail() : Reflect.get(list, key)
    const items = new Proxy([1, 2, 3, 4], { get } as ProxyHandler<number[]>)
    const seen: number[] = []
    const outcome = mapConcurrent(items, async (item) => void seen.push(item), { concurrency: 1 })
    expect((await caught(outcome)).error).toEqual(new Error('no such item'))
    expect(seen.length).toBeGreaterThan(0)
  })

  it.each([
    ['an array', [1, 2, 3]],
    ['an iterable', new Set([1, 2, 3])],
    ['what comes later', slowly(3)],
  ])('tells how far it is after each item of %s', async (_what, items) => {
    const done: number[] = []
    await mapConcurrent(items, double, { onProgress: (progress) => done.push(progress.done) })
    expect(done).toEqual([1, 2, 3])
  })

  it('calls the function on nothing', async () => {
    const found = await mapConcurrent([1], async function (this: unknown) {
      return [this]
    })
    expect(found).toEqual([[undefined]])
  })

  it('maps the holes of an array as undefined, and an undefined item as itself', async () => {
    const items = [1, undefined, 3, 4]
    delete items[2]
    expect(await mapConcurrent(items, async (item) => [item])).toEqual([
      [1],
      [undefined],
      [undefined],
      [4],
    ])
  })

  it('asks an array that brings an iterator of its own', async () => {
    class Doubled extends Array<number> {
      override *[Symbol.iterator](): ArrayIterator<number> {
        for (let at = 0; at < this.length; at++) yield (this[at] as number) * 2
      }
    }
    expect(await mapConcurrent(Doubled.of(1, 2, 3), async (item) => item)).toEqual([2, 4, 6])
  })

  it.each([
    ['throws', () => [][Symbol.iterator].call(undefined as never)],
    ['is no iterable', () => 42],
    ['is nothing', () => null],
  ])('rejects when the input %s', async (_how, make) => {
    const items = { [Symbol.iterator]: make } as unknown as Iterable<number>
    expect((await caught(mapConcurrent(items, double))).error).toBeInstanceOf(TypeError)
    expect((await caught(mapConcurrent(make as never, double))).error).toBeInstanceOf(TypeError)
  })

  it.each([
    ['at once', () => ({ [Symbol.iterator]: () => ({ next: () => 5 }) })],
    ['later', () => ({ [Symbol.asyncIterator]: () => ({ next: async () => undefined }) })],
    ['later, as text', () => ({ [Symbol.asyncIterator]: () => ({ next: async () => 'a' }) })],
  ])('rejects when the input answers %s with what is no result', async (_when, make) => {
    const broken = mapConcurrent(make() as never, double)
    expect((await caught(broken)).error).toBeInstanceOf(TypeError)
  })

  it('rejects with the error of an input that breaks, whatever the mode', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1
      throw new Error('broken pipe')
    }
    function* brokenAtOnce(): Generator<number> {
      yield 1
      throw new Error('broken pipe')
    }
    for (const items of [broken, brokenAtOnce]) {
      const results = mapConcurrent(items(), hangs, { settle: true })
      expect((await caught(results)).error).toEqual(new Error('broken pipe'))
    }
  })

  it('does not wait for an input that never closes, nor mind one that throws', async () => {
    const endless: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: () => new Promise(() => {}),
      }),
    }
    const nasty: Iterable<number> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 1 }),
        return: () => {
          throw new Error('no')
        },
      }),
    }
    const fail = (): never => {
      throw new Error('down')
    }
    for (const items of [endless, nasty]) {
      expect((await caught(mapConcurrent(items, fail))).error).toEqual(new Error('down'))
    }
  })

  it('shares a limiter, which may be resized meanwhile', async () => {
    const limit = limiter(2)
    const held = gate()
    let running = 0
    const fn = async (): Promise<void> => {
      running++
      await held.promise
    }
    const both = [0, 1].map(() => mapConcurrent(numbers, fn, { concurrency: limit }))
    expect(running).toBe(2)
    limit.resize(6)
    await quiet()
    expect(running).toBe(6)
    limit.resize(1)
    held.open()
    await Promise.all(both)

    expect(running).toBe(20)
    expect(limit.stats()).toEqual({ running: 0, queued: 0, concurrency: 1 })
  })

  it('keeps to a limiter that shrinks while it runs, with nobody else in line', async () => {
    const limit = limiter(4)
    let running = 0
    const most: number[] = []
    const fn = async (n: number): Promise<void> => {
      most[n] = ++running
      if (n === 10) limit.resize(1)
      await quiet()
      running--
    }
    await mapConcurrent(times(30, Number), fn, { concurrency: limit })

    expect(Math.max(...most.slice(0, 10))).toBe(4)
    expect(Math.max(...most.slice(-10))).toBe(1)
  })

  it('gives a slot back that is granted and called off in the same moment', async () => {
    const limit = limiter(1)
    const held = gate()
    const first = limit(() => held.promise)
    const controller = new AbortController()
    const options = { concurrency: limit, signal: controller.signal }
    const map = caught(mapConcurrent(numbers, double, options))
    await quiet()
    expect(limit.stats().queued).toBe(1)

    limit.resize(2)
    controller.abort('gone')

    expect((await map).error).toBe('gone')
    await quiet()
    expect(limit.stats()).toMatchObject({ running: 1, queued: 0 })
    held.open()
    await first
    expect(limit.stats().running).toBe(0)
  })

  it('does not close an input that has ended, or that threw', async () => {
    let closed = 0
    const items = (end: () => IteratorResult<number>): Iterable<number> => {
      const values = [1, 2]
      return {
        [Symbol.iterator]: () => ({
          next() {
            const value = values.shift()
            return value === undefined ? end() : { done: false, value }
          },
          return() {
            closed++
            return { done: true, value: undefined }
          },
        }),
      }
    }
    const ended = items(() => ({ done: true, value: undefined }))
    const broken = items(() => {
      throw new Error('broken input')
    })
    const late = async (): Promise<never> => {
      await quiet()
      throw new Error('no')
    }

    expect((await caught(mapConcurrent(ended, late))).error).toEqual(new Error('no'))
    expect((await caught(mapConcurrent(broken, late))).error).toEqual(new Error('broken input'))
    expect(closed).toBe(0)
  })

  it('tells of failures in the order of the items, whichever came first', async () => {
    const gates = times(3, () => gate())
    const map = caught(
      mapConcurrent([0, 1, 2], (n) => gates[n]?.promise, { stopOnError: false, concurrency: 3 }),
    )
    for (const n of [2, 0, 1]) {
      gates[n]?.fail(new Error(`no ${n}`))
      await quiet()
    }

    expect((await map).error).toMatchObject({
      errors: [{ message: 'no 0' }, { message: 'no 1' }, { message: 'no 2' }],
      cause: { message: 'no 0' },
    })
  })

  it('leaves the line of a shared limiter when it stops', async () => {
    const limit = limiter(1)
    const held = gate()
    const other = limit(() => held.promise)
    const controller = new AbortController()
    const results = mapConcurrent(numbers, double, {
      concurrency: limit,
      signal: controller.signal,
    })
    expect(limit.stats().queued).toBe(1)
    controller.abort('gone')

    expect((await caught(results)).error).toBe('gone')
    expect(limit.stats().queued).toBe(0)
    held.open()
    await other
    await limit.idle()
  })

  it('gives a shared limiter back between items when others wait', async () => {
    const limit = limiter(1)
    const order: string[] = []
    const note = (what: string) => async (n: number) => void order.push(`${what}${n}`)
    await Promise.all([
      mapConcurrent([0, 1, 2], note('a'), { concurrency: limit }),
      mapConcurrent([0, 1, 2], note('b'), { concurrency: limit }),
    ])
    expect(order).toEqual(['a0', 'a1', 'b0', 'a2', 'b1', 'b2'])
  })

  it('runs each item under a policy, whose steps know the item', async () => {
    const clock = virtualClock()
    let calls = 0
    const policy = retry({ maxRetries: 1, baseDelay: 0, clock })
    const results = await mapConcurrent(
      [1, 2],
      async (n, { signal, index }) => {
        expect(signal.aborted).toBe(false)
        if (++calls < 2) throw new Error('once')
        return [n, index]
      },
      { policy },
    )
    expect(results).toEqual([
      [1, 0],
      [2, 1],
    ])

    const instead = fallback((_error, { args }) => `instead of ${args[0]}`)
    const fail = (): Promise<number> => Promise.reject(new Error('down'))
    const mixed: (number | string)[] = await mapConcurrent(['a', 'b'], fail, { policy: instead })
    expect(mixed).toEqual(['instead of a', 'instead of b'])
  })

  it('aborts what runs under a policy, and goes on after its refusals when asked to', async () => {
    const controller = new AbortController()
    const signals: AbortSignal[] = []
    const results = mapConcurrent(
      [1],
      (_n, { signal }) => {
        signals.push(signal)
        return hangs()
      },
      { policy: timeout(60_000), signal: controller.signal },
    )
    controller.abort('gone')
    expect((await caught(results)).error).toBe('gone')
    expect(signals[0]).toMatchObject({ aborted: true, reason: 'gone' })

    const policy = circuitBreaker({ failureThreshold: 1 })
    const fail = (): never => {
      throw new Error('down')
    }
    const settled = await mapConcurrent([1, 2], fail, { policy, settle: true, concurrency: 1 })
    expect(settled[1]).toMatchObject({ reason: { code: 'ERR_CIRCUIT_OPEN' } })
  })

  it('uses a policy of the user that hands nothing on', async () => {
    const policy = {
      execute: <T>(operation: () => T | PromiseLike<T>) => Promise.resolve(operation()),
    }
    const results = mapConcurrent([1], (_n, { signal }) => signal.aborted, { policy })
    expect(await results).toEqual([false])
  })

  it('tells how far it is, whatever the listener does', async () => {
    const seen: MapProgress[] = []
    const fn = (n: number): void => {
      if (n === 1) throw new Error('no')
    }
    await mapConcurrent([0, 1, 2], fn, {
      concurrency: 1,
      settle: true,
      onProgress: (progress) => {
        seen.push(progress)
        throw new Error('listener')
      },
    })
    expect(seen).toEqual([
      { done: 1, failed: 0, running: 0, total: 3 },
      { done: 2, failed: 1, running: 0, total: 3 },
      { done: 3, failed: 1, running: 0, total: 3 },
    ])
  })

  it('runs each item in the context of its caller, whoever freed the slot', async () => {
    const store = new AsyncLocalStorage<string>()
    const limit = limiter(1)
    const here = async (): Promise<string | undefined> => store.getStore()
    const [a, b] = await Promise.all(
      ['a', 'b'].map((user) =>
        store.run(user, () => mapConcurrent([1, 2, 3], here, { concurrency: limit })),
      ),
    )
    expect([a, b]).toEqual([
      ['a', 'a', 'a'],
      ['b', 'b', 'b'],
    ])
  })

  it('goes through a million items', async () => {
    await withoutNoise(async () => {
      function* million(): Generator<number> {
        for (let n = 0; n < 1_000_000; n++) yield n
      }
      const results = await mapConcurrent(million(), (n) => n)
      expect(results).toHaveLength(1_000_000)
      expect(results.at(-1)).toBe(999_999)
    })
  })

  it.each([
    [{ concurrency: 0 }, RangeError],
    [{ concurrency: () => 1 }, TypeError],
    [{ concurency: 3 }, TypeError],
    [{ policy: {} }, TypeError],
    [{ signal: {} }, TypeError],
  ])('rejects the options %j', async (options, error) => {
    expect((await caught(mapConcurrent([1], double, options as never))).error).toBeInstanceOf(error)
    expect((await caught(mapConcurrent([1], 'text' as never))).error).toBeInstanceOf(TypeError)
  })
})
