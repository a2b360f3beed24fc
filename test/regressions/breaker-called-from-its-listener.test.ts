import { circuitBreaker, type HoldfastEvent } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail, openCircuit } from '../support/breakers.ts'
import { caught, quiet } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

describe('CB18 calling the circuit from its own listener', () => {
  it('hears of a state only when the change is complete', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 100, clock })
    const seen: unknown[] = []
    breaker.subscribe((event) => {
      if (event.type === 'state-change') seen.push([event.to, breaker.state, breaker.stats().state])
    })

    await fail(breaker, 1)
    await clock.advance(100)
    await breaker.execute(() => 'back')
    breaker.isolate()
    breaker.reset()

    expect(seen).toEqual([
      ['open', 'open', 'open'],
      ['half-open', 'half-open', 'half-open'],
      ['closed', 'closed', 'closed'],
      ['isolated', 'isolated', 'isolated'],
      ['closed', 'closed', 'closed'],
    ])
  })

  it('can be called three levels deep from the listener of its opening', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const ends: unknown[] = []
    const call = async (depth: number): Promise<void> => {
      if (depth === 0) return
      const { error } = await caught(breaker.execute(() => call(depth - 1)))
      ends.push((error as { code: string }).code)
      await call(depth - 1)
    }
    breaker.subscribe((event) => {
      if (event.type === 'state-change' && event.to === 'open') void call(3)
    })

    await withoutNoise(async () => {
      await fail(breaker, 1)
      await quiet()
    })

    expect(ends).toEqual(['ERR_CIRCUIT_OPEN', 'ERR_CIRCUIT_OPEN', 'ERR_CIRCUIT_OPEN'])
    expect(breaker.state).toBe('open')
  })

  it.each([
    ['reset', 'closed'],
    ['close', 'closed'],
    ['isolate', 'isolated'],
  ] as const)(
    'ends as %s() says when the listener of its opening calls that',
    async (act, state) => {
      const breaker = circuitBreaker({ failureThreshold: 1 })
      const leave = breaker.subscribe((event) => {
        if (event.type !== 'state-change' || event.to !== 'open') return
        breaker[act]()
        leave()
      })

      await fail(breaker, 1)

      expect(breaker.state).toBe(state)
      expect(breaker.stats().inFlight).toBe(0)
    },
  )

  it('changes back and forth ten thousand times without growing the stack', async () => {
    const breaker = circuitBreaker()
    let left = 10_000
    const turn = (event: HoldfastEvent): void => {
      if (event.type !== 'state-change' || left-- <= 0) return
      queueMicrotask(() => (event.to === 'isolated' ? breaker.close() : breaker.isolate()))
    }
    breaker.subscribe(turn)

    breaker.isolate()
    await quiet()

    expect(left).toBe(-1)
    expect(['closed', 'isolated']).toContain(breaker.state)
  })

  it('can be read, called and reset by the function that it protects', async () => {
    const { breaker, clock } = await openCircuit()
    await clock.advance(1_000)

    const answer = await breaker.execute(async () => {
      const state = breaker.state
      const nested = await breaker.execute(() => 'nested').catch(() => 'refused')
      breaker.reset()
      return [state, nested, await breaker.execute(() => 'after reset')]
    })

    expect(answer).toEqual(['half-open', 'refused', 'after reset'])
    expect(breaker.state).toBe('closed')
    expect(breaker.stats().inFlight).toBe(0)
  })

  it('keeps its books when its own classifier calls it', async () => {
    const clock = virtualClock()
    let nested = 0
    const breaker = circuitBreaker({
      failureThreshold: 3,
      clock,
      isFailure: () => {
        if (nested++ < 5) void breaker.execute(() => 'nested')
        return true
      },
    })

    await fail(breaker, 3)
    await quiet()

    expect(breaker.stats()).toMatchObject({ inFlight: 0, calls: 6, failed: 3, succeeded: 3 })
  })
})
