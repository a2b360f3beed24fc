import { describe, expect, it } from 'vitest'
import { countWindow, RecentCalls } from './count-window.ts'
import type { OutcomeWindow } from './outcome-window.ts'

describe('countWindow', () => {
  it('describes itself, unchangeable', () => {
    expect(countWindow(100)).toEqual({ type: 'count', size: 100 })
    expect(Object.isFrozen(countWindow(1))).toBe(true)
  })

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1_000_001])(
    'refuses a size of %s',
    (size) => {
      expect(() => countWindow(size)).toThrow(
        new RangeError(
          `countWindow: size must be a whole number from 1 to 1000000, but was ${size}`,
        ),
      )
    },
  )

  it('refuses a size that is no number', () => {
    expect(() => countWindow('5' as unknown as number)).toThrow(TypeError)
  })
})

describe('RecentCalls', () => {
  it('has nothing to tell at first', () => {
    expect(totals(new RecentCalls(3))).toEqual([0, 0, 0])
  })

  it('counts failures and slow calls apart', () => {
    const window = new RecentCalls(10)

    window.record(true, false)
    window.record(false, true)
    window.record(true, true)
    window.record(false, false)

    expect(totals(window)).toEqual([4, 2, 2])
  })

  it('forgets the oldest outcome when it is full, and only then', () => {
    const window = new RecentCalls(3)
    const seen = [
      [true, true],
      [false, true],
      [true, false],
      [false, false],
      [false, false],
      [false, false],
    ].map(([failed, slow]) => {
      window.record(failed as boolean, slow as boolean)
      return totals(window)
    })

    expect(seen).toEqual([
      [1, 1, 1],
      [2, 1, 2],
      [3, 2, 2],
      [3, 1, 1],
      [3, 1, 0],
      [3, 0, 0],
    ])
  })

  it('remembers a single outcome in a window of one', () => {
    const window = new RecentCalls(1)

    window.record(true, true)
    window.record(false, true)

    expect(totals(window)).toEqual([1, 0, 1])
  })

  it('starts anew after a reset', () => {
    const window = new RecentCalls(2)
    for (let i = 0; i < 3; i++) window.record(true, true)

    window.reset()
    window.record(false, false)

    expect(totals(window)).toEqual([1, 0, 0])
    expect(window.snapshot()).toEqual({ type: 'count', outcomes: [0] })
  })

  it('gives a snapshot of its outcomes, oldest first', () => {
    const window = new RecentCalls(3)
    window.record(true, true)
    window.record(true, false)
    window.record(false, true)
    window.record(false, false)

    expect(window.snapshot()).toEqual({ type: 'count', outcomes: [1, 2, 0] })
  })

  it('goes on from a snapshot as if nothing had happened', () => {
    const window = new RecentCalls(3)
    for (const failed of [true, true, false, true]) window.record(failed, !failed)
    const restored = new RecentCalls(3)
    restored.record(true, true)

    restored.restore(JSON.parse(JSON.stringify(window.snapshot())))

    for (let i = 0; i < 4; i++) {
      expect(totals(restored)).toEqual(totals(window))
      restored.record(false, false)
      window.record(false, false)
    }
  })

  it('keeps the newest outcomes of a snapshot that is larger, and all of one that is smaller', () => {
    const outcomes = [1, 1, 1, 0, 2]
    const small = new RecentCalls(2)
    const large = new RecentCalls(9)

    small.restore({ type: 'count', outcomes })
    large.restore({ type: 'count', outcomes })

    expect(totals(small)).toEqual([2, 0, 1])
    expect(totals(large)).toEqual([5, 3, 1])
  })

  it.each([
    ['null', null],
    ['text', 'count'],
    ['undefined', undefined],
    ['an empty object', {}],
    ['the snapshot of a time window', { type: 'time', age: 0, buckets: [] }],
    ['no outcomes', { type: 'count' }],
    ['outcomes that are text', { type: 'count', outcomes: '0101' }],
    ['an outcome above 3', { type: 'count', outcomes: [0, 4] }],
    ['an outcome below 0', { type: 'count', outcomes: [-1] }],
    ['half an outcome', { type: 'count', outcomes: [0.5] }],
    ['an outcome that is text', { type: 'count', outcomes: ['1'] }],
    ['a hole', { type: 'count', outcomes: Array(2) }],
  ])('refuses to restore %s and stays as it was', (_, snapshot) => {
    const window = new RecentCalls(3)
    window.record(true, false)

    expect(() => window.restore(snapshot)).toThrow(TypeError)
    expect(() => window.restore(snapshot)).toThrow(/^window: cannot restore, the snapshot/)
    expect(totals(window)).toEqual([1, 1, 0])
  })

  it('names what it was given instead of its own snapshot', () => {
    const window = new RecentCalls(3)

    expect(() => window.restore({ type: 'time' })).toThrow(
      'the snapshot must be one of a count window, but was "time"',
    )
    expect(() => window.restore(null)).toThrow('but was null')
    expect(() => window.restore({})).toThrow('but was an object')
  })
})

function totals(window: OutcomeWindow): number[] {
  return [window.total(0), window.failures(0), window.slow(0)]
}
