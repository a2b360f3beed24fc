import { batcher, fallback, fetchAll, iterateConcurrent, limiter, mapConcurrent } from 'holdfast'
import { describe, expectTypeOf, it } from 'vitest'

const length = async (text: string): Promise<number> => text.length

describe('many at a time', () => {
  it('give what the function gives, and what a fallback can add', () => {
    expectTypeOf(mapConcurrent(['a'], length)).resolves.toEqualTypeOf<number[]>()
    const policy = fallback(() => null)
    expectTypeOf(mapConcurrent(['a'], length, { policy })).resolves.toEqualTypeOf<
      (number | null)[]
    >()
    expectTypeOf(mapConcurrent(['a'], length, { settle: true })).resolves.toEqualTypeOf<
      PromiseSettledResult<number>[]
    >()
    expectTypeOf(iterateConcurrent(['a'], length)).toEqualTypeOf<AsyncIterableIterator<number>>()
    expectTypeOf(limiter(1)(() => 'a')).resolves.toEqualTypeOf<string>()
    expectTypeOf(limiter(1).wrap(length)).toBeCallableWith('a')
  })

  it('know what fetchAll reads', () => {
    expectTypeOf(fetchAll(['a'])).resolves.toEqualTypeOf<Response[]>()
    const read = (response: Response): Promise<string> => response.text()
    expectTypeOf(fetchAll(['a'], { read })).resolves.toEqualTypeOf<string[]>()
  })

  it('do not take what is no item, nor options that do not exist', () => {
    // @ts-expect-error a number is no text
    mapConcurrent([1], length)
    // @ts-expect-error an option that does not exist
    mapConcurrent(['a'], length, { concurency: 2 })
  })
})

describe('a batcher', () => {
  it('takes keys and gives values', () => {
    const load = batcher((ids: readonly number[]) => ids.map(String))
    expectTypeOf(load.load(1)).resolves.toEqualTypeOf<string>()
    expectTypeOf(load.loadMany([1])).resolves.toEqualTypeOf<(string | Error)[]>()
    // @ts-expect-error text is no key
    load.load('1')
  })
})
