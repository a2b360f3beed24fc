/** A clock of the user's own throws, or gives what is no time: calls end as ever, and nothing stays counted. */
import { bulkhead, type Clock, retry, systemClock, timeout } from 'holdfast'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { pipelines, policies } from '../contracts/subjects.ts'
import { gate, hangs, watch } from '../support/calls.ts'

interface Breaking extends Clock {
  /** Reads the time; replaced when it breaks. */
  read: () => unknown
}

const working = (): number => systemClock.now()

const faults: readonly [string, () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('broken clock')
    },
  ],
  ['gives NaN', () => Number.NaN],
  ['gives a bigint', () => 10n],
  ['gives nothing', () => undefined],
]

/** With turns, as the machine's own: some of its readings are made when nobody is there to catch a throw. */
function breaking(read: () => unknown): Breaking {
  return {
    read,
    now() {
      return this.read() as number
    },
    wallTime() {
      return this.read() as number
    },
    setTimer: (callback, delay) => systemClock.setTimer(callback, delay),
    defer: (callback) => void setImmediate(callback),
  }
}

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

describe.each(faults)('a clock that %s', (_fault, fault) => {
  it.each([...policies, ...pipelines])(
    'changes no answer and keeps no count, from the first call on: %s',
    async (_name, make) => {
      const policy = make(breaking(fault))
      policy.subscribe(() => {})
      const down = new Error('down')
      const calls = [
        watch(policy.execute(() => 'answer')),
        watch(policy.execute(() => Promise.reject(down))),
        watch(policy.executeDetailed(async () => 'answer')),
      ]
      await vi.advanceTimersByTimeAsync(1_000)

      expect(calls[0]).toEqual({ status: 'fulfilled', value: 'answer' })
      expect(calls[1]).toEqual({ status: 'rejected', reason: down })
      expect(calls[2]?.value).toMatchObject({ value: 'answer', duration: expect.any(Number) })
      expect(policy.stats()).toMatchObject({ inFlight: 0, calls: 3 })
    },
  )

  it.each([...policies, ...pipelines])(
    'changes no answer and keeps no count when it breaks with calls under way: %s',
    async (_name, make) => {
      const clock = breaking(working)
      const policy = make(clock)
      policy.subscribe(() => {})
      const held = gate<string>()
      const down = new Error('down')
      const calls = [
        watch(policy.execute(() => held.promise)),
        watch(policy.execute(() => Promise.reject(down))),
        watch(policy.execute(() => held.promise)),
      ]
      clock.read = fault
      held.open('answer')
      await vi.advanceTimersByTimeAsync(1_000)

      expect(calls.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect(calls[1]?.reason).toBe(down)
      clock.read = working
      expect(policy.stats()).toMatchObject({ inFlight: 0, calls: 3 })
      expect(await policy.execute(() => 'once more')).toBe('once more')
    },
  )

  it('cannot keep a limit from being reached', async () => {
    const clock = breaking(working)
    const limit = timeout({ duration: 50, clock })
    const before = watch(limit.execute(hangs))
    await vi.advanceTimersByTimeAsync(20)
    clock.read = fault
    const after = watch(limit.execute(hangs))
    await vi.advanceTimersByTimeAsync(60)

    expect(before.reason).toMatchObject({ code: 'ERR_TIMEOUT', duration: 50 })
    expect(after.reason).toMatchObject({ code: 'ERR_TIMEOUT', duration: 50 })
    expect(limit.stats()).toMatchObject({ inFlight: 0, timedOut: 2 })
  })
})

const throws = (): never => {
  throw new Error('broken clock')
}

describe('a clock without turns, whose timers are none', () => {
  it.each([
    ['are not set', throws],
    ['are bare handles', (callback: () => void, delay: number) => setTimeout(callback, delay)],
    ['are nothing', () => undefined],
  ])('has its calls woken by those of the machine: they %s', async (_, broken) => {
    const clock = { ...breaking(working), setTimer: broken as never, defer: throws }
    let tries = 0
    const again = watch(
      retry({ maxRetries: 1, baseDelay: 10, clock }).execute(() => {
        tries++
        throw new Error('down')
      }),
    )
    const limited = watch(timeout({ duration: 50, clock }).execute(hangs))
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, clock })
    void slots.execute(() => new Promise((resolve) => setTimeout(resolve, 20)))
    const queued = watch(slots.execute(() => 'in turn'))
    // The turns of the machine are none that could be faked.
    await vi.waitFor(() => expect(limited.status).toBe('rejected'))

    expect(queued).toEqual({ status: 'fulfilled', value: 'in turn' })
    expect(again.status).toBe('rejected')
    expect(tries).toBe(2)
    expect(limited.reason).toMatchObject({ code: 'ERR_TIMEOUT' })
  })
})
