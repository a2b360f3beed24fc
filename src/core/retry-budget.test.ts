import { constant, retry } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { times } from '../../test/support/calls.ts'
import { type RetryBudget, retryBudget } from './retry-budget.ts'

const allowed = (budget: RetryBudget, tries: number): number =>
  times(tries, () => budget.tryWithdraw()).filter(Boolean).length

describe('a retry budget', () => {
  it('allows a share of the first tries', () => {
    const budget = retryBudget({ ratio: 0.1, minPerSecond: 0, clock: virtualClock() })
    for (const _ of times(50, () => 0)) budget.deposit()

    expect(allowed(budget, 50)).toBe(5)
    expect(budget.stats()).toEqual({ calls: 50, retries: 5, remaining: 0, refused: 45 })
  })

  it('allows exactly what the share gives, and not one before', () => {
    const budget = retryBudget({ ratio: 0.25, minPerSecond: 0, clock: virtualClock() })
    for (const _ of times(3, () => 0)) budget.deposit()

    expect(budget.tryWithdraw()).toBe(false)
    budget.deposit()
    expect(budget.stats()).toMatchObject({ calls: 4, remaining: 1 })

    expect([budget.tryWithdraw(), budget.tryWithdraw()]).toEqual([true, false])
  })

  it('allows a few in quiet times', () => {
    const budget = retryBudget({
      ratio: 0,
      minPerSecond: 0.5,
      window: 4_000,
      clock: virtualClock(),
    })

    expect(budget.stats().remaining).toBe(2)
    expect(allowed(budget, 5)).toBe(2)
  })

  it('has a fifth and one per second over ten seconds by default', () => {
    const budget = retryBudget({ clock: virtualClock() })
    expect(budget.stats().remaining).toBe(10)

    for (const _ of times(100, () => 0)) budget.deposit()

    expect(budget.stats()).toEqual({ calls: 100, retries: 0, remaining: 30, refused: 0 })
  })

  it('forgets tries and retries that its window has left behind', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 0.5, minPerSecond: 0, window: 2_000, clock })
    for (const _ of times(4, () => 0)) budget.deposit()
    expect(allowed(budget, 2)).toBe(2)

    await clock.advance(2_500)
    expect(budget.stats()).toMatchObject({ calls: 0, retries: 0, remaining: 0 })
    budget.deposit()
    budget.deposit()

    expect(allowed(budget, 5)).toBe(1)
  })

  it('allows nothing at all with ratio 0 and no floor', () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 0 })
    for (const _ of times(1_000, () => 0)) budget.deposit()

    expect(budget.tryWithdraw()).toBe(false)
  })

  it('allows one retry per try with ratio 1', () => {
    const budget = retryBudget({ ratio: 1, minPerSecond: 0, clock: virtualClock() })
    for (const _ of times(3, () => 0)) budget.deposit()

    expect(allowed(budget, 10)).toBe(3)
  })

  it('is shared by all the retries that it is given to', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 0.5, minPerSecond: 0, clock })
    const options = { backoff: constant(0), budget, clock }
    const [one, other] = [retry(options), retry(options)]
    let calls = 0
    const fails = async (): Promise<never> => {
      calls++
      throw new Error('down')
    }

    for (const _ of times(10, () => 0)) {
      await one.execute(fails).catch(() => undefined)
      await other.execute(fails).catch(() => undefined)
    }

    expect(calls).toBe(30)
    expect(one.stats().gaveUp.budget + other.stats().gaveUp.budget).toBeGreaterThan(0)
  })

  it.each<[object, typeof Error, string]>([
    [{ ratio: -0.1 }, RangeError, 'retryBudget: ratio must be'],
    [{ ratio: 1.1 }, RangeError, 'retryBudget: ratio must be'],
    [{ ratio: '0.2' }, TypeError, 'retryBudget: ratio must be'],
    [{ minPerSecond: -1 }, RangeError, 'retryBudget: minPerSecond must be'],
    [{ minPerSecond: Number.NaN }, RangeError, 'retryBudget: minPerSecond must be'],
    [{ window: 999 }, RangeError, 'retryBudget: window must be'],
    [{ window: Number.POSITIVE_INFINITY }, RangeError, 'retryBudget: window must be'],
    [{ clock: {} }, TypeError, 'retryBudget: clock must be'],
    [{ maxRetries: 3 }, TypeError, 'maxRetries'],
  ])('refuses %o', (options, kind, message) => {
    expect(() => retryBudget(options)).toThrow(kind)
    expect(() => retryBudget(options)).toThrow(message)
  })

  it('accepts the edges of its ranges', () => {
    expect(() => retryBudget({ ratio: 1, minPerSecond: 0, window: 1_000 })).not.toThrow()
  })
})
