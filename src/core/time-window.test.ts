import { describe, expect, it } from 'vitest'
import type { OutcomeWindow } from './outcome-window.ts'
import { RecentTime, timeWindow } from './time-window.ts'

describe('timeWindow', () => {
  it('describes itself, unchangeable, with 10 buckets unless told', () => {
    expect(timeWindow(60_000)).toEqual({ type: 'time', duration: 60_000, buckets: 10 })
    expect(timeWindow(1, 1)).toEqual({ type: 'time', duration: 1, buckets: 1 })
    expect(Object.isFrozen(timeWindow(1_000))).toBe(true)
  })

  it.each([0, 0.9, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s ms', (duration) => {
    expect(() => timeWindow(duration)).toThrow(
      new RangeError(
        `timeWindow: duration must be a number of milliseconds from 1 up, but was ${duration}`,
      ),
    )
  })

  it.each([0, 1.5, -1, 1_001, Number.NaN])('refuses %s buckets', (buckets) => {
    expect(() => timeWindow(1_000, buckets)).toThrow(
      new RangeError(
        `timeWindow: buckets must be a whole number from 1 to 1000, but was ${buckets}`,
      ),
    )
  })
})

describe('RecentTime', () => {
  it('has nothing to tell at first, whatever the time', () => {
    expect(totals(new RecentTime(1_000, 10), 0)).toEqual([0, 0, 0])
    expect(totals(new RecentTime(1_000, 10), -1e12)).toEqual([0, 0, 0])
  })

  it('counts failures and slow calls apart', () => {
    const window = new RecentTime(1_000, 10)

    window.record(true, false, 0)
    window.record(false, true, 150)
    window.record(true, true, 250)
    window.record(false, false, 999)

    expect(totals(window, 999)).toEqual([4, 2, 2])
  })

  it('forgets the oldest bucket when a new one begins', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, true, 0)
    window.record(true, false, 99)
    window.record(false, false, 100)

    expect(totals(window, 999.9)).toEqual([3, 2, 1])
    expect(totals(window, 1_000)).toEqual([1, 0, 0])
    expect(totals(window, 1_100)).toEqual([0, 0, 0])
  })

  it.each([
    ['total', 4],
    ['failures', 4],
    ['slow', 4],
  ] as const)('moves with the time when only %s is asked', (what, before) => {
    const window = new RecentTime(1_000, 10)
    for (const at of [0, 0, 0, 500]) window.record(true, true, at)

    expect([window[what](999), window[what](1_000), window[what](1_500)]).toEqual([before, 1, 0])
  })

  it('forgets everything after an idle time of any length', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, true, 0)

    window.record(false, false, 1e12)
    const after = totals(window, 1e12)
    window.record(true, true, Number.MAX_SAFE_INTEGER)

    expect(after).toEqual([1, 0, 0])
    expect(totals(window, Number.MAX_SAFE_INTEGER)).toEqual([1, 1, 1])
  })

  it('takes time that goes back as time that stands still', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, false, 5_000)

    window.record(true, false, 1_000)

    expect(totals(window, 0)).toEqual([2, 2, 0])
    expect(totals(window, 5_999)).toEqual([2, 2, 0])
    expect(totals(window, 6_000)).toEqual([0, 0, 0])
  })

  it('never tells NaN, even by a clock that does', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, false, 0)

    window.record(true, false, Number.NaN)

    expect(totals(window, Number.NaN)).toEqual([2, 2, 0])
    expect(totals(window, 1_000)).toEqual([0, 0, 0])
  })

  it('is all or nothing with a single bucket', () => {
    const window = new RecentTime(1_000, 1)
    window.record(true, false, 10)
    window.record(true, false, 999)

    expect(totals(window, 999)).toEqual([2, 2, 0])
    expect(totals(window, 1_000)).toEqual([0, 0, 0])
  })

  it('starts anew after a reset', () => {
    const window = new RecentTime(1_000, 10)
    for (const at of [0, 150, 999]) window.record(true, true, at)

    window.reset()
    window.record(false, false, 1_000)

    expect(totals(window, 1_000)).toEqual([1, 0, 0])
    expect(totals(window, 1_999)).toEqual([1, 0, 0])
    expect(totals(window, 2_000)).toEqual([0, 0, 0])
  })

  it('gives a snapshot of its buckets by age, newest first and none that is empty', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, true, 500)
    window.record(true, false, 730)
    window.record(false, false, 740)

    expect(window.snapshot(740)).toEqual({
      type: 'time',
      age: 40,
      buckets: [
        { age: 40, total: 2, failures: 1, slow: 0 },
        { age: 240, total: 1, failures: 1, slow: 1 },
      ],
    })
    expect(window.snapshot(5_020)).toEqual({ type: 'time', age: 20, buckets: [] })
  })

  it('gives no negative age when the time goes back', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, false, 520)

    expect(window.snapshot(100)).toMatchObject({ age: 0, buckets: [{ age: 0, total: 1 }] })
  })

  it('goes on from a snapshot on a clock of another start, to the millisecond', () => {
    const window = new RecentTime(1_000, 10)
    for (const at of [0, 333, 650, 730]) window.record(at > 300, at < 300, at)
    const restored = new RecentTime(1_000, 10)
    restored.record(true, true, 77_777)

    restored.restore(JSON.parse(JSON.stringify(window.snapshot(740))), 77_777)

    for (let passed = 0; passed < 1_200; passed++) {
      expect(totals(restored, 77_777 + passed)).toEqual(totals(window, 740 + passed))
    }
  })

  it('goes on from a snapshot bucket by bucket when their width is no round number', () => {
    const window = new RecentTime(1_000, 7)
    for (let at = 0; at < 400; at += 50) window.record(at % 100 === 0, false, at)
    const restored = new RecentTime(1_000, 7)

    // An age at which (age + width - age) / width is a little less than 1.
    restored.restore(window.snapshot(399), 5)

    for (let passed = 0; passed < 1_000; passed += 10) {
      expect(totals(restored, 5 + passed)).toEqual(totals(window, 399 + passed))
    }
  })

  it('forgets in a restored snapshot what expired since it was taken', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, false, 0)
    window.record(true, false, 900)
    const restored = new RecentTime(1_000, 10)

    const takenAt = 50_000 - 600
    restored.restore(window.snapshot(900), takenAt)

    expect(totals(restored, 50_000)).toEqual([1, 1, 0])
  })

  it('restores a snapshot to a clock that starts near 0', () => {
    const window = new RecentTime(1_000, 10)
    window.record(true, false, 9_000)
    const restored = new RecentTime(1_000, 10)

    restored.restore(window.snapshot(9_500), 3 - 100)

    expect(totals(restored, 3)).toEqual([1, 1, 0])
    expect(totals(restored, 403)).toEqual([0, 0, 0])
  })

  it('restores the snapshot of a window of another shape as far as it remembers', () => {
    const window = new RecentTime(1_000, 10)
    for (let at = 0; at < 1_000; at += 100) window.record(at === 900, false, at)
    const shorter = new RecentTime(300, 3)
    const longer = new RecentTime(4_000, 4)

    shorter.restore(window.snapshot(900), 0)
    longer.restore(window.snapshot(900), 0)

    expect(totals(shorter, 0)).toEqual([3, 1, 0])
    expect(totals(longer, 0)).toEqual([10, 1, 0])
  })

  const bucket = { age: 0, total: 2, failures: 1, slow: 1 }
  const snapshotOf = (part: object) => ({ type: 'time', age: 0, buckets: [{ ...bucket, ...part }] })

  it.each([
    ['null', null],
    ['undefined', undefined],
    ['a number', 5],
    ['the snapshot of a count window', { type: 'count', outcomes: [] }],
    ['no age', { type: 'time', buckets: [] }],
    ['a negative age', { type: 'time', age: -1, buckets: [] }],
    ['an infinite age', { type: 'time', age: Number.POSITIVE_INFINITY, buckets: [] }],
    ['no buckets', { type: 'time', age: 0 }],
    ['buckets that are an object', { type: 'time', age: 0, buckets: {} }],
    ['a bucket that is null', { type: 'time', age: 0, buckets: [null] }],
    ['a bucket that is a number', { type: 'time', age: 0, buckets: [7] }],
    ['a hole', { type: 'time', age: 0, buckets: Array(1) }],
    ['a bucket without age', snapshotOf({ age: undefined })],
    ['a bucket newer than the newest', { type: 'time', age: 5, buckets: [bucket] }],
    ['a total that is no number', snapshotOf({ total: '2' })],
    ['half a call', snapshotOf({ total: 2.5 })],
    ['a negative total', snapshotOf({ total: -2, failures: -3, slow: -3 })],
    ['negative failures', snapshotOf({ failures: -1 })],
    ['negative slow calls', snapshotOf({ slow: -1 })],
    ['more failures than calls', snapshotOf({ failures: 3 })],
    ['more slow calls than calls', snapshotOf({ slow: 3 })],
  ])('refuses to restore %s and stays as it was', (_, snapshot) => {
    const window = new RecentTime(1_000, 10)
    window.record(true, false, 100)

    expect(() => window.restore(snapshot, 500)).toThrow(TypeError)
    expect(() => window.restore(snapshot, 500)).toThrow(/^window: cannot restore, the snapshot/)
    expect(totals(window, 500)).toEqual([1, 1, 0])
    expect(totals(window, 1_100)).toEqual([0, 0, 0])
  })
})

function totals(window: OutcomeWindow, now: number): number[] {
  return [window.total(now), window.failures(now), window.slow(now)]
}
