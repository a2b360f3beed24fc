import { describe, expect, it } from 'vitest'
import { refusalOf } from './refusal.ts'

const facts = { waited: 12.4, running: 3, queued: 2, chance: 0.5 }

describe('a refusal', () => {
  it('says who, why, how many and when to come back', () => {
    const refusal = refusalOf({ name: 'shop', retryAfter: 2_000 }, 'waited-too-long', facts)

    expect(refusal).toMatchObject({
      status: 503,
      headers: { 'retry-after': '3', 'cache-control': 'no-store' },
    })
    expect(JSON.parse(refusal.body)).toEqual({
      error: {
        code: 'ERR_OVERLOADED',
        server: 'shop',
        reason: 'waited-too-long',
        message:
          'no place became free in time (3 running, 2 waiting, this one for 12 ms); not begun, retry after 3 s',
      },
    })
  })

  it.each([
    [0, 0, '1'],
    [0, 0.99, '1'],
    [1_000, 0, '1'],
    [1_001, 0, '2'],
    [60_000, 0.999, '120'],
    [Number.MAX_SAFE_INTEGER, 0, '9007199254741'],
  ])('after %d ms by chance %d is a whole number of seconds: %s', (retryAfter, chance, seconds) => {
    const { headers } = refusalOf({ name: 'a', retryAfter }, 'full', { ...facts, chance })

    expect(headers['retry-after']).toBe(seconds)
  })

  it('ends the connection only when the server goes away', () => {
    const of = (reason: 'full' | 'closing') =>
      refusalOf({ name: 'a', retryAfter: 0 }, reason, facts).headers['connection']

    expect([of('full'), of('closing')]).toEqual([undefined, 'close'])
  })

  it('puts a name into its body only, whatever is in it', () => {
    const name = 'a"\r\nset-cookie: b\u2028'
    const { headers, body } = refusalOf({ name, retryAfter: 0 }, 'full', facts)

    expect(Object.values(headers).join()).not.toContain('cookie')
    expect(JSON.parse(body).error.server).toBe(name)
  })
})
