import { describe, expect, it } from 'vitest'
import { Pace } from './pace.ts'

describe('a pace', () => {
  it('lets anything begin when there is none', () => {
    expect(new Pace(undefined).allowed(0)).toBe(Number.POSITIVE_INFINITY)
  })

  it('spreads beginnings evenly', () => {
    const pace = new Pace({ limit: 10, interval: 1_000 })
    pace.note(pace.allowed(0), 0)

    expect([pace.allowed(50), pace.wait(50)]).toEqual([0, 50])
    expect([pace.allowed(100), pace.wait(100)]).toEqual([1, 0])
  })

  it('makes up for late timers, and saves nothing up while idle', () => {
    const pace = new Pace({ limit: 1_000, interval: 1_000 })
    pace.note(pace.allowed(0), 0)

    expect(pace.allowed(0.5)).toBe(0)
    expect(pace.allowed(10)).toBe(10)
    pace.note(10, 10)
    expect(pace.allowed(60_000)).toBe(1)
  })

  it('keeps to the rate over any time, however it is asked', () => {
    const pace = new Pace({ limit: 50, interval: 1_000 })
    let begun = 0
    for (let now = 0; now <= 10_000; now += 7) {
      const allowed = pace.allowed(now)
      if (allowed === 0) continue
      pace.note(allowed, now)
      begun += allowed
      pace.allowed(now)
    }
    expect(begun).toBeGreaterThanOrEqual(490)
    expect(begun).toBeLessThanOrEqual(502)
  })
})
