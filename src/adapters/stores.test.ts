import { describe, expect, it } from 'vitest'
import { keyvStore, lruStore, redisStore } from './stores.ts'

const value = { v: 1, value: 'tea', at: 1, fresh: 2, stale: 3, took: 4 } as const

/** Writes down every command. */
function recorder(log: unknown[][], answers: Record<string, unknown> = {}) {
  const command =
    (name: string) =>
    (...args: unknown[]): unknown => {
      log.push([name, ...args])
      return answers[name]
    }
  const [get, set, del] = ['get', 'set', 'del'].map(command)
  return { get, set, del, delete: command('delete') } as never
}

describe('the stores', () => {
  it('give an lru-cache the time to live in its own way', () => {
    const log: unknown[][] = []
    const store = lruStore(recorder(log, { get: value }))
    store.set('key', value, 500)
    store.delete('key')

    expect(store.get('key')).toBe(value)
    expect(log).toEqual([
      ['set', 'key', value, { ttl: 500 }],
      ['delete', 'key'],
      ['get', 'key'],
    ])
  })

  it('give a keyv what it takes, and keep its errors from ending the process', () => {
    const log: unknown[][] = []
    const heard: unknown[] = []
    const keyv = Object.assign(recorder(log) as object, { on: (name: string) => heard.push(name) })
    keyvStore(keyv as never).set('key', value, 500)

    expect(log).toEqual([['set', 'key', value, 500]])
    expect(heard).toEqual(['error'])
  })

  it('give node-redis and ioredis text, and the time to live as each wants it', async () => {
    const log: unknown[][] = []
    const node = redisStore(recorder(log, { get: JSON.stringify(value) }))
    const io = redisStore(Object.assign(recorder(log) as object, { call() {} }) as never)
    node.set('key', value, 500)
    io.set('key', value, 500)
    io.delete('key')

    expect(await node.get('key')).toEqual(value)
    expect(await io.get('key')).toBeUndefined()
    expect(log.slice(0, 3)).toEqual([
      ['set', 'key', JSON.stringify(value), { PX: 500 }],
      ['set', 'key', JSON.stringify(value), 'PX', 500],
      ['del', 'key'],
    ])
  })

  it('reject, and do not find, what is no JSON', async () => {
    await expect(redisStore(recorder([], { get: 'garbage' })).get('key')).rejects.toThrow()
  })

  it('serialize as they are told', async () => {
    const log: unknown[][] = []
    const store = redisStore(recorder(log, { get: 'text' }), {
      serialize: ({ value }) => `my ${value}`,
      deserialize: (text) => [text],
    })
    store.set('key', value, 1)

    expect(log[0]).toEqual(['set', 'key', 'my tea', { PX: 1 }])
    expect(await store.get('key')).toEqual(['text'])
  })

  it.each([
    ['lruStore', lruStore],
    ['keyvStore', keyvStore],
    ['redisStore', redisStore],
  ])('refuse what they cannot use: %s', (name, make) => {
    expect(() => make({ get() {} } as never)).toThrow(`${name}: `)
    expect(() => make(undefined as never)).toThrow(TypeError)
  })
})
