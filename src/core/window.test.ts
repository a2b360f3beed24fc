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
