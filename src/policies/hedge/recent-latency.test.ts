import { describe, expect, it } from 'vitest'
import { RecentLatency } from './recent-latency.ts'

/** Records so many calls, and gives what was last found. */
function recorded(
  recent: RecentLatency,
  calls: number,
  took: number,
  at: number,
): number | undefined {
  let found: number | undefined
  for (let n = 0; n < calls; n++) found = recent.record(took, at) ?? found
  return found
}

describe('the latency of recent calls', () => {
  it('is unknown before fifty calls', () => {
    const recent = new RecentLatency(0.5, 60_000, 0)
    expect(recorded(recent, 49, 10, 5_000)).toBeUndefined()
    expect(recorded(recent, 1, 10, 5_000)).toBeCloseTo(10, 0)
  })

  it('is looked up anew after a second, or after fifty calls', () => {
    const recent = new RecentLatency(0.5, 60_000, 0)
    recorded(recent, 50, 10, 500)
    expect(recorded(recent, 49, 10, 1_499)).toBeUndefined()
    expect(recorded(recent, 1, 10, 1_499)).toBeDefined()
    expect(recorded(recent, 1, 10, 2_498)).toBeUndefined()
    expect(recorded(recent, 1, 10, 2_499)).toBeDefined()
  })

  it('counts the half window before the present one too', () => {
    const recent = new RecentLatency(0.4, 10_000, 0)
    recorded(recent, 50, 10, 4_999)
    expect(recorded(recent, 60, 1_000, 5_000)).toBeLessThan(11)
    expect(recorded(recent, 60, 1_000, 10_000)).toBeGreaterThan(900)
  })

  it('is forgotten after a long rest', () => {
    const recent = new RecentLatency(0.4, 10_000, 0)
    recorded(recent, 60, 10, 1_000)
    expect(recorded(recent, 49, 1_000, 60_000)).toBeUndefined()
    expect(recorded(recent, 1, 1_000, 60_000)).toBeGreaterThan(900)
  })
})
