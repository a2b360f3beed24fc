import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTurn, parseDate, systemClock, turnOf } from './clock.ts'

const day = 86_400_000

describe('systemClock', () => {
  it('reads the time of the machine', () => {
    const monotonic = [performance.now(), systemClock.now(), performance.now()]
    const wall = [Date.now(), systemClock.wallTime(), Date.now()]

    expect(monotonic).toEqual(monotonic.toSorted((a, b) => a - b))
    expect(wall).toEqual(wall.toSorted((a, b) => a - b))
  })

  it('calls back after the delay, by the real timer of the machine', async () => {
    const started = systemClock.now()

    await new Promise<void>((resolve) => systemClock.setTimer(resolve, 20))

    // 1 ms less, because the runtime keeps timers in whole milliseconds.
    expect(systemClock.now() - started).toBeGreaterThanOrEqual(19)
  })

  it('defers until microtasks and I/O callbacks that are ready have run', async () => {
    const order: string[] = []
    const deferred = new Promise<void>((resolve) => {
      systemClock.defer?.(() => {
        order.push('deferred')
        resolve()
      })
    })
    const microtasks = (async () => {
      for (let i = 0; i < 1_000; i++) await undefined
      order.push('microtasks')
    })()

    await Promise.all([deferred, microtasks])

    expect(order).toEqual(['microtasks', 'deferred'])
  })

  it.each([
    ['NaN', Number.NaN],
    ['text', '5' as unknown as number],
    ['undefined', undefined as unknown as number],
  ])('refuses %s as a delay', (_, delay) => {
    expect(() => systemClock.setTimer(() => {}, delay)).toThrow(RangeError)
    expect(() => systemClock.setTimer(() => {}, delay)).toThrow(`but was ${delay}`)
  })

  it('arms nothing for a delay of Infinity', () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()

    const timer = systemClock.setTimer(() => {}, Number.POSITIVE_INFINITY)
    timer.unref()
    timer.ref()

    expect(timers()).toBe(before)
    expect(() => timer.cancel()).not.toThrow()
  })

  it("keeps the process alive unless unref'd", () => {
    const holds = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = holds()

    const timer = systemClock.setTimer(() => {}, day)
    const seen = [holds() - before]
    timer.unref()
    seen.push(holds() - before)
    timer.ref()
    seen.push(holds() - before)
    timer.cancel()
    seen.push(holds() - before)

    expect(seen).toEqual([1, 0, 1, 0])
  })
})

describe('systemClock under fake timers', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    vi.restoreAllMocks()
  })

  it('takes the time from whatever the globals are at the moment', async () => {
    const started = systemClock.now()
    const wallStarted = systemClock.wallTime()

    await vi.advanceTimersByTimeAsync(1_234)

    expect(systemClock.now() - started).toBeCloseTo(1_234)
    expect(systemClock.wallTime() - wallStarted).toBe(1_234)
  })

  it.each([
    [-5, 0],
    [Number.NEGATIVE_INFINITY, 0],
    [0, 0],
    [10, 10],
    [10.2, 11],
  ])('gives the runtime a delay of %d as %d ms, never less', (delay, whole) => {
    const spy = vi.spyOn(globalThis, 'setTimeout')

    systemClock.setTimer(() => {}, delay)

    expect(spy).toHaveBeenCalledExactlyOnceWith(expect.any(Function), whole)
  })

  it.each([10, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5_000, 100 * day])(
    'calls back once after %d ms and not before',
    async (delay) => {
      const callback = vi.fn()

      systemClock.setTimer(callback, delay)
      await vi.advanceTimersByTimeAsync(delay - 1)
      const early = callback.mock.calls.length
      await vi.advanceTimersByTimeAsync(1)
      const onTime = callback.mock.calls.length
      await vi.advanceTimersByTimeAsync(200 * day)

      expect([early, onTime, callback.mock.calls.length]).toEqual([0, 1, 1])
    },
  )

  it('never gives the runtime a delay that overflows', () => {
    const spy = vi.spyOn(globalThis, 'setTimeout')

    systemClock.setTimer(() => {}, Number.MAX_SAFE_INTEGER)

    expect(spy).toHaveBeenCalledWith(expect.any(Function), 2 ** 31 - 1)
  })

  it('forgets a cancelled callback, at first and between the pieces of a long sleep', async () => {
    const callback = vi.fn()
    const short = systemClock.setTimer(callback, 10)
    const long = systemClock.setTimer(callback, 2 ** 31 + 10)

    short.cancel()
    short.cancel()
    await vi.advanceTimersByTimeAsync(2 ** 31)
    long.cancel()
    await vi.advanceTimersByTimeAsync(100)

    expect(callback).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  it("stays unref'd between the pieces of a long sleep", async () => {
    const timer = systemClock.setTimer(() => {}, 2 ** 31 + 10)
    timer.unref()
    const unref = vi.fn()
    const real = globalThis.setTimeout
    vi.stubGlobal('setTimeout', (callback: () => void, delay: number) =>
      Object.assign(real(callback, delay), { unref }),
    )

    await vi.advanceTimersByTimeAsync(2 ** 31)

    expect(unref).toHaveBeenCalledTimes(1)
  })

  it("may be cancelled, ref'd and unref'd after it has fired", async () => {
    const callback = vi.fn()
    const timer = systemClock.setTimer(callback, 10)
    await vi.advanceTimersByTimeAsync(10)

    timer.unref()
    timer.ref()
    timer.cancel()

    expect(callback).toHaveBeenCalledTimes(1)
  })

  it('keeps to a runtime whose timers are numbers', () => {
    vi.stubGlobal('setTimeout', () => 7)
    const clear = vi.fn()
    vi.stubGlobal('clearTimeout', clear)

    const timer = systemClock.setTimer(() => {}, 10)
    timer.unref()
    timer.ref()
    timer.cancel()

    expect(clear).toHaveBeenCalledExactlyOnceWith(7)
  })

  it('unrefs and refs by the functions of Deno where timers are numbers', () => {
    vi.stubGlobal('setTimeout', () => 7)
    const Deno = { refTimer: vi.fn(), unrefTimer: vi.fn() }
    vi.stubGlobal('Deno', Deno)

    const timer = systemClock.setTimer(() => {}, 10)
    timer.unref()
    timer.ref()

    expect(Deno.unrefTimer).toHaveBeenCalledExactlyOnceWith(7)
    expect(Deno.refTimer).toHaveBeenCalledExactlyOnceWith(7)
  })

  it("keeps to a runtime whose timer objects cannot be unref'd", () => {
    vi.stubGlobal('setTimeout', () => null)
    const odd = systemClock.setTimer(() => {}, 10)
    vi.stubGlobal('setTimeout', () => ({}))
    const bare = systemClock.setTimer(() => {}, 10)

    expect(() => {
      odd.unref()
      bare.unref()
      bare.ref()
    }).not.toThrow()
  })
})

describe('nextTurn', () => {
  it('comes although timers are fake, when every microtask has run', async () => {
    vi.useFakeTimers()
    let microtasks = 0
    const counting = (async () => {
      for (; microtasks < 5_000; microtasks++) await undefined
    })()

    await new Promise<void>(nextTurn)
    vi.useRealTimers()

    expect(microtasks).toBe(5_000)
    await counting
  })
})

describe('turnOf', () => {
  it('takes setImmediate where there is one', () => {
    const setImmediate = vi.fn()
    const setTimeout = vi.fn()
    const callback = () => {}

    turnOf({ setImmediate, setTimeout })(callback)

    expect(setImmediate).toHaveBeenCalledExactlyOnceWith(callback)
    expect(setTimeout).not.toHaveBeenCalled()
  })

  it('takes a timer of 0 ms elsewhere', () => {
    const setTimeout = vi.fn()
    const callback = () => {}

    turnOf({ setTimeout })(callback)

    expect(setTimeout).toHaveBeenCalledExactlyOnceWith(callback, 0)
  })
})

describe('parseDate', () => {
  it('reads a date in words, and NaN where there is none', () => {
    expect(parseDate('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(784_111_777_000)
    expect(parseDate('soon')).toBeNaN()
  })
})
