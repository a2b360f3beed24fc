import { circuitBreaker, type HoldfastEvent } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { down, fail, halfOpenCircuit } from '../support/breakers.ts'
import { caught, gate, quiet, times } from '../support/calls.ts'

describe('CB7 simultaneous failures leave the circuit open for ever', () => {
  it.each([6, 50])('opens once for %d failures of one tick, and tries again', async (calls) => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 5, resetTimeout: 1_000, clock })
    const opened: HoldfastEvent[] = []
    breaker.subscribe((event) => {
      if (event.type === 'state-change' && event.to === 'open') opened.push(event)
    })
    const end = gate()
    const all = times(calls, () => caught(breaker.execute(() => end.promise)))

    end.fail(new Error('down'))
    await Promise.all(all)
    expect(opened).toHaveLength(1)
    expect(breaker.stats().opened).toBe(1)
    await clock.advance(999)
    expect(breaker.state).toBe('open')
    await clock.advance(1)

    expect(await breaker.execute(() => 'back')).toBe('back')
    expect(breaker.state).toBe('closed')
  })

  it('needs no timer and no event to find its way out', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    for (let round = 0; round < 20; round++) {
      await fail(breaker, 1)
      expect(clock.timers).toEqual([])
      await clock.advance(1_000)
      expect(breaker.state).toBe('half-open')
    }
  })

  it('tries again after a far jump of time as well', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 1_000, clock })
    await fail(breaker, 1)

    await clock.advance(2 ** 40)

    expect(await breaker.execute(() => 'back')).toBe('back')
  })
})

describe('CB8 the minimum of calls silences the trial', () => {
  const options = { failureRate: 0.5, minimumCalls: 100, failureThreshold: 1 }

  it('opens again on one failing trial', async () => {
    const { breaker } = await halfOpenCircuit(options)

    await caught(breaker.execute(down))

    expect(breaker.state).toBe('open')
  })

  it('closes on one good trial', async () => {
    const { breaker } = await halfOpenCircuit(options)

    await breaker.execute(() => 'back')

    expect(breaker.state).toBe('closed')
  })

  it('decides after more trials than the window has places', async () => {
    const { breaker } = await halfOpenCircuit({
      failureRate: 0.5,
      failureThreshold: 1,
      window: { type: 'count', size: 2 },
      halfOpenCalls: 5,
    })

    for (let trial = 0; trial < 5; trial++) await breaker.execute(() => 'good')

    expect(breaker.state).toBe('closed')
  })

  it('forgets the failures that opened it once it has closed', async () => {
    const { breaker } = await halfOpenCircuit({
      failureRate: 0.5,
      minimumCalls: 4,
      failureThreshold: 1,
    })
    await breaker.execute(() => 'back')

    expect(breaker.stats()).toMatchObject({ failureRate: 0, consecutiveFailures: 0 })
    await quiet()
    expect(breaker.state).toBe('closed')
  })

  it('refuses a minimum that the window can never hold', () => {
    expect(() =>
      circuitBreaker({ failureRate: 0.5, window: { type: 'count', size: 10 }, minimumCalls: 11 }),
    ).toThrow(RangeError)
  })
})
