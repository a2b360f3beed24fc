/**
 * One user gets the answer of another: a key that forgets the user, or that is the same for everybody
 * because the call had no arguments. Seen in unjs/ocache#61, PostHog#82233, morcen/passage#111.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { coalesce, pipeline, protect, retry, staleCache } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { quiet, rejection } from '../support/calls.ts'

const user = new AsyncLocalStorage<string>()
const perUser = (id: string): string | undefined => {
  const name = user.getStore()
  return name === undefined ? undefined : JSON.stringify([name, id])
}
const orders = async (id: string): Promise<string> => {
  const name = user.getStore()
  await quiet()
  return `${id} of ${name}`
}

const caches = {
  staleCache: () => staleCache({ key: perUser, staleFor: 60_000, freshFor: 60_000 }),
  coalesce: () => coalesce({ key: perUser }),
}

describe.each(Object.entries(caches))('%s', (_name, make) => {
  it('answers users apart who ask the same at the same time, and later', async () => {
    const read = pipeline('orders', make(), retry()).wrap(orders)
    const ask = (name: string) => user.run(name, () => read('all'))

    const names = ['ann', 'ben', 'ann', 'ben']
    const expected = names.map((name) => `all of ${name}`)
    expect(await Promise.all(names.map(ask))).toEqual(expected)
    expect(await Promise.all(names.map(ask))).toEqual(expected)
  })

  it('shares nothing of who is nobody', async () => {
    let calls = 0
    const read = make().wrap(async (_id: string) => ++calls)

    expect(await Promise.all([read('all'), read('all')])).toEqual([1, 2])
    expect(await read('all')).toBe(3)
  })

  it('refuses a call whose key would be the same for everybody', async () => {
    const policy = pipeline('orders', make())
    const secret = (): string => 'secret of ann'

    const refused = await rejection(user.run('ann', () => policy.execute(secret)))

    expect(refused).toBeInstanceOf(TypeError)
    expect(String(refused)).toContain('{ args: [id] }')
  })

  it('finds the arguments of a decorated method, and through a pipeline in a pipeline', async () => {
    const nested = pipeline('outer', retry(), pipeline('inner', make()))
    class Orders {
      readonly shop: string
      constructor(shop: string) {
        this.shop = shop
      }
      async read(id: string): Promise<string> {
        return orders(`${this.shop} ${id}`)
      }
    }
    const method = Object.getOwnPropertyDescriptor(Orders.prototype, 'read') as PropertyDescriptor
    const decorate = protect(nested) as unknown as (...args: unknown[]) => PropertyDescriptor
    Object.defineProperty(Orders.prototype, 'read', decorate(Orders.prototype, 'read', method))
    const shop = new Orders('kelp')

    expect(await user.run('ann', () => shop.read('1'))).toBe('kelp 1 of ann')
    expect(await user.run('ben', () => shop.read('1'))).toBe('kelp 1 of ben')
    expect(await user.run('ann', () => shop.read('2'))).toBe('kelp 2 of ann')
  })
})

describe('two caches in one store', () => {
  it('do not answer for each other', async () => {
    const store = new Map<string, unknown>()
    const make = (name: string) =>
      staleCache({ name, key: (id: string) => id, staleFor: 60_000, freshFor: 60_000, store })
    const [prices, products] = [make('prices').wrap(async (_id: string) => 3), make('products')]
    await prices('tea')

    expect(await products.wrap(async (id: string) => id)('tea')).toBe('tea')
  })
})
