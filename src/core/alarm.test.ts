import { describe, expect, it } from 'vitest'
import { TurningClock } from '../../test/support/turning-clock.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { Alarm } from './alarm.ts'
import type { Clock } from './clock.ts'
import { Pulse } from './pulse.ts'

const never = Number.POSITIVE_INFINITY

function alarmBy(clock: Clock) {
  const rings: number[] = []
  const alarm = new Alarm(new Pulse(clock), () => rings.push(clock.now()))
  return { alarm, rings }
}

describe('an alarm', () => {
  it('rings once, when it is due', async () => {
    const clock = virtualClock()
    const { alarm, rings } = alarmBy(clock)

    alarm.move(100)
    await clock.advance(99)
    expect(rings).toEqual([])
    await clock.advance(500)

    expect(rings).toEqual([100])
    expect(alarm.due).toBe(never)
    clock.assertIdle()
  })

  it.each([
    ['sooner', [300, 100], [100]],
    ['later', [100, 300], [300]],
    ['to and fro', [300, 100, 200], [200]],
    ['to never', [100, never], []],
    ['to never and back', [100, never, 150], [150]],
  ])('rings where it was moved last: %s', async (_, moves, expected) => {
    const clock = virtualClock()
    const { alarm, rings } = alarmBy(clock)

    for (const due of moves) alarm.move(due)
    await clock.advance(1_000)

    expect(rings).toEqual(expected)
    clock.assertIdle()
  })

  it('may be moved when it rings', async () => {
    const clock = virtualClock()
    const rings: number[] = []
    const alarm = new Alarm(new Pulse(clock), () => {
      rings.push(clock.now())
      if (rings.length < 3) alarm.move(clock.now() + 10)
    })

    alarm.move(5)
    await clock.runAll()

    expect(rings).toEqual([5, 15, 25])
  })

  it('holds the process only while something is due', async () => {
    const clock = virtualClock()
    const { alarm } = alarmBy(clock)

    alarm.move(100)
    expect(clock.pending).toBe(1)
    alarm.move(never)

    expect(clock.pending).toBe(0)
  })

  it('sets no timer for what comes and goes within a turn', () => {
    const clock = new TurningClock()
    const { alarm } = alarmBy(clock)

    for (let time = 0; time < 100; time++) {
      alarm.move(1_000)
      alarm.move(never)
    }
    expect(clock.virtual.pending).toBe(0)
    clock.endTurn()

    expect(clock.virtual.pending).toBe(0)
  })

  it('sets one timer at the end of a turn, and keeps it while others wait longer', async () => {
    const clock = new TurningClock()
    const { alarm, rings } = alarmBy(clock)

    alarm.move(100)
    clock.endTurn()
    alarm.move(never)
    alarm.move(150)
    clock.endTurn()
    expect(clock.virtual.timers.map(({ due }) => due)).toEqual([100])
    await clock.virtual.advance(149)
    clock.endTurn()
    expect(rings).toEqual([])
    await clock.virtual.advance(1)
    clock.endTurn()

    expect(rings).toEqual([150])
    expect(clock.virtual.pending).toBe(0)
  })

  it('gives what is already there one turn after the timer', async () => {
    const clock = new TurningClock()
    const { alarm, rings } = alarmBy(clock)

    alarm.move(100)
    clock.endTurn()
    await clock.virtual.advance(100)
    expect(rings).toEqual([])
    alarm.move(never)
    clock.endTurn()

    expect(rings).toEqual([])
    expect(clock.virtual.pending).toBe(0)
  })
})
