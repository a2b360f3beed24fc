import { describe, expect, it } from 'vitest'
import { halfOpenCircuit, openCircuit } from '../support/breakers.ts'
import { gate, quiet, times, watch } from '../support/calls.ts'

describe('CB1 everybody runs when the circuit turns half-open', () => {
  it.each([1, 2, 5])('lets exactly %d trials run, however many ask in one tick', async (trials) => {
    const { breaker } = await halfOpenCircuit({ halfOpenCalls: trials })
    const answer = gate<string>()
    let entered = 0

    const calls = times(100, () =>
      watch(
        breaker.execute(() => {
          entered++
          return answer.promise
        }),
      ),
    )
    await quiet()

    expect(entered).toBe(trials)
    const refused = calls.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(100 - trials)
    for (const { reason } of refused) {
      expect(reason).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', state: 'half-open' })
    }
    answer.open('back')
    await quiet()
    expect(breaker.state).toBe('closed')
    expect(entered).toBe(trials)
  })

  it('counts a trial that is taken inside another call of the same tick', async () => {
    const { breaker } = await halfOpenCircuit()
    let entered = 0
    const enter = async (): Promise<number> => ++entered

    const nested = await breaker.execute(async () => {
      entered++
      return await breaker.execute(enter).catch((error: { code: string }) => error.code)
    })

    expect(nested).toBe('ERR_CIRCUIT_OPEN')
    expect(entered).toBe(1)
  })

  it('makes no second trial of a success that is not enough', async () => {
    const { breaker } = await halfOpenCircuit({ halfOpenCalls: 3 })
    let entered = 0
    let most = 0
    const trial = async (): Promise<void> => {
      most = Math.max(most, ++entered)
      await quiet()
      entered--
    }

    for (let round = 0; round < 3; round++) {
      expect(breaker.state).toBe('half-open')
      await breaker.execute(trial)
    }

    expect(breaker.state).toBe('closed')
    expect(most).toBe(1)
  })

  it('lets no more run than are still wanted after some have succeeded', async () => {
    const { breaker } = await halfOpenCircuit({ halfOpenCalls: 3 })
    await breaker.execute(() => 'one')
    await breaker.execute(() => 'two')
    const last = gate<string>()
    let entered = 0

    const calls = times(5, () =>
      watch(
        breaker.execute(() => {
          entered++
          return last.promise
        }),
      ),
    )
    await quiet()

    expect(entered).toBe(1)
    expect(calls.filter(({ status }) => status === 'rejected')).toHaveLength(4)
    last.open('three')
    await quiet()
    expect(breaker.state).toBe('closed')
  })

  it('touches the dependency never while open', async () => {
    const { breaker, clock } = await openCircuit()
    let entered = 0

    for (let ms = 0; ms < 999; ms += 37) {
      await breaker.execute(() => ++entered).catch(() => {})
      await clock.advance(37)
      if (clock.now() >= 1_000) break
    }

    expect(entered).toBe(0)
  })
})
