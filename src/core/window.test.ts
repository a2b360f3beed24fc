import { describe, expect, it } from 'vitest'
import { countWindow, createWindow, timeWindow, type WindowDescription } from './window.ts'

describe('createWindow', () => {
  it('makes the window that is described, empty', () => {
    const byCount = createWindow(countWindow(2))
    const byTime = createWindow(timeWindow(100, 4))

    for (const now of [0, 0, 500]) {
      byCount.record(true, false, now)
      byTime.record(true, false, now)
    }

    expect([byCount.total(500), byTime.total(500)]).toEqual([2, 1])
    expect([byCount.snapshot(0).type, byTime.snapshot(0).type]).toEqual(['count', 'time'])
  })

  it('takes a description written by hand, with 10 buckets unless told', () => {
    const window = createWindow({ type: 'time', duration: 1_000 })

    window.record(true, false, 99)

    expect([window.failures(999), window.failures(1_000)]).toEqual([1, 0])
  })

  it('makes a window of its own each time', () => {
    const description = countWindow(5)

    createWindow(description).record(true, true, 0)

    expect(createWindow(description).total(0)).toBe(0)
  })

  it('checks a description written by hand', () => {
    expect(() => createWindow({ type: 'count', size: 0 })).toThrow(RangeError)
    expect(() => createWindow({ type: 'time', duration: -1 })).toThrow(RangeError)
    expect(() => createWindow({ type: 'time', duration: 10, buckets: 0 })).toThrow(RangeError)
  })

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [10, '10'],
    ['count', '"count"'],
    [{ type: 'sliding' }, 'an object'],
  ])('refuses %o', (description, shown) => {
    expect(() => createWindow(description as WindowDescription)).toThrow(
      new TypeError(`window must be countWindow(size) or timeWindow(duration), but was ${shown}`),
    )
  })
})

describe('plain successes', () => {
  it.each([countWindow(3), timeWindow(100, 4)])('are added like any other to %o', (description) => {
    const [quick, slow] = [createWindow(description), createWindow(description)]

    for (let now = 0; now < 300; now += 20) {
      expect(quick.addSuccess(now)).toBe(true)
      slow.record(false, false, now)
      expect(quick.snapshot(now)).toEqual(slow.snapshot(now))
    }
  })

  it.each([countWindow(3), timeWindow(100, 4)])(
    'are not added to %o while a failure or a slow call is remembered',
    (description) => {
      for (const [failed, slow] of [
        [true, false],
        [false, true],
      ] as const) {
        const window = createWindow(description)
        window.record(failed, slow, 0)

        expect(window.addSuccess(0)).toBe(false)
        expect(window.total(0)).toBe(1)
        window.reset()
        expect(window.addSuccess(0)).toBe(true)
      }
    },
  )

  it('are added again once time has taken the failure away', () => {
    const window = createWindow(timeWindow(100, 4))
    window.record(true, false, 0)

    expect([window.addSuccess(99), window.addSuccess(100)]).toEqual([false, true])
  })

  it('saturate a window by count, and never one by time', () => {
    const [byCount, byTime] = [createWindow(countWindow(2)), createWindow(timeWindow(100))]

    const seen = [0, 1, 2].map((now) => {
      const before = [byCount.saturated, byTime.saturated]
      byCount.addSuccess(now)
      byTime.addSuccess(now)
      return before
    })
    byCount.record(true, false, 3)

    expect(seen).toEqual([
      [false, false],
      [false, false],
      [true, false],
    ])
    expect(byCount.saturated).toBe(false)
  })
})
