/** A wrapped function keeps its signature; a decorated method has to return a promise. */

import { fallback, pipeline, protect, retry, timeout } from 'holdfast'
import { describe, expectTypeOf, it } from 'vitest'

const calls = pipeline('p', retry(), timeout(1))

describe('a wrapped function', () => {
  it('keeps its parameters, their names and what is optional', () => {
    const wrapped = calls.wrap((id: string, size?: number, ...more: boolean[]) => ({
      id,
      size,
      more,
    }))

    expectTypeOf(wrapped).parameters.toEqualTypeOf<
      [id: string, size?: number | undefined, ...more: boolean[]]
    >()
    expectTypeOf(wrapped('a')).resolves.toEqualTypeOf<{
      id: string
      size: number | undefined
      more: boolean[]
    }>()
    // @ts-expect-error: the id is missing
    void wrapped()
    // @ts-expect-error: the id is a string
    void wrapped(42)
  })

  it('answers a promise, once', () => {
    expectTypeOf(calls.wrap(() => 1)()).toEqualTypeOf<Promise<number>>()
    expectTypeOf(calls.wrap(async () => 1)()).toEqualTypeOf<Promise<number>>()
  })

  it('asks for the same this', () => {
    const wrapped = calls.wrap(function (this: { readonly shop: string }, id: string) {
      return `${this.shop} ${id}`
    })
    const shop = { shop: 'kelp', product: wrapped }

    expectTypeOf(shop.product('1')).resolves.toBeString()
    // @ts-expect-error: no shop
    void wrapped.call({}, '1')
  })

  it('widens by a fallback', () => {
    const wrapped = pipeline(
      'p',
      fallback(() => null),
    ).wrap(async (id: string) => id)

    expectTypeOf(wrapped('a')).resolves.toEqualTypeOf<string | null>()
  })

  it('has to be a function', () => {
    // @ts-expect-error: a promise is none
    calls.wrap(Promise.resolve(1))
    // @ts-expect-error: nor is a promise an operation
    void calls.execute(Promise.resolve(1))
    // @ts-expect-error: nor does an operation take arguments of its own
    void calls.execute((id: string) => id)
  })
})

describe('a decorated method', () => {
  it('has to return a promise', () => {
    class Shop {
      @protect(calls)
      async product(id: string): Promise<string> {
        return id
      }

      // @ts-expect-error: a method that answers at once would answer a promise
      @protect(calls)
      size(): number {
        return 1
      }

      // @ts-expect-error: a field is no method
      @protect(calls)
      name = 'kelp'

      // @ts-expect-error: nor is an accessor
      @protect(calls)
      get open(): boolean {
        return true
      }
    }

    expectTypeOf<Shop['product']>().toEqualTypeOf<(id: string) => Promise<string>>()
  })

  it('has to return what the policy may answer: a decorator cannot widen it', () => {
    const orText = pipeline(
      'p',
      fallback(() => 'text'),
    )
    class Shop {
      @protect(orText)
      async product(): Promise<number | string> {
        return 1
      }

      // @ts-expect-error: it would answer text now and then
      @protect(orText)
      async size(): Promise<number> {
        return 1
      }
    }

    expectTypeOf<Shop['product']>().returns.resolves.toEqualTypeOf<number | string>()
  })

  it('may be decorated by the legacy convention as well', () => {
    const decorate = protect(calls)
    const good: TypedPropertyDescriptor<(id: string) => Promise<string>> = {}
    expectTypeOf(decorate({}, 'product', good)).toEqualTypeOf(good)
    const bad: TypedPropertyDescriptor<(id: string) => string> = {}
    // @ts-expect-error: answers no promise
    decorate({}, 'product', bad)
  })

  it('needs a policy', () => {
    // @ts-expect-error: not a policy
    protect({})
    // @ts-expect-error: not a policy either
    pipeline('p', () => {})
  })
})
