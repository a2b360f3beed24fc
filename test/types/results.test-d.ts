/** The type of an answer widens by what a fallback can add, and only by that. */

import {
  type AlternativeOf,
  bulkhead,
  circuitBreaker,
  type Detailed,
  fallback,
  keyed,
  type Pipeline,
  type Policy,
  type PolicyLike,
  pipeline,
  retry,
  timeout,
  withFallback,
} from 'holdfast'
import { describe, expectTypeOf, it } from 'vitest'

interface Product {
  readonly id: string
}
declare const product: () => Promise<Product>

describe('the type of an answer', () => {
  it('is that of the function, for every policy but a fallback', () => {
    expectTypeOf(retry().execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(timeout(1).execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(circuitBreaker().execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(bulkhead({ maxConcurrent: 1 }).execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(pipeline('p').execute(product)).resolves.toEqualTypeOf<Product>()
    const calls = pipeline('p', retry(), circuitBreaker(), timeout(1))
    expectTypeOf(calls).toEqualTypeOf<Pipeline<never>>()
    expectTypeOf(calls.execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(calls.execute(() => 42)).resolves.toEqualTypeOf<number>()
  })

  it('widens by what a fallback answers, sync or async', () => {
    const calls = pipeline(
      'p',
      fallback(() => 'default'),
      retry(),
    )
    expectTypeOf(calls.execute(product)).resolves.toEqualTypeOf<Product | string>()
    const async = pipeline(
      'p',
      fallback(async () => null),
    )
    expectTypeOf(async.execute(product)).resolves.toEqualTypeOf<Product | null>()
    const same = pipeline('p', fallback(product))
    expectTypeOf(same.execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(fallback(() => 1).execute(product)).resolves.toEqualTypeOf<Product | number>()
  })

  it('widens by all steps of all fallbacks', () => {
    const calls = pipeline(
      'p',
      fallback(() => 'a' as const, { name: 'b', run: async () => 1 as const }),
      retry(),
      fallback(() => true as const),
    )
    expectTypeOf(calls.execute(product)).resolves.toEqualTypeOf<Product | 'a' | 1 | true>()
  })

  it('widens not at all by a fallback that only throws', () => {
    const calls = pipeline(
      'p',
      fallback((error) => {
        throw error
      }),
    )
    expectTypeOf(calls.execute(product)).resolves.toEqualTypeOf<Product>()
  })

  it('widens through a nested pipeline and through keys', () => {
    const inner = pipeline(
      'inner',
      fallback(() => 'x'),
    )
    expectTypeOf(pipeline('outer', retry(), inner).execute(product)).resolves.toEqualTypeOf<
      Product | string
    >()
    expectTypeOf(keyed(() => inner).execute('key', product)).resolves.toEqualTypeOf<
      Product | string
    >()
    expectTypeOf(keyed(() => retry()).execute('key', product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf(keyed(() => circuitBreaker()).get('key').state).toBeString()
  })

  it('widens by what a policy of the user may answer', () => {
    const cache: PolicyLike<'cached'> = { execute: async () => 'cached' }
    const audit: PolicyLike = { execute: async (operation, options) => operation(options) }
    expectTypeOf(pipeline('p', cache, retry()).execute(product)).resolves.toEqualTypeOf<
      Product | 'cached'
    >()
    expectTypeOf(pipeline('p', audit, retry()).execute(product)).resolves.toEqualTypeOf<Product>()
    expectTypeOf<AlternativeOf<typeof cache>>().toEqualTypeOf<'cached'>()
    expectTypeOf<AlternativeOf<typeof audit>>().toBeNever()
  })

  it('is the same in a detailed answer', () => {
    const calls = pipeline(
      'p',
      fallback(() => 'x'),
    )
    expectTypeOf(calls.executeDetailed(product)).resolves.toEqualTypeOf<
      Detailed<Product | string>
    >()
  })

  it('unwraps thenables', () => {
    const thenable = (): PromiseLike<Product> => product()
    expectTypeOf(retry().execute(thenable)).resolves.toEqualTypeOf<Product>()
  })

  it('lets a policy stand where a wider one is wanted, and not where a narrower one is', () => {
    const wide: Policy<string> = pipeline(
      'p',
      fallback(() => 'x'),
    )
    expectTypeOf(wide.execute(product)).resolves.toEqualTypeOf<Product | string>()
    const policies: readonly PolicyLike<unknown>[] = [retry(), wide]
    expectTypeOf(pipeline('p', ...policies).execute(product)).resolves.toBeUnknown()
    // @ts-expect-error: it may answer a string
    const narrow: Policy<number> = wide
    void narrow
  })

  it('joins those of withFallback', () => {
    const price = withFallback(
      async (id: string, _size?: number) => id.length,
      (id: string) => `no price for ${id}`,
    )
    expectTypeOf(price).parameters.toEqualTypeOf<[id: string, _size?: number | undefined]>()
    expectTypeOf(price('kelp')).resolves.toEqualTypeOf<number | string>()
  })
})
