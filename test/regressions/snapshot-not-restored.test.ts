import {
  type CircuitBreaker,
  type CircuitSnapshot,
  circuitBreaker,
  countWindow,
  timeWindow,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail, openCircuit } from '../support/breakers.ts'

const rated = { failureRate: 0.5, window: countWindow(10), minimumCalls: 4, failureThreshold: 3 }

describe('CB15 snapshot and restore', () => {
  it('exports a deep copy, as plain JSON', async () => {
    const breaker = circuitBreaker(rated)
    await fail(breaker, 1)
    const snapshot = breaker.snapshot()
    const before = JSON.stringify(breaker.snapshot())
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)

    scribbleOver(snapshot)

    expect(JSON.stringify({ ...breaker.snapshot(), takenAt: 0 })).toBe(
      JSON.stringify({ ...JSON.parse(before), takenAt: 0 }),
    )
    await breaker.execute(() => 'fine')
    expect(breaker.stats().failureRate).toBe(0.5)
  })

  it('restores from a copy: what is changed afterwards changes nothing', async () => {
    const source = circuitBreaker(rated)
    await fail(source, 2)
    const snapshot = source.snapshot()
    const breaker = circuitBreaker(rated)
    breaker.restore(snapshot)

    scribbleOver(snapshot)

    expect(breaker.stats()).toMatchObject({ failureRate: 1, consecutiveFailures: 2 })
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  it('finds its way out in a new process: open, 10 ms left', async () => {
    const { breaker: old, clock: oldClock } = await openCircuit()
    await oldClock.advance(990)
    const { breaker, clock } = newProcess(JSON.stringify(old.snapshot()), oldClock.wallTime())

    expect(breaker.state).toBe('open')
    await clock.advance(9)
    expect(breaker.state).toBe('open')
    await clock.advance(1)
    expect(await breaker.execute(() => 'back')).toBe('back')
    expect(breaker.state).toBe('closed')
  })

  it('counts the time that was served while no process ran', async () => {
    const { breaker: old, clock: oldClock } = await openCircuit()
    const { breaker } = newProcess(JSON.stringify(old.snapshot()), oldClock.wallTime() + 1_000)

    expect(breaker.state).toBe('half-open')
  })

  it('never waits longer than it would have, when the wall clock has stepped back', async () => {
    const { breaker: old, clock: oldClock } = await openCircuit()
    const { breaker, clock } = newProcess(
      JSON.stringify(old.snapshot()),
      oldClock.wallTime() - 99_999,
    )

    await clock.advance(1_000)

    expect(breaker.state).toBe('half-open')
  })

  it('restores a half-open circuit without the trials that died with their process', async () => {
    const { breaker: old, clock: oldClock } = await openCircuit()
    await oldClock.advance(1_000)
    void old.execute(() => new Promise(() => {}))
    const { breaker } = newProcess(JSON.stringify(old.snapshot()), oldClock.wallTime())

    expect(await breaker.execute(() => 'back')).toBe('back')
  })

  it('remembers how often it has opened, for a growing resetTimeout', async () => {
    const resetTimeout = (openings: number): number => 1_000 * 2 ** (openings - 1)
    const { breaker: old, clock: oldClock } = await openCircuit({ resetTimeout })
    const { breaker, clock } = newProcess(JSON.stringify(old.snapshot()), oldClock.wallTime(), {
      resetTimeout,
    })
    await clock.advance(1_000)
    await fail(breaker, 1)

    expect(breaker.stats().retryAfter).toBe(2_000)
  })

  it('stays isolated in a new process', async () => {
    const old = circuitBreaker()
    old.isolate()
    const { breaker } = newProcess(JSON.stringify(old.snapshot()), Date.now() + 1e9)

    expect(breaker.state).toBe('isolated')
    breaker.close()
    expect(breaker.state).toBe('closed')
  })

  const good = JSON.stringify(circuitBreaker(rated).snapshot())
  const garbage: unknown[] = [
    undefined,
    null,
    'text',
    42,
    {},
    [],
    patched({ version: 2 }),
    patched({ version: '1' }),
    patched({ state: 'ajar' }),
    patched({ state: 'half-open' }),
    patched({ openings: -1 }),
    patched({ openings: 1.5 }),
    patched({ remaining: Number.NaN }),
    patched({ remaining: -1 }),
    patched({ remaining: '10' }),
    patched({ state: 'open', remaining: Number.POSITIVE_INFINITY }),
    patched({ takenAt: Number.NaN }),
    patched({ takenAt: 'yesterday' }),
    patched({ trip: null }),
    patched({ trip: { consecutiveFailures: -3, window: null } }),
    patched({ trip: { consecutiveFailures: 0, window: { type: 'count' } } }),
    patched({ trip: { consecutiveFailures: 0, window: 'text' } }),
  ]
  it.each(garbage.map((value) => [JSON.stringify(value), value]))(
    'refuses %s and stays as it was',
    async (_text, value) => {
      const breaker = circuitBreaker(rated)
      await fail(breaker, 1)
      const before = breaker.stats()

      expect(() => breaker.restore(value)).toThrow(TypeError)

      expect(breaker.stats()).toEqual(before)
      expect(await breaker.execute(() => 'fine')).toBe('fine')
    },
  )

  it('is not stuck by numbers that are legal and absurd', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    breaker.restore(
      patched({
        state: 'open',
        remaining: 5,
        takenAt: Number.MAX_SAFE_INTEGER,
        openings: 2 ** 50,
        trip: { consecutiveFailures: 4, window: null },
      }),
    )
    await clock.advance(5)

    expect(await breaker.execute(() => 'back')).toBe('back')
  })

  it('refuses a window whose age is no time, which would never forget again', () => {
    const breaker = circuitBreaker({ failureRate: 0.5, window: timeWindow(1_000) })
    for (const age of [1e308, 2 ** 53]) {
      const buckets = [{ age, total: 10, failures: 10, slow: 0 }]
      const trip = { consecutiveFailures: 0, window: { type: 'time', age, buckets } }

      expect(() => breaker.restore(patched({ trip }))).toThrow('damaged')
    }
    expect(breaker.stats().failureRate).toBe(0)
  })

  function patched(change: object): unknown {
    return { ...JSON.parse(good), ...change }
  }
})

function newProcess(
  text: string,
  wallTime: number,
  options = {},
): { breaker: CircuitBreaker; clock: VirtualClock } {
  const clock = virtualClock({ start: 77, wallTime })
  const breaker = circuitBreaker({ failureThreshold: 1, clock, resetTimeout: 1_000, ...options })
  breaker.restore(JSON.parse(text))
  return { breaker, clock }
}

/** Overwrites every number and empties every list, however deep. */
function scribbleOver(snapshot: CircuitSnapshot): void {
  const scribble = (object: Record<string, unknown>): void => {
    for (const [key, value] of Object.entries(object)) {
      if (Array.isArray(value)) value.length = 0
      else if (typeof value === 'object' && value !== null) scribble(value as typeof object)
      else if (typeof value === 'number') object[key] = 99
    }
  }
  scribble(snapshot as unknown as Record<string, unknown>)
}
