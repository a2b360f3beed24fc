import { overloadGuard } from 'holdfast/server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { guardOf, type Visitor, visitor } from '../../../test/support/guarded.ts'
import { ClientRates } from './client-rates.ts'
import type { GuardedRequest } from './request.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const client = ({ header }: GuardedRequest): string | undefined => header('x-tenant')
const of = (tenant: string): GuardedRequest => ({ method: 'GET', url: '/', header: () => tenant })

describe('the limit of each client', () => {
  it('lets a burst pass, then as much as its rate, and says when there is some again', () => {
    const guard = guardOf({ perClient: { client, limit: 2, interval: 4_000 } })
    const come = (tenant: string): Visitor => {
      const one = visitor({ 'x-tenant': tenant })
      guard.take(one)
      return one
    }
    const fates = [come('a'), come('a'), come('a'), come('b')].map(({ fates }) => fates[0])

    expect(fates).toEqual(['entered', 'entered', 'client-limit', 'entered'])
    const { refusal } = come('a')
    expect(refusal).toMatchObject({ status: 429, headers: { 'retry-after': '2' } })
    expect(JSON.parse(String(refusal?.body)).error).toMatchObject({
      code: 'ERR_RATE_LIMITED',
      reason: 'client-limit',
    })
    vi.advanceTimersByTime(2_000)
    expect(come('a').fates).toEqual(['entered'])
    expect(guard.stats()).toMatchObject({ running: 4, refused: { 'client-limit': 2 } })
  })

  it('is nobody’s who cannot be told, and takes no harm from whoever tells', () => {
    const answers = [undefined, 7, Promise.reject(new Error('late')), 'a']
    const rates = new ClientRates({
      limit: 0.5,
      client: () => {
        if (answers.length === 0) throw new Error('broken')
        return answers.shift() as string
      },
    })
    const waits = [1, 2, 3, 4, 5].map(() => rates.wait(of('x'), 0))

    expect(waits).toEqual([0, 0, 0, 0, 0])
  })

  it('is bounded: nobody is forgotten before the bucket is full again, and strangers share one', () => {
    const rates = new ClientRates({ client, limit: 1, maxClients: 2 })
    expect(['a', 'b', 'c'].map((tenant) => rates.wait(of(tenant), 0))).toEqual([0, 0, 0])
    // `c` and `d` share one; `a` was not forgotten for their sake.
    expect(['d', 'a'].map((tenant) => rates.wait(of(tenant), 0))).toEqual([1_000, 1_000])
    // After a second everybody is new, and the oldest make room.
    expect(['d', 'e'].map((tenant) => rates.wait(of(tenant), 1_000))).toEqual([0, 0])
    expect(['d', 'e'].map((tenant) => rates.wait(of(tenant), 1_000))).toEqual([1_000, 1_000])
  })

  it('looks at a few of the oldest only', () => {
    const rates = new ClientRates({ client, limit: 1, maxClients: 100 })
    for (let n = 0; n < 100; n++) rates.wait(of(`tenant ${n}`), 0)
    for (let n = 0; n < 50; n++) rates.wait(of(`tenant ${n}`), 500)

    expect(rates.wait(of('one'), 900)).toBe(0)
    expect(rates.wait(of('two'), 900)).toBe(1_000)
  })

  it.each([
    [{ limit: 1 }, TypeError, 'client'],
    [{ client, limit: 0 }, RangeError, 'limit'],
    [{ client, limit: 1, burst: 0 }, RangeError, 'burst'],
    [{ client, limit: 1, interval: 0 }, RangeError, 'interval'],
    [{ client, limit: 1, maxClients: 0 }, RangeError, 'maxClients'],
    [{ client, limit: 1, perSecond: 1 }, TypeError, 'perSecond'],
    [5, TypeError, 'perClient'],
    [null, TypeError, 'perClient'],
  ])('is refused when it is none: %o', (perClient, kind, name) => {
    const make = () => overloadGuard({ perClient: perClient as never })

    expect(make).toThrow(kind)
    expect(make).toThrow(name)
  })
})
