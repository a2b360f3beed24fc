import { iterateConcurrent } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, times, watch } from '../../../test/support/calls.ts'
import { listenersOn } from '../../../test/support/leaks.ts'

const square = async (n: number): Promise<number> => n * n

async function all<T>(results: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = []
  for await (const result of results) seen.push(result)
  return seen
}

function input(): { items: Iterable<number>; notes: { read: number; closed: number } } {
  const notes = { read: 0, closed: 0 }
  const items = {
    [Symbol.iterator]: () => ({
      next: () => ({ done: false as const, value: notes.read++ }),
      return: () => {
        notes.closed++
        return { done: true as const, value: undefined }
      },
    }),
  }
  return { items, notes }
}

describe('iterateConcurrent', () => {
  it('gives the results in order, then ends', async () => {
    expect(await all(iterateConcurrent([1, 2, 3], square, { concurrency: 2 }))).toEqual([1, 4, 9])
    expect(await all(iterateConcurrent([], square))).toEqual([])
    async function* stream(): AsyncGenerator<number> {
      yield* [1, 2, 3, 4]
    }
    expect(await all(iterateConcurrent(stream(), square, { concurrency: 1 }))).toHaveLength(4)
  })

  it('keeps the order when later items are ready first, or gives them as they come', async () => {
    for (const [ordered, expected] of [
      [true, [0, 1, 2]],
      [false, [2, 1, 0]],
    ] as const) {
      const gates = times(3, () => gate<number>())
      const results = iterateConcurrent([0, 1, 2], (n) => gates[n]?.promise, { ordered })
      const seen = all(results)
      for (const n of [2, 1, 0]) {
        gates[n]?.open(n)
        await quiet()
      }
      expect(await seen).toEqual(expected)
    }
  })

  it('starts nothing before the first next, and never runs ahead of its consumer', async () => {
    const { items, notes } = input()
    const results = iterateConcurrent(items, square, { concurrency: 3, readAhead: 5 })
    await quiet()
    expect(notes.read).toBe(0)

    await results.next()
    await quiet()
    expect(notes.read).toBe(6)
    await results.next()
    await quiet()
    expect(notes.read).toBe(7)
    await results.return?.()
    expect(notes).toEqual({ read: 7, closed: 1 })
  })

  it('closes everything when the loop is left', async () => {
    const { items, notes } = input()
    const signals: AbortSignal[] = []
    for await (const first of iterateConcurrent(items, (n, { signal }) => {
      signals.push(signal)
      return n === 0 ? 'first' : hangs()
    })) {
      expect(first).toBe('first')
      break
    }
    expect(notes.closed).toBe(1)
    expect(signals.slice(1).every(({ aborted }) => aborted)).toBe(true)
    expect(signals[1]?.reason).toMatchObject({ name: 'AbortError' })
  })

  it('ends a next that waits when it is left, and stays ended', async () => {
    const results = iterateConcurrent([1], hangs)
    const waiting = watch(results.next())
    expect(await results.return?.('left')).toEqual({ done: true, value: 'left' })
    await quiet()

    expect(waiting.value).toEqual({ done: true, value: undefined })
    expect(await results.next()).toEqual({ done: true, value: undefined })
    const thrown = iterateConcurrent([1], square)
    expect((await caught(thrown.throw?.('up') as Promise<never>)).error).toBe('up')
    expect(await thrown.next()).toMatchObject({ done: true })
  })

  it('gives what is ready before the first error, once, then nothing', async () => {
    const fn = (n: number): number => {
      if (n === 2) throw new Error('no 2')
      return n
    }
    const results = iterateConcurrent([0, 1, 2, 3], fn, { concurrency: 1, readAhead: 4 })
    expect(await results.next()).toEqual({ done: false, value: 0 })
    await quiet()
    expect(await results.next()).toEqual({ done: false, value: 1 })
    expect((await caught(results.next())).error).toEqual(new Error('no 2'))
    expect(await results.next()).toEqual({ done: true, value: undefined })
  })

  it('tells of all failures at the end with stopOnError false, or of each with settle', async () => {
    const fn = async (n: number): Promise<number> => {
      if (n % 2 === 1) throw new Error(`no ${n}`)
      return n
    }
    const seen: number[] = []
    const { error } = await caught(
      (async () => {
        const results = iterateConcurrent([0, 1, 2, 3], fn, { stopOnError: false, concurrency: 1 })
        for await (const result of results) seen.push(result)
        throw new Error('ended well')
      })(),
    )
    expect(seen).toEqual([0, 2])
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ errors: [{ message: 'no 1' }, { message: 'no 3' }] })

    const settled = await all(iterateConcurrent([0, 1], fn, { settle: true }))
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  it('rejects with exactly the reason of an abort', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const results = iterateConcurrent([1, 2], (n) => (n === 1 ? n : hangs()), { signal })
    await results.next()
    const waiting = caught(results.next())
    controller.abort('gone')

    expect((await waiting).error).toBe('gone')
    expect(await results.next()).toMatchObject({ done: true })
    expect(listenersOn(signal)).toBe(0)
    const never = iterateConcurrent([1], square, { signal })
    expect((await caught(never.next())).error).toBe('gone')
  })

  it('keeps nothing that was ready when it is left or aborted', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const ready = async () => {
      const results = iterateConcurrent(input().items, square, { signal, readAhead: 3 })
      await results.next()
      await quiet()
      return results
    }
    const left = await ready()
    const aborted = await ready()

    await left.return?.()
    expect(await left.next()).toEqual({ done: true, value: undefined })
    controller.abort('gone')
    expect((await caught(aborted.next())).error).toBe('gone')
  })

  it('opens no input when it is left before it has begun', async () => {
    let opened = 0
    const items = {
      [Symbol.iterator]: () => {
        opened++
        return [1][Symbol.iterator]()
      },
    }
    const results = iterateConcurrent(items, square)
    await results.return?.()

    expect(await results.next()).toEqual({ done: true, value: undefined })
    expect(opened).toBe(0)
  })

  it('serves many that ask at the same time, in order', async () => {
    const results = iterateConcurrent([1, 2], square)
    const answers = await Promise.all([results.next(), results.next(), results.next()])
    expect(answers.map(({ value }) => value)).toEqual([1, 4, undefined])
    expect(results[Symbol.asyncIterator]()).toBe(results)
  })

  it('checks its arguments at once', () => {
    expect(() => iterateConcurrent([1], square, { readAhead: 0 })).toThrow(RangeError)
    expect(() => iterateConcurrent([1], 'text' as never)).toThrow(TypeError)
  })
})
