import { describe, expect, it } from 'vitest'
import { TurningClock } from '../../test/support/turning-clock.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import type { Clock } from './clock.ts'
import { Deadlines } from './deadlines.ts'
import { Pulse } from './pulse.ts'

/** Limits of 100 ms; `expired` tells which ended, and when. */
function limitsOn<C extends Clock>(
  clock: C,
  duration: number,
): { clock: C; deadlines: Deadlines; expired: [number, number][] } {
  const expired: [number, number][] = []
  const deadlines: Deadlines = new Deadlines(duration, new Pulse(clock), (slot) => {
    expired.push([slot, clock.now()])
    deadlines.end(slot)
  })
  deadlines.grow(8)
  return { clock, deadlines, expired }
}

const exactly = (duration = 100) => limitsOn(virtualClock(), duration)
const inTurns = (duration = 100) => limitsOn(new TurningClock(), duration)

describe('Deadlines on an exact clock', () => {
  it('expire at exactly their time, in the order in which they began', async () => {
    const { clock, deadlines, expired } = exactly()

    deadlines.begin(3)
    await clock.advance(30)
    deadlines.begin(0)
    await clock.advance(69)
    expect(expired).toEqual([])
    await clock.advance(200)

    expect(expired).toEqual([
      [3, 100],
      [0, 130],
    ])
    clock.assertIdle()
  })

  it('share one timer, which goes with the last of them', async () => {
    const { clock, deadlines } = exactly()

    for (const slot of [0, 1, 2]) deadlines.begin(slot)
    expect(clock.timers).toHaveLength(1)
    deadlines.end(1)
    deadlines.end(0)
    expect(clock.timers).toHaveLength(1)
    deadlines.end(2)

    expect(clock.timers).toHaveLength(0)
  })

  it('never expire after they have ended, and end twice without harm', async () => {
    const { clock, deadlines, expired } = exactly()
    deadlines.begin(0)
    deadlines.begin(1)

    deadlines.end(0)
    deadlines.end(0)
    await clock.advance(500)

    expect(expired).toEqual([[1, 100]])
    expect(clock.timers).toHaveLength(0)
  })

  it('tell when each ends, and Infinity where none is', async () => {
    const { clock, deadlines } = exactly()
    await clock.advance(5)

    deadlines.begin(2)

    expect([deadlines.due[2], deadlines.due[0]]).toEqual([105, Number.POSITIVE_INFINITY])
    deadlines.end(2)
    expect(deadlines.due[2]).toBe(Number.POSITIVE_INFINITY)
  })

  it('keep running limits when there is need for more slots', async () => {
    const { clock, deadlines, expired } = exactly()
    deadlines.begin(7)

    deadlines.grow(16)
    deadlines.begin(15)
    await clock.advance(100)

    expect(expired).toEqual([
      [7, 100],
      [15, 100],
    ])
  })

  it('do nothing at all when they are endless', async () => {
    const { clock, deadlines, expired } = exactly(Number.POSITIVE_INFINITY)

    deadlines.begin(0)
    deadlines.end(0)
    await clock.advance(1e9)

    expect([clock.timers, expired, deadlines.due[0]]).toEqual([[], [], Number.POSITIVE_INFINITY])
  })

  it('let one that expires end another of the same moment', async () => {
    const clock = virtualClock()
    const expired: number[] = []
    const deadlines: Deadlines = new Deadlines(10, new Pulse(clock), (slot) => {
      expired.push(slot)
      deadlines.end(0)
      deadlines.end(1)
    })
    deadlines.grow(2)
    deadlines.begin(0)
    deadlines.begin(1)

    await clock.advance(10)

    expect(expired).toEqual([0])
    clock.assertIdle()
  })

  it('look at the earliest next, also when one that expires begins another', async () => {
    const clock = virtualClock()
    const expired: [number, number][] = []
    const deadlines: Deadlines = new Deadlines(100, new Pulse(clock), (slot) => {
      expired.push([slot, clock.now()])
      deadlines.end(slot)
      if (slot === 0) deadlines.begin(2)
    })
    deadlines.grow(4)
    deadlines.begin(0)
    await clock.advance(5)
    deadlines.begin(1)

    await clock.advance(1_000)

    expect(expired).toEqual([
      [0, 100],
      [1, 105],
      [2, 200],
    ])
    clock.assertIdle()
  })
})

describe('Deadlines on a clock with turns', () => {
  it('set no timer for what ends in the same turn', () => {
    const { clock, deadlines } = inTurns()

    deadlines.begin(0)
    deadlines.end(0)
    clock.endTurn()

    expect(clock.virtual.timers).toEqual([])
  })

  it('set one timer at the end of the turn for all that are left', () => {
    const { clock, deadlines } = inTurns()

    deadlines.begin(0)
    deadlines.begin(1)
    expect(clock.virtual.timers).toEqual([])
    clock.endTurn()

    expect(clock.virtual.timers).toEqual([{ due: 100, unref: false }])
  })

  it('never expire early, and at most a few ms late', async () => {
    const { clock, deadlines, expired } = inTurns()
    deadlines.begin(0)
    clock.endTurn()

    await clock.virtual.advance(100)
    clock.endTurn()
    expect(expired).toEqual([])
    while (expired.length === 0) {
      await clock.virtual.advance(1)
      clock.endTurn()
    }

    const [[slot, at] = []] = expired
    expect(slot).toBe(0)
    expect(at).toBeLessThanOrEqual(105)
  })

  it('give an answer that is already there one turn to arrive', async () => {
    const { clock, deadlines, expired } = inTurns()
    deadlines.begin(0)
    deadlines.begin(1)
    clock.endTurn()

    clock.block(500)
    await clock.virtual.advance(100)
    deadlines.end(1)
    expect(expired).toEqual([])
    clock.endTurn()

    expect(expired).toEqual([[0, 600]])
  })

  it('begin after a turn that blocked the loop, not before', async () => {
    const { clock, deadlines, expired } = inTurns()
    deadlines.begin(0)
    clock.block(80)
    clock.endTurn()
    expect(deadlines.due[0]).toBe(181)

    await clock.virtual.advance(100)
    clock.endTurn()
    expect(expired).toEqual([])
    await clock.virtual.advance(10)
    clock.endTurn()

    expect(expired).toHaveLength(1)
  })

  it('leave alone what began in earlier turns', () => {
    const { clock, deadlines } = inTurns()
    deadlines.begin(0)
    clock.endTurn()
    clock.block(30)
    deadlines.begin(1)
    clock.block(50)
    clock.endTurn()

    expect([deadlines.due[0], deadlines.due[1]]).toEqual([101, 181])
  })

  it('take a turn of up to a millisecond as no time at all, and not one that is longer', () => {
    for (const [busy, due] of [
      [1, 1_101],
      [1.5, 1_102.5],
    ] as const) {
      const { clock, deadlines } = inTurns()
      clock.block(1_000)
      deadlines.begin(0)
      clock.block(busy)
      clock.endTurn()

      expect(deadlines.due[0]).toBe(due)
    }
  })

  it('keep the timer between calls, but keep nobody alive by it', async () => {
    const { clock, deadlines } = inTurns()
    deadlines.begin(0)
    clock.endTurn()

    deadlines.end(0)
    expect(clock.virtual.timers).toEqual([{ due: 100, unref: true }])
    deadlines.begin(1)
    clock.endTurn()

    expect(clock.virtual.timers).toEqual([{ due: 100, unref: false }])
    expect(clock.virtual.pending).toBe(1)
  })

  it('rest when the timer finds nobody', async () => {
    const { clock, deadlines, expired } = inTurns()
    deadlines.begin(0)
    clock.endTurn()
    deadlines.end(0)

    await clock.virtual.advance(100)
    clock.endTurn()

    expect([clock.virtual.timers, expired]).toEqual([[], []])
  })

  it('are looked through a bounded number of times, however many there are', async () => {
    const { clock, deadlines, expired } = inTurns(1_000)
    for (let slot = 0; slot < 8; slot++) {
      deadlines.begin(slot)
      clock.endTurn()
      await clock.virtual.advance(1)
    }
    let looks = 0
    for (let elapsed = 0; elapsed < 1_100; elapsed++) {
      const before = clock.virtual.timers[0]?.due
      await clock.virtual.advance(1)
      clock.endTurn()
      if (clock.virtual.timers[0]?.due !== before) looks++
    }

    expect(expired).toHaveLength(8)
    for (const [slot, at] of expired) {
      expect(at).toBeGreaterThan(1_000 + slot)
      expect(at).toBeLessThanOrEqual(1_000 + slot + 20)
    }
    expect(looks).toBeLessThanOrEqual(4)
  })
})
