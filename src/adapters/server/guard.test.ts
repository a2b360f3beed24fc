import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { guardOf, visitor } from '../../../test/support/guarded.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A guard of one slot that is taken, and the one who has it. */
function full(options: Parameters<typeof guardOf>[0] = {}) {
  const guard = guardOf({ maxConcurrent: 1, ...options })
  const first = visitor()
  guard.take(first)
  return { guard, first }
}

describe('an overload guard', () => {
  it('gives a slot back once, however often it is told', () => {
    const { guard, first } = full({ maxConcurrent: 2 })
    const second = visitor()
    guard.take(second)

    first.end()
    first.end()
    first.go()

    expect(guard.stats().running).toBe(1)
  })

  it('lets nobody wait longer than maxWait, whenever they came', () => {
    const { guard, first } = full({ maxWait: 500, targetWait: 500 })
    const early = visitor()
    guard.take(early)
    vi.advanceTimersByTime(400)
    early.go()
    vi.advanceTimersByTime(101)
    const late = visitor()
    guard.take(late)

    vi.advanceTimersByTime(499)
    expect(late.fates).toEqual([])
    vi.advanceTimersByTime(4)

    expect(late.fates).toEqual(['waited-too-long'])
    first.end()
    expect(guard.stats()).toMatchObject({ running: 0, queued: 0, disconnected: 1 })
  })

  it('tells how long the refused one waited', () => {
    const { guard } = full({ maxWait: 500 })
    const heard: unknown[] = []
    guard.subscribe((event) => heard.push(event))
    guard.take(visitor())
    vi.advanceTimersByTime(505)

    expect(heard).toMatchObject([{ type: 'shed', policy: 'server', reason: 'waited-too-long' }])
    expect((heard[0] as { waited: number }).waited).toBeGreaterThanOrEqual(500)
  })

  it('does not call the line full of those whose time was up before', () => {
    const { guard } = full({ maxQueue: 1, maxWait: 500 })
    const stale = visitor()
    guard.take(stale)
    vi.setSystemTime(Date.now())
    // The loop was blocked: time has passed, and no timer has been called.
    const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 2_000)
    const fresh = visitor()
    guard.take(fresh)
    now.mockRestore()

    expect(stale.fates).toEqual(['waited-too-long'])
    expect(fresh.fates).toEqual([])
  })

  it('serves a long line of those that end at once without going deeper for each', () => {
    const { guard, first } = full({ maxQueue: 20_000, maxWait: 5_000 })
    const line = Array.from({ length: 20_000 }, () => visitor({}, (self) => self.end()))
    for (const each of line) guard.take(each)

    first.end()

    expect(line.every(({ fates }) => fates.join() === 'entered')).toBe(true)
    expect(guard.stats()).toMatchObject({ running: 0, queued: 0 })
  })

  it('gives the slot of a handler that throws back, and the error to nobody else', async () => {
    const boom = new Error('boom')
    const throwing = () => {
      throw boom
    }
    const { guard, first } = full()
    const [second, third] = [visitor({}, throwing), visitor()]
    guard.take(second)
    guard.take(third)
    const uncaught = new Promise((resolve) => {
      const listeners = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.once('uncaughtException', (error) => {
        for (const listener of listeners) process.on('uncaughtException', listener)
        resolve(error)
      })
    })

    expect(() => first.end()).not.toThrow()

    expect(await uncaught).toBe(boom)
    expect(third.fates).toEqual(['entered'])
    third.end()
    expect(() => guard.take(visitor({}, throwing))).toThrow(boom)
    expect(guard.stats().running).toBe(0)
  })

  it('keeps no process alive for whoever stands in line', () => {
    const unref = vi.spyOn(globalThis, 'setTimeout')
    const { guard } = full()
    guard.take(visitor())

    const [timer] = unref.mock.results.map(({ value }) => value as { hasRef(): boolean })
    expect(timer?.hasRef()).toBe(false)
  })

  it('makes room when it grows, waits when it shrinks, and sends all away when it closes', () => {
    const { guard, first } = full()
    const others = [visitor(), visitor(), visitor()] as const
    for (const other of others) guard.take(other)

    guard.resize(3)
    expect(others.map(({ fates }) => fates.join())).toEqual(['entered', 'entered', ''])
    guard.resize(1)
    first.end()
    others[0].end()
    expect(others[2].fates).toEqual([])
    guard.close()
    guard.close()
    others[1].end()

    expect(others[2].fates).toEqual(['closing'])
    expect(others[2].refusal?.headers).toMatchObject({ connection: 'close' })
    expect(guard.stats()).toMatchObject({ running: 0, queued: 0, refused: { closing: 1 } })
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('x')
      },
    ],
    ['is not a number', () => '9'],
    ['is NaN', () => Number.NaN],
    ['is a promise', () => Promise.reject(new Error('x'))],
  ])('takes a priority that %s for 0', (_what, priority) => {
    const { guard } = full({ maxQueue: 1, priority: priority as never })
    const [second, third] = [visitor(), visitor()]
    guard.take(second)
    guard.take(third)

    expect([second.fates, third.fates]).toEqual([[], ['full']])
  })

  it.each([Number.POSITIVE_INFINITY, 1e9, 10.4])('takes a priority of %o for 10', (priority) => {
    let next = 0
    const { guard } = full({ maxQueue: 1, priority: () => next })
    const [plain, vip, other] = [visitor(), visitor(), visitor()]
    guard.take(plain)
    next = priority
    guard.take(vip)
    guard.take(other)

    expect([plain.fates, vip.fates, other.fates]).toEqual([['displaced'], [], ['full']])
  })

  it.each([
    () => true,
    () => 'yes',
    () => {
      throw new Error('x')
    },
  ])('lets through uncounted only what %o says true for', (exempt) => {
    const { guard } = full({ maxQueue: 0, exempt: exempt as never })
    const isExempt = guard.stats().admitted === 0

    expect(isExempt).toBe(exempt.toString() === '() => true')
  })

  it.each([
    () => Number.NaN,
    () => '0',
    () => -1,
    () => 5e9,
    () => {
      throw new Error('dice')
    },
  ])('refuses with a proper Retry-After by the dice of %o', (random) => {
    const { guard } = full({ maxQueue: 0, random: random as never })
    const second = visitor()
    guard.take(second)

    expect(second.refusal?.headers['retry-after']).toMatch(/^[12]$/)
  })
})

describe('a process under pressure', () => {
  it('refuses by chance, spares the important, and is not looked at by a closed guard', async () => {
    let chance = 0
    const options = {
      maxEventLoopDelay: Number.POSITIVE_INFINITY,
      maxHeapUsed: 0.000_1,
      random: () => chance,
    }
    const guard = guardOf({ ...options, priority: ({ header }) => Number(header('p') ?? 0) })
    guard.take(visitor())
    vi.advanceTimersByTime(250)
    const all = [visitor(), visitor({ p: '1' }), visitor()] as const
    guard.take(all[0])
    guard.take(all[1])
    chance = 0.999_999
    guard.take(all[2])

    expect(all.map(({ fates }) => fates.join())).toEqual(['pressure', 'entered', 'entered'])
    guard.close()
    guard.take(visitor())
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('the deadline of a caller', () => {
  const hasty = (left: number) => visitor({ 'x-deadline-ms': String(left) })

  it('is handed on as what is left after the line', () => {
    const { guard, first } = full({ maxWait: 500 })
    const second = hasty(1_000)
    guard.take(second)
    vi.advanceTimersByTime(200)
    first.end()

    expect(second.surroundings?.remaining).toBe(800)
  })

  it('ends the wait in line, if that is wanted', () => {
    const { guard } = full({ deadlines: 'enforce', maxDeadlineRefusals: 1 })
    const second = hasty(50)
    guard.take(second)
    vi.advanceTimersByTime(52)

    expect(second.fates).toEqual(['deadline-passed'])
    expect(guard.stats().expired).toBe(1)
  })

  it('sends no more away from the line than their share', () => {
    const { guard, first } = full({ deadlines: 'enforce', maxDeadlineRefusals: 0.5, maxWait: 500 })
    const line = [hasty(50), hasty(60), hasty(70)] as const
    for (const each of line) guard.take(each)
    vi.advanceTimersByTime(100)
    expect(line.map(({ fates }) => fates.join())).toEqual([
      'deadline-passed',
      'deadline-passed',
      '',
    ])

    first.end()

    expect(line[2].fates).toEqual(['entered'])
    expect(line[2].surroundings).toEqual({})
    expect(guard.stats()).toMatchObject({ expired: 3, refused: { 'deadline-passed': 2 } })
  })

  it('is only counted in the measure-only mode, and does not stop the work', () => {
    const { guard, first } = full()
    const [late, early] = [hasty(0), hasty(50)]
    guard.take(late)
    guard.take(early)
    vi.advanceTimersByTime(100)
    guard.resize(3)

    expect([late.fates, early.fates]).toEqual([['entered'], ['entered']])
    expect([late.surroundings, early.surroundings]).toEqual([{}, {}])
    expect(guard.stats()).toMatchObject({ expired: 2, running: 3 })
    first.end()
  })

  it('is not looked at when it is to be ignored', () => {
    const guard = guardOf({ deadlines: 'ignore', callerRetries: 'ignore' })
    const only = visitor({ 'x-deadline-ms': '10', 'x-attempt': '1/4' })
    guard.take(only)

    expect(only.surroundings).toEqual({})
    expect(guard.stats().expired).toBe(0)
  })

  it('is maxTime where there is none, or an earlier one, even if callers are not believed', () => {
    const guard = guardOf({ maxTime: 1_000 })
    const sceptic = guardOf({ maxTime: 1_000, deadlines: 'ignore' })
    const [silent, patient, quick, stranger] = [visitor(), hasty(5_000), hasty(50), hasty(50)]
    for (const each of [silent, patient, quick]) guard.take(each)
    sceptic.take(stranger)

    expect(
      [silent, patient, quick, stranger].map(({ surroundings }) => surroundings?.remaining),
    ).toEqual([1_000, 1_000, 50, 1_000])
  })

  it('is kept apart from retries of a caller without one', () => {
    const guard = guardOf()
    const only = visitor({ 'x-attempt': '2/4' })
    guard.take(only)

    expect(only.surroundings).toEqual({
      remaining: Number.POSITIVE_INFINITY,
      retriedAbove: true,
      attempt: 2,
    })
  })
})
