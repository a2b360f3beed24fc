import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemRandom, uniqueId } from './random.ts'

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

describe('a unique id', () => {
  it('is another each time, and sorts by when it was made', () => {
    const ids = Array.from({ length: 1_000 }, () => uniqueId(1_700_000_000_000))

    expect(new Set(ids).size).toBe(1_000)
    expect(ids[0]).toMatch(/^[0-9a-z]{9}-[0-9a-f]{20}$/)
    expect(uniqueId(1_700_000_000_001) > (ids.sort().at(-1) ?? '')).toBe(true)
    expect(uniqueId(-5)).toMatch(/^000000000-/)
  })
})
