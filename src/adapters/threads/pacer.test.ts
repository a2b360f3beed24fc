import { type Backoff, constant } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { Pacer } from './pacer.ts'

function rig(backoff: Backoff = (crashes) => 100 * crashes) {
  const clock = virtualClock()
  const pacer = new Pacer(clock, seededRandom(1), backoff)
  /** How long a thread has to wait for its start. */
  const paused = async (): Promise<number> => {
    const began = clock.now()
    let over = false
    pacer.pause().then(() => {
      over = true
    })
    for (;;) {
      await clock.advance(0)
      if (over) return clock.now() - began
      await clock.advance(1)
    }
  }
  return { clock, pacer, paused }
}

describe('the pace of replacement', () => {
  it('knows no pause before the first crash', async () => {
    expect(await rig().paused()).toBe(0)
  })

  it('grows with crashes, and is forgotten when a task ends well', async () => {
    const { pacer, paused } = rig()
    pacer.crashed()
    expect(await paused()).toBe(100)
    pacer.crashed()
    expect(await paused()).toBe(200)
    pacer.healthy()
    pacer.crashed()
    expect(await paused()).toBe(100)
  })

  it('counts threads that crash together, or during the pause, as one', async () => {
    const { pacer, paused, clock } = rig()
    for (let n = 0; n < 10; n++) pacer.crashed()
    await clock.advance(50)
    pacer.crashed()

    expect(await paused()).toBe(50)
  })

  it('lets everybody go at once when it is closed, and pauses nobody after', async () => {
    const { pacer, clock } = rig(constant(60_000))
    pacer.crashed()
    const waiting = [pacer.pause(), pacer.pause()]
    pacer.close()
    await Promise.all(waiting)
    await pacer.pause()

    expect(clock.now()).toBeLessThan(60_000)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('bad')
      },
    ],
    ['gives no number', () => Number.NaN],
    ['gives a negative one', () => -1],
    ['never ends', () => Number.POSITIVE_INFINITY],
  ])('is 5 s when the backoff %s', async (_how, backoff) => {
    const { pacer, paused } = rig(backoff)
    pacer.crashed()

    expect(await paused()).toBe(5_000)
  })

  it('tells the backoff the pause before', async () => {
    const seen: number[] = []
    const { pacer, paused } = rig((_crashes, { previous }) => {
      seen.push(previous)
      return 10 + previous
    })
    for (let n = 0; n < 3; n++) {
      pacer.crashed()
      await paused()
    }

    expect(seen).toEqual([0, 10, 20])
  })
})
