/** Hooks and stores of a cache that answer with what nobody expects: no call fails, no process ends. */
import { describe, expect, it } from 'vitest'
import { type CacheStore, coalesce, staleCache } from '../../src/index.ts'
import { caught } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

const broken = async (): Promise<never> => {
  throw new Error('hook is broken')
}

describe('a key function that is async', () => {
  it.each([
    ['staleCache', staleCache({ key: broken as never, staleFor: 1_000 })],
    ['coalesce', coalesce({ key: broken as never })],
  ])('is an error of the call in %s, and its rejection ends no process', async (_kind, policy) => {
    await withoutNoise(async () => {
      let calls = 0
      const call = await caught(policy.execute(() => ++calls))

      expect(String(call.error)).toMatch(/key must give a string.*gave a promise; not called/)
      expect(calls).toBe(0)
    })
  })
})

describe('a hook of a cache that is async and rejects', () => {
  it.each(['sizeOf', 'isNegative', 'copy', 'handles'])(
    'as %s ends no process, and the call has its answer',
    async (hook) => {
      await withoutNoise(async () => {
        const given = { [hook]: broken, ...(hook === 'isNegative' ? { negativeFor: 1 } : {}) }
        const cache = staleCache({ key: () => 'all', staleFor: 1_000, ...given })

        expect(await cache.execute(() => 'answer')).toBe('answer')
      })
    },
  )
})

describe('a store that gives what cannot even be looked at', () => {
  const untouchable = new Proxy(
    {},
    {
      get() {
        throw new Error('trap')
      },
    },
  )
  const store: CacheStore = {
    get: () => untouchable,
    set: () => untouchable,
    delete: () => untouchable,
  }

  it('fails no call, and is told of', async () => {
    const cache = staleCache({ name: 'p', key: () => 'all', staleFor: 1_000, store })

    expect(await cache.execute(() => 'answer')).toBe('answer')
    expect(cache.stats().storeErrors).toBe(2)
  })
})

describe('keys that are the same in UTF-8', () => {
  it('share no answer in a store', async () => {
    const bytes = new Map<string, unknown>()
    const text = (key: string): string => Buffer.from(key).toString()
    const store: CacheStore = {
      get: (key) => bytes.get(text(key)),
      set: (key, value) => bytes.set(text(key), value),
      delete: (key) => bytes.delete(text(key)),
    }
    const options = { name: 'p', key: (id: string) => id, staleFor: 1_000, freshFor: 1_000, store }
    const read = staleCache(options).wrap(async (id: string) => ({ id }))

    for (const id of ['user \ud800', 'user \udc00', 'user \ufffd']) {
      expect(await read(id)).toEqual({ id })
    }
  })
})
