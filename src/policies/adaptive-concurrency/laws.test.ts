import { describe, expect, it } from 'vitest'
import { Aimd } from './aimd.ts'
import { Gradient2 } from './gradient2.ts'
import type { Law } from './law.ts'
import { Vegas } from './vegas.ts'

// Mean time of a window, most calls in flight, and whether one was dropped.
const windows: readonly (readonly [rtt: number, inFlight: number, dropped?: true])[] = [
  [100, 20],
  [100, 20],
  [105, 26],
  [120, 30],
  [130, 30],
  [150, 30],
  [300, 30],
  [500, 30],
  [100, 5],
  [90, 30],
  [95, 30],
  [200, 30, true],
  [200, 30, true],
  [6_000, 30],
  [110, 2],
  [92, 40],
  [92, 50],
  [92, 60],
  [92, 120],
  [120, 120],
  [140, 120],
  [180, 120],
  [40, 120],
  [41, 120],
]

function limitsOf(law: Law): number[] {
  return windows.map(([rtt, inFlight, dropped = false]) => {
    law.update({ rtt, inFlight, dropped })
    return Math.round(law.limit * 1e6) / 1e6
  })
}

// The vectors were computed by a program of its own, from the published formulas.
describe('Vegas', () => {
  it('gives the limits of the published formula', () => {
    expect(limitsOf(new Vegas(20, { minLimit: 1, maxLimit: 1_000 }))).toEqual([
      20, 26, 27, 27, 26, 25, 24, 23, 23, 23, 24, 23, 22, 21, 21, 27, 33, 39, 45, 44, 43, 42, 42,
      43,
    ])
  })

  it('takes larger steps where the limit is larger', () => {
    const law = new Vegas(200, { minLimit: 1, maxLimit: 210 })
    law.rebase(100)
    law.update({ rtt: 105, inFlight: 200, dropped: false })
    expect(law.limit).toBe(200)
    law.update({ rtt: 102, inFlight: 200, dropped: false })
    expect(law.limit).toBe(202)
    law.update({ rtt: 200, inFlight: 200, dropped: false })
    expect(law.limit).toBe(200)
    law.update({ rtt: 100, inFlight: 200, dropped: false })
    expect(law.limit).toBe(210)
  })
})

describe('Gradient2', () => {
  it('gives the limits of the published formula', () => {
    expect(limitsOf(new Gradient2(20, { minLimit: 1, maxLimit: 200 }))).toEqual([
      20.8, 21.6, 22.4, 23.2, 24, 24.8, 24.200571, 22.892097, 22.892097, 23.692097, 24.492097,
      25.292097, 26.092097, 24.282887, 24.282887, 25.082887, 25.882887, 26.682887, 27.482887,
      28.282887, 29.082887, 29.882887, 30.682887, 31.482887,
    ])
  })

  it('goes by a baseline that was measured from then on', () => {
    const law = new Gradient2(100, { minLimit: 1, maxLimit: 200 })
    law.rebase(100)
    law.update({ rtt: 300, inFlight: 100, dropped: false })
    expect(law.baseline).toBeCloseTo(100 + 200 * (2 / 601), 9)
    expect(law.limit).toBeCloseTo(100 * 0.8 + (100 * 0.50332778 + 4) * 0.2, 5)
  })
})

describe('AIMD', () => {
  it('gives the limits of the published formula', () => {
    expect(limitsOf(new Aimd(20, { minLimit: 1, maxLimit: 200 }, 5_000))).toEqual([
      21, 22, 23, 24, 25, 26, 27, 28, 28, 29, 30, 27, 24, 21, 21, 22, 23, 24, 25, 26, 27, 28, 29,
      30,
    ])
  })

  it('shrinks by one at least, down to the least', () => {
    const law = new Aimd(3, { minLimit: 2, maxLimit: 9 }, 5_000)
    law.update({ rtt: 1, inFlight: 3, dropped: true })
    expect(law.limit).toBe(2)
    law.update({ rtt: 1, inFlight: 3, dropped: true })
    expect(law.limit).toBe(2)
    expect(law.baseline).toBe(0)
  })
})
