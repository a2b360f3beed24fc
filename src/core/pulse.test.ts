import { describe, expect, it } from 'vitest'
import { TurningClock } from '../../test/support/turning-clock.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import type { Clock } from './clock.ts'
import { Pulse, pulseOf } from './pulse.ts'

/** A clock with turns: `end()` ends the present one. */
function turningClock(): Clock & { time: number; readonly reads: number; end(): void } {
  let deferred: (() => void)[] = []
  let reads = 0
  const { setTimer } = virtualClock()
  return {
    time: 100,
    get reads() {
      return reads
    },
    now() {
      reads++
      return this.time
    },
    wallTime: () => 0,
    setTimer,
    defer(callback) {
      deferred.push(callback)
    },
    end() {
      const callbacks = deferred
      deferred = []
      for (const callback of callbacks) callback()
    },
  }
}

describe('a Pulse', () => {
  it('reads the clock once per turn', () => {
    const clock = turningClock()
    const pulse = new Pulse(clock)

    const first = pulse.now()
    clock.time = 140
    const second = pulse.now()
    const { turn } = pulse
    expect([first, second, clock.reads]).toEqual([100, 100, 1])
    clock.end()
    const over = pulse.turn
    const third = pulse.now()

    expect([third, clock.reads]).toEqual([140, 2])
    expect(new Set([turn, over, pulse.turn]).size).toBe(3)
  })

  it('tells at the end of a turn when it began and when it ended, once', () => {
    const clock = turningClock()
    const pulse = new Pulse(clock)
    const heard: unknown[] = []
    const listener = {
      turnEnded: (now: number, lag: number) => heard.push([now, lag]),
    }
    pulse.now()
    pulse.atTurnEnd(listener)
    pulse.atTurnEnd(listener)
    clock.time = 175

    clock.end()
    expect(heard).toEqual([
      [100, 175],
      [100, 175],
    ])
    pulse.now()
    clock.end()

    expect(heard).toHaveLength(2)
  })

  it('lets a listener begin the next turn', () => {
    const clock = turningClock()
    const pulse = new Pulse(clock)
    const seen: number[] = []
    pulse.now()
    pulse.atTurnEnd({ turnEnded: () => seen.push(pulse.now()) })
    clock.time = 250

    clock.end()
    clock.time = 300

    expect(seen).toEqual([250])
    expect(pulse.now()).toBe(250)
  })

  it('uses a clock that is an object of a class', async () => {
    const clock = new TurningClock()
    const pulse = new Pulse(clock)

    pulse.now()
    clock.block(5)
    expect(pulse.now()).toBe(0)
    clock.endTurn()

    expect(pulse.now()).toBe(5)
  })

  it('is exact on a clock without turns', async () => {
    const clock = virtualClock({ start: 10 })
    const pulse = new Pulse(clock)

    expect([pulse.exact, pulse.now()]).toEqual([true, 10])
    await clock.advance(5)

    expect(pulse.now()).toBe(15)
    expect(new Pulse(turningClock()).exact).toBe(false)
  })
})

describe('pulseOf', () => {
  it('is one for everybody on the same clock', () => {
    const [clock, other] = [virtualClock(), virtualClock()]

    expect(pulseOf(clock)).toBe(pulseOf(clock))
    expect(pulseOf(clock)).not.toBe(pulseOf(other))
    expect(pulseOf(clock).clock).toBe(clock)
  })
})
