import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemRandom } from './random.ts'

describe('systemRandom', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it('draws from 0 up to but not including 1, and differs from draw to draw', () => {
    const draws = Array.from({ length: 1_000 }, () => systemRandom())

    expect(draws.every((drawn) => drawn >= 0 && drawn < 1)).toBe(true)
    expect(new Set(draws).size).toBeGreaterThan(990)
  })

  it('asks Math.random at the moment of the call', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.25)

    expect(systemRandom()).toBe(0.25)
  })
})
