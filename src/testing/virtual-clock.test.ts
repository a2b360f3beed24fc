import { afterEach, describe, expect, it, vi } from 'vitest'
import { type VirtualClock, virtualClock } from './virtual-clock.ts'

/** Sets timers that write down when they fire. */
function record(clock: VirtualClock, ...delays: number[]): number[] {
  const fired: number[] = []
  for (const delay of delays) clock.setTimer(() => fired.push(clock.now()), delay)
  return fired
}

describe('virtualClock', () => {
  it('starts at 0, or where it is told, with the wall clock beside it', () => {
    const plain = virtualClock()
    const told = virtualClock({ start: -5_000, wallTime: 86_400_000 })

    expect([plain.now(), plain.wallTime()]).toEqual([0, 1_700_000_000_000])
    expect([told.now(), told.wallTime()]).toEqual([-5_000, 86_400_000])
  })

  it.each([
    [{ start: Number.NaN }, RangeError],
    [{ start: Number.POSITIVE_INFINITY }, RangeError],
    [{ wallTime: -1 }, RangeError],
    [{ now: 5 }, TypeError],
  ])('refuses %o', (options, kind) => {
    expect(() => virtualClock(options as object)).toThrow(kind)
  })

  it('has no defer, because its time is exact', () => {
    expect(virtualClock().defer).toBeUndefined()
  })

  it('stands still until it is moved, and then moves by exactly that', async () => {
    const clock = virtualClock({ start: 10 })

    await clock.advance(0.5)
    await clock.advance(100)

    expect(clock.now()).toBe(110.5)
    expect(clock.wallTime()).toBe(1_700_000_000_100.5)
  })

  it.each([
    [-1, RangeError],
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    ['5' as unknown as number, TypeError],
  ])('refuses to move by %s', async (ms, kind) => {
    const clock = virtualClock()
    const fired = record(clock, 0)

    await expect(clock.advance(ms)).rejects.toThrow(kind)
    await expect(clock.advance(ms)).rejects.toThrow('virtualClock: advance must be')

    expect([clock.now(), fired]).toEqual([0, []])
  })

  it('steps the wall clock, forwards and back, without moving its time', async () => {
    const clock = virtualClock({ wallTime: 1_000_000 })

    await clock.advance(7)
    clock.setWallTime(500)
    await clock.advance(10)

    expect([clock.now(), clock.wallTime()]).toEqual([17, 510])
    expect(() => clock.setWallTime(Number.NaN)).toThrow(RangeError)
  })
})

describe('advance', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('fires each timer at exactly its time, and none that is later', async () => {
    const clock = virtualClock()
    const fired = record(clock, 30, 10, 50.001, 20, 50)

    await clock.advance(50)

    expect(fired).toEqual([10, 20, 30, 50])
    expect(clock.now()).toBe(50)
  })

  it('fires those of the same time in the order in which they were set', async () => {
    const clock = virtualClock()
    const order: string[] = []
    clock.setTimer(() => order.push('late'), 20)
    for (const name of ['a', 'b', 'c']) clock.setTimer(() => order.push(name), 10)
    clock.setTimer(() => order.push('early'), 5)

    await clock.advance(20)

    expect(order).toEqual(['early', 'a', 'b', 'c', 'late'])
  })

  it('fires timers that are set on the way, when they are due on the way', async () => {
    const clock = virtualClock()
    const fired: number[] = []
    const tick = (): void => {
      fired.push(clock.now())
      clock.setTimer(tick, 10)
    }
    clock.setTimer(tick, 10)

    await clock.advance(35)

    expect(fired).toEqual([10, 20, 30])
    expect(clock.timers).toEqual([{ due: 40, unref: false }])
  })

  it('takes a negative delay for none and refuses one that is no number', async () => {
    const clock = virtualClock()
    const fired = record(clock, -5, Number.NEGATIVE_INFINITY, 0)

    await clock.advance(0)

    expect(fired).toEqual([0, 0, 0])
    expect(() => clock.setTimer(() => {}, Number.NaN)).toThrow(RangeError)
  })

  it('never fires a timer of Infinity, and keeps delays above 2^31', async () => {
    const clock = virtualClock()
    const fired = record(clock, Number.POSITIVE_INFINITY, 2 ** 31 + 5)

    await clock.advance(2 ** 31)
    await clock.advance(2 ** 40)

    expect(fired).toEqual([2 ** 31 + 5])
    expect(clock.timers).toEqual([])
  })

  it('does not fire a timer that was cancelled, before or on the way', async () => {
    const clock = virtualClock()
    const fired = record(clock, 10)
    const before = clock.setTimer(() => fired.push(-1), 5)
    const onTheWay = clock.setTimer(() => fired.push(-2), 20)
    clock.setTimer(() => onTheWay.cancel(), 15)

    before.cancel()
    before.cancel()
    await clock.advance(100)
    onTheWay.cancel()

    expect(fired).toEqual([10])
  })

  it("fires a timer that was unref'd like any other", async () => {
    const clock = virtualClock()
    const fired = record(clock, 10)
    clock.setTimer(() => fired.push(-1), 5).unref()

    await clock.advance(10)

    expect(fired).toEqual([-1, 10])
  })

  it('lets everything that follows from one timer happen before the next', async () => {
    const clock = virtualClock()
    const order: string[] = []
    const work = async (name: string, delay: number): Promise<void> => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, delay))
      for (let i = 0; i < 2_000; i++) await undefined
      order.push(`${name} at ${clock.now()}`)
    }
    const works = [work('second', 11), work('first', 10)]

    await clock.advance(20)

    expect(order).toEqual(['first at 10', 'second at 11'])
    await Promise.all(works)
  })

  it('lets what was begun before it set its timers first, and waits for what ends last', async () => {
    const clock = virtualClock()
    let ended = false
    const work = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await undefined
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10))
      for (let i = 0; i < 100; i++) await undefined
      ended = true
    }
    const done = work()

    await clock.advance(10)

    expect(ended).toBe(true)
    await done
  })

  it('waits for an earlier advance that is still under way', async () => {
    const clock = virtualClock()
    const fired = record(clock, 10, 20)

    await Promise.all([clock.advance(15), clock.advance(15)])

    expect(clock.now()).toBe(30)
    expect(fired).toEqual([10, 20])
  })

  it('does not stall when a callback advances too', async () => {
    const clock = virtualClock()
    let nested: Promise<void> | undefined
    clock.setTimer(() => {
      nested = clock.advance(5)
    }, 10)

    await clock.advance(10)
    await nested

    expect(clock.now()).toBe(15)
  })

  it('stops where a callback throws, rejects with that error, and can go on', async () => {
    const clock = virtualClock()
    const broken = new Error('broken callback')
    const fired = record(clock, 5, 30)
    clock.setTimer(() => {
      throw broken
    }, 10)

    await expect(clock.advance(100)).rejects.toBe(broken)
    const stopped = clock.now()
    await clock.advance(100)

    expect(stopped).toBe(10)
    expect(fired).toEqual([5, 30])
    expect(clock.now()).toBe(110)
  })

  it('works under fake timers', async () => {
    vi.useFakeTimers()
    const clock = virtualClock()
    const fired = record(clock, 10)

    await clock.advance(10)

    expect(fired).toEqual([10])
  })
})

describe('runAll', () => {
  it('moves to the last timer that would hold a process, and no further', async () => {
    const clock = virtualClock()
    const fired = record(clock, 500, 20)
    clock.setTimer(() => clock.setTimer(() => fired.push(-1), 1_000), 100)
    clock.setTimer(() => {}, 9_999).unref()

    await clock.runAll()

    expect(fired).toEqual([20, 500, -1])
    expect(clock.now()).toBe(1_100)
    expect(clock.timers).toEqual([{ due: 9_999, unref: true }])
  })

  it('has nothing to do without timers', async () => {
    const clock = virtualClock()

    await clock.runAll()

    expect(clock.now()).toBe(0)
  })

  it('gives up on a timer that re-arms itself for ever', async () => {
    const clock = virtualClock()
    let fired = 0
    const tick = (): void => {
      fired++
      clock.setTimer(tick, 1)
    }
    tick()

    await expect(clock.runAll()).rejects.toThrow(
      'virtualClock: still not idle after 10000 timers, at 10000 ms',
    )

    expect(fired).toBe(10_001)
  })
})

describe('pending', () => {
  it('counts the timers that would keep a process alive', async () => {
    const clock = virtualClock()
    const timer = clock.setTimer(() => {}, 10)
    const second = clock.setTimer(() => {}, 20)
    clock.setTimer(() => {}, Number.POSITIVE_INFINITY)
    const seen = [clock.pending]

    timer.unref()
    seen.push(clock.pending)
    timer.ref()
    seen.push(clock.pending)
    second.cancel()
    seen.push(clock.pending)
    await clock.advance(10)
    seen.push(clock.pending)

    expect(seen).toEqual([2, 1, 2, 1, 0])
  })

  it("does not count a timer again that is ref'd after it has ended", async () => {
    const clock = virtualClock()
    const timer = clock.setTimer(() => {}, 10)

    await clock.advance(10)
    timer.unref()
    timer.ref()

    expect(clock.pending).toBe(0)
  })
})

describe('timers', () => {
  it('lists what is set, the next one first', () => {
    const clock = virtualClock({ start: 100 })
    clock.setTimer(() => {}, 30)
    clock.setTimer(() => {}, 10).unref()

    expect(clock.timers).toEqual([
      { due: 110, unref: true },
      { due: 130, unref: false },
    ])
  })
})

describe('assertIdle', () => {
  it("accepts a clock without timers, or with unref'd ones alone", () => {
    const clock = virtualClock()
    clock.setTimer(() => {}, 10).unref()

    expect(() => clock.assertIdle()).not.toThrow()
  })

  it('tells when the pending timers are due', async () => {
    const clock = virtualClock()
    await clock.advance(5)
    record(clock, 20, 10)

    expect(() => clock.assertIdle()).toThrow(
      'virtualClock: 2 timer(s) still pending at 5 ms, due at 15, 25 ms',
    )
  })

  it('lists ten timers at most', () => {
    const clock = virtualClock()
    record(clock, ...Array.from({ length: 10 }, (_, at) => at))
    expect(() => clock.assertIdle()).toThrow(/due at 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 ms$/)

    record(clock, 10)

    expect(() => clock.assertIdle()).toThrow(
      /11 timer.*due at 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\. ms/,
    )
  })
})
