import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { holds, seed } from './seed.ts'

describe('holds', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
    vi.resetModules()
  })

  it('checks 1,000 histories unless told', async () => {
    let plain = 0
    let asynchronous = 0
    let few = 0

    holds(fc.property(fc.nat(), () => void plain++))
    await holds(fc.asyncProperty(fc.nat(), async () => void asynchronous++))
    holds(
      fc.property(fc.nat(), () => void few++),
      10,
    )

    expect([plain, asynchronous, few]).toEqual([1_000, 1_000, 10])
  })

  it('makes histories as long as they may be', () => {
    const lengths: number[] = []

    holds(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), ({ length }) => void lengths.push(length)),
    )

    expect(Math.max(...lengths)).toBe(60)
    expect(lengths.filter((length) => length > 20).length).toBeGreaterThan(300)
  })

  it('tells the seed and the smallest history that fails', async () => {
    const isSmall = (value: number): boolean => value < 100

    expect(() => holds(fc.property(fc.nat(), isSmall))).toThrow(`SEED=${seed} replays this`)
    expect(() => holds(fc.property(fc.nat(), isSmall))).toThrow('Counterexample: [100]')
    await expect(
      holds(fc.asyncProperty(fc.nat(), async (value) => isSmall(value))),
    ).rejects.toThrow('Counterexample: [100]')
  })

  it('keeps the error of the property as its cause', () => {
    const broken = new Error('broken')
    const property = fc.property(fc.nat(), () => {
      throw broken
    })

    expect(() => holds(property)).toThrow(expect.objectContaining({ cause: broken }))
  })

  it('takes the seed of the environment and then sees the same histories again', async () => {
    const histories = async (): Promise<number[]> => {
      vi.resetModules()
      const fresh = await import('./seed.ts')
      const seen: number[] = []
      fresh.holds(fc.property(fc.nat(), (value) => void seen.push(value)))
      return [fresh.seed, ...seen]
    }

    vi.stubEnv('SEED', '-77')
    const [first, again] = [await histories(), await histories()]
    vi.stubEnv('SEED', '78')
    const other = await histories()

    expect(first[0]).toBe(-77)
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
  })

  it('refuses a seed that is no integer', async () => {
    vi.stubEnv('SEED', 'lucky')
    vi.resetModules()

    await expect(import('./seed.ts')).rejects.toThrow('SEED must be an integer, but was lucky')
  })
})
