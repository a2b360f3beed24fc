import { circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
import { scripted } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { rejection } from '../../test/support/calls.ts'
import { runDecorated } from '../../test/support/decorators-plugin.ts'
import { protect } from './protect.ts'

type Shop = new () => Record<string, (...args: unknown[]) => Promise<unknown>> & {
  rate: number
}

/** A class by either convention, with one policy for its methods. */
async function shop(
  convention: 'standard' | 'legacy',
  members: string,
  scope: Readonly<Record<string, unknown>> = {},
): Promise<Shop> {
  const source = `export class Shop { rate = 2\n${members} }`
  const { Shop } = await runDecorated(source, convention, { protect, ...scope })
  return Shop as Shop
}

describe.each(['standard', 'legacy'] as const)('protect, by the %s convention', (convention) => {
  it('puts a method under a policy, with its this and its arguments', async () => {
    const policy = retry({ maxRetries: 1, baseDelay: 0 })
    const Shop_ = await shop(
      convention,
      `calls = 0
      @protect(policy)
      async price(cents, currency) {
        if (++this.calls < 2) throw new Error('busy')
        return [cents * this.rate, currency]
      }`,
      { policy },
    )

    expect(await new Shop_()['price']?.(21, 'EUR')).toEqual([42, 'EUR'])
    expect(policy.stats()).toMatchObject({ calls: 1, retries: 1 })
  })

  it('keeps name and length', async () => {
    const Shop_ = await shop(convention, '@protect(policy) async price(cents, currency) {}', {
      policy: timeout(1_000),
    })
    const { price } = Shop_.prototype as { price: () => unknown }

    expect([price.name, price.length]).toEqual(['price', 2])
  })

  it('shares the policy between all objects of the class', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const operation = scripted(['fail', 'ok'])
    const Shop_ = await shop(convention, '@protect(breaker) async price() { return operation() }', {
      breaker,
      operation,
    })

    await rejection(new Shop_()['price']?.() as Promise<unknown>)

    expect(await rejection(new Shop_()['price']?.() as Promise<unknown>)).toMatchObject({
      code: 'ERR_CIRCUIT_OPEN',
    })
    expect(operation.calls).toBe(1)
  })

  it('shows the arguments to fallbacks', async () => {
    const guess = fallback((_error, { args }) => `no price for ${String(args[0])}`)
    const Shop_ = await shop(
      convention,
      `@protect(guess) async price(id) { throw new Error('down') }`,
      { guess },
    )

    expect(await new Shop_()['price']?.('42')).toBe('no price for 42')
  })

  it('protects static methods and methods without a name of their own', async () => {
    const policy = timeout(1_000)
    const key = Symbol('price')
    const Shop_ = await shop(
      convention,
      `@protect(policy) static async open() { return this.name }
      @protect(policy) async [key]() { return this.rate }`,
      { policy, key },
    )

    expect(await (Shop_ as unknown as { open(): Promise<string> }).open()).toMatch(/Shop$/)
    const one = new Shop_() as unknown as Record<symbol, () => Promise<number>>
    expect(await one[key]?.()).toBe(2)
    expect(policy.stats().succeeded).toBe(2)
  })

  it('protects a method that a subclass overrides and calls', async () => {
    const policy = timeout(1_000)
    const Shop_ = await shop(convention, '@protect(policy) async price() { return this.rate }', {
      policy,
    })
    class Dear extends Shop_ {
      async price(): Promise<unknown> {
        return `dear: ${String(await super['price']?.())}`
      }
    }

    expect(await new Dear().price()).toBe('dear: 2')
  })

  it('turns a method that throws at once into one that rejects', async () => {
    const Shop_ = await shop(
      convention,
      `@protect(policy) price() { throw new Error('at once') }`,
      { policy: timeout(1_000) },
    )

    expect(await rejection(new Shop_()['price']?.() as Promise<unknown>)).toMatchObject({
      message: 'at once',
    })
  })

  it('takes a policy of the user’s own, which has no wrap', async () => {
    const seen: unknown[] = []
    const policy = {
      name: 'own',
      execute: async (operation: () => unknown) => {
        seen.push('called')
        return await operation()
      },
    }
    const Shop_ = await shop(
      convention,
      '@protect(policy) async price(n) { return n * this.rate }',
      {
        policy,
      },
    )

    expect(await new Shop_()['price']?.(4)).toBe(8)
    expect(seen).toEqual(['called'])
    const { price } = Shop_.prototype as { price: () => unknown }
    expect([price.name, price.length]).toEqual(['price', 1])
  })

  it('can be put on top of itself', async () => {
    const [outer, inner] = [pipeline('outer'), pipeline('inner')]
    const Shop_ = await shop(
      convention,
      '@protect(outer) @protect(inner) async price() { return this.rate }',
      { outer, inner },
    )

    expect(await new Shop_()['price']?.()).toBe(2)
    expect([outer.stats().calls, inner.stats().calls]).toEqual([1, 1])
  })

  it('refuses what is no method, by its name', async () => {
    const policy = timeout(1_000)
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['@protect(policy) price = 5', /"price" is (a field|no method)/],
      ['@protect(policy) get price() { return 5 }', /"price" is (a getter|no method)/],
      ['@protect(policy) set price(n) {}', /"price" is (a setter|no method)/],
    ]

    for (const [members, message] of wrong) {
      const made = shop(convention, members, { policy })
      expect(await rejection(made)).toMatchObject({
        name: 'TypeError',
        message: expect.stringMatching(message),
      })
      await expect(shop(convention, members, { policy })).rejects.toThrow(
        'decorate a method that returns a promise',
      )
    }
  })

  it('refuses a class', async () => {
    const source = 'export @protect(policy) class Shop {}'

    await expect(runDecorated(source, convention, { protect, policy: timeout(5) })).rejects.toThrow(
      TypeError,
    )
  })
})

describe('protect', () => {
  it.each([undefined, null, 'retry', {}, () => undefined])('refuses %o as a policy', (policy) => {
    expect(() => protect(policy as never)).toThrow(TypeError)
    expect(() => protect(policy as never)).toThrow('protect: policy must have an execute method')
  })

  it('keeps what a framework has written on the method', () => {
    const metadata = new Map<unknown, Map<unknown, unknown>>()
    const keep = Reflect as unknown as Record<string, unknown>
    keep['getOwnMetadataKeys'] = (target: unknown) => [...(metadata.get(target)?.keys() ?? [])]
    keep['getOwnMetadata'] = (key: unknown, target: unknown) => metadata.get(target)?.get(key)
    keep['defineMetadata'] = (key: unknown, value: unknown, target: unknown) => {
      metadata.set(target, (metadata.get(target) ?? new Map()).set(key, value))
    }
    try {
      const method = async (): Promise<void> => undefined
      metadata.set(method, new Map([['route', '/price']]))
      const decorate = protect(timeout(1_000)) as unknown as (
        target: object,
        key: string,
        descriptor: PropertyDescriptor,
      ) => PropertyDescriptor

      const { value, enumerable } = decorate({}, 'price', { value: method, enumerable: true })

      expect(value).not.toBe(method)
      expect(enumerable).toBe(true)
      expect(metadata.get(value)?.get('route')).toBe('/price')
    } finally {
      for (const name of ['getOwnMetadataKeys', 'getOwnMetadata', 'defineMetadata']) {
        delete keep[name]
      }
    }
  })
})
