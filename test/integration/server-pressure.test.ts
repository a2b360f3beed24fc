/** The event loop and the heap of a real process: real turns, no virtual ones. */
import { virtualClock } from 'holdfast/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { Pressure } from '../../src/adapters/server/pressure.ts'

const open: Pressure[] = []
afterEach(() => {
  for (const pressure of open.splice(0)) pressure.stop()
})

function pressureOf(limits: { maxEventLoopDelay?: number; maxHeapUsed?: number }) {
  const clock = virtualClock()
  const pressure = new Pressure({ maxEventLoopDelay: 200, maxHeapUsed: 1, ...limits }, clock)
  open.push(pressure)
  return { pressure, clock }
}

/** Turns of the real event loop, each as long as that. */
async function turns(count: number, length: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const end = performance.now() + length
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

describe('pressure', () => {
  it('is not looked for when there is no limit', async () => {
    const { pressure, clock } = pressureOf({ maxEventLoopDelay: Number.POSITIVE_INFINITY })
    pressure.start()

    await clock.advance(10_000)
    expect(pressure.reading).toEqual({ eventLoopDelay: 0, heapUsed: 0 })
    expect(pressure.excess).toBe(0)
  })

  it('sees a full heap, more of it the fuller it is', async () => {
    const { pressure, clock } = pressureOf({
      maxEventLoopDelay: Number.POSITIVE_INFINITY,
      maxHeapUsed: 0.000_001,
    })
    pressure.start()
    await clock.advance(250)

    expect(pressure.reading.heapUsed).toBeGreaterThan(0)
    expect(pressure.excess).toBeCloseTo(pressure.reading.heapUsed, 4)
  })

  it('sees an event loop whose turns are longer than its own period', async () => {
    const { pressure, clock } = pressureOf({ maxEventLoopDelay: 20 })
    pressure.start()
    for (let period = 0; period < 3; period++) {
      // So long that the few ticks of the turns behind it do not outweigh it.
      await turns(1, 600)
      await turns(2, 12)
      await clock.advance(250)
    }

    expect(pressure.reading.eventLoopDelay).toBeGreaterThan(40)
    expect(pressure.excess).toBe(1)
  })

  it('is over when the loop is well again', async () => {
    const { pressure, clock } = pressureOf({ maxEventLoopDelay: 20 })
    pressure.start()
    await turns(4, 60)
    await clock.advance(250)
    expect(pressure.excess).toBeGreaterThan(0)

    for (let tries = 0; tries < 50 && pressure.excess > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      await clock.advance(250)
    }

    expect(pressure.excess).toBe(0)
  })

  it('stops, begins again, and keeps nothing alive', async () => {
    const { pressure, clock } = pressureOf({})
    const looks = async () => {
      const before = pressure.reading
      await clock.advance(250)
      return pressure.reading !== before
    }
    pressure.start()
    pressure.start()
    expect(clock.pending).toBe(0)
    expect(await looks()).toBe(true)
    pressure.stop()
    pressure.stop()
    expect(await looks()).toBe(false)

    pressure.start()
    expect(await looks()).toBe(true)
  })
})
