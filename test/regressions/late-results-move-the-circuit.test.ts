import { type CircuitBreaker, circuitBreaker, pipeline, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail, halfOpenCircuit } from '../support/breakers.ts'
import { type Gate, gate, quiet, type Seen, times, watch } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

interface Late {
  readonly late: Gate<string>
  readonly call: Seen<string>
}

function begin(breaker: CircuitBreaker): Late {
  const late = gate<string>()
  return { late, call: watch(breaker.execute(() => late.promise)) }
}

describe('CB6 results of an earlier era move the state', () => {
  it('drops the failures of calls that were admitted before it opened and closed again', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 1_000, clock })
    const old = times(10, () => begin(breaker))
    await fail(breaker, 2)
    await clock.advance(1_000)
    await breaker.execute(() => 'back')
    expect(breaker.state).toBe('closed')

    for (const { late } of old) late.fail(new Error('late'))
    await quiet()

    expect(breaker.state).toBe('closed')
    expect(breaker.stats().consecutiveFailures).toBe(0)
    for (const { call } of old) expect(call.status).toBe('rejected')
  })

  it('drops the success of a call that was admitted before the trial', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 1_000, clock })
    const { late, call } = begin(breaker)
    await fail(breaker, 1)
    await clock.advance(1_000)
    expect(breaker.state).toBe('half-open')

    late.open('late')
    await quiet()

    expect(call).toEqual({ status: 'fulfilled', value: 'late' })
    expect(breaker.state).toBe('half-open')
  })

  it('drops the success of a trial of an earlier half-open era', async () => {
    const { breaker, clock } = await halfOpenCircuit({ halfOpenCalls: 2 })
    const { late } = begin(breaker)
    await fail(breaker, 1)
    await clock.advance(1_000)
    expect(breaker.state).toBe('half-open')
    late.open('late')
    await quiet()

    await breaker.execute(() => 'one')
    expect(breaker.state).toBe('half-open')
    await breaker.execute(() => 'two')
    expect(breaker.state).toBe('closed')
  })

  it('drops the failure of a trial of an earlier half-open era', async () => {
    const { breaker, clock } = await halfOpenCircuit({ halfOpenCalls: 2 })
    const { late } = begin(breaker)
    await fail(breaker, 1)
    await clock.advance(1_000)
    await breaker.execute(() => 'one')

    late.fail(new Error('late'))
    await quiet()

    expect(breaker.state).toBe('half-open')
    expect(breaker.stats().opened).toBe(2)
  })

  const byHand: [string, (breaker: CircuitBreaker) => void, CircuitBreaker['state']][] = [
    ['close()', (breaker) => breaker.close(), 'closed'],
    ['reset()', (breaker) => breaker.reset(), 'closed'],
    ['isolate()', (breaker) => breaker.isolate(), 'isolated'],
    ['a new mode', (breaker) => Object.assign(breaker, { mode: 'metrics-only' }), 'closed'],
  ]
  it.each(byHand)('drops what was under way at %s', async (_how, act, state) => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const old = times(5, () => begin(breaker))

    act(breaker)
    for (const { late } of old) late.fail(new Error('late'))
    await quiet()

    expect(breaker.state).toBe(state)
    expect(breaker.stats()).toMatchObject({ consecutiveFailures: 0, inFlight: 0 })
    for (const { call } of old) expect(call.status).toBe('rejected')
  })

  it('counts calls under way in every era as in flight until they have ended', async () => {
    const { breaker, clock } = await halfOpenCircuit({ halfOpenCalls: 3 })
    const first = begin(breaker)
    await fail(breaker, 1)
    await clock.advance(1_000)
    const second = begin(breaker)
    expect(breaker.stats().inFlight).toBe(2)

    first.late.open('late')
    await quiet()
    expect(breaker.stats().inFlight).toBe(1)
    second.late.open('in time')
    await quiet()
    expect(breaker.stats().inFlight).toBe(0)
  })
})

describe('CB12 an outcome is counted twice after a timeout', () => {
  it.each(['resolves', 'rejects'])('counts one failure when the function %s late', async (end) => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    const both = pipeline('both', breaker, timeout({ duration: 50, clock }))
    const late = gate<string>()
    const call = watch(both.execute(async () => late.promise))

    await withoutNoise(async () => {
      await clock.advance(50)
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'ERR_TIMEOUT' } })
      expect(breaker.stats()).toMatchObject({ consecutiveFailures: 1, timedOut: 1, calls: 1 })
      if (end === 'resolves') late.open('late')
      else late.fail(new Error('late'))
      await quiet()
    })

    expect(breaker.stats()).toMatchObject({
      consecutiveFailures: 1,
      timedOut: 1,
      succeeded: 0,
      failed: 0,
      inFlight: 0,
    })
  })

  it.each([true, false])(
    'counts once when timer and answer come in one tick (answer first: %s)',
    async (answerFirst) => {
      const clock = virtualClock()
      const breaker = circuitBreaker({ clock })
      const both = pipeline('both', breaker, timeout({ duration: 50, clock }))
      const answer = gate<string>()
      // Timers of the same time fire in the order in which they were set.
      if (answerFirst) clock.setTimer(() => answer.open('in time'), 50)
      const call = watch(both.execute(() => answer.promise))
      if (!answerFirst) clock.setTimer(() => answer.open('too late'), 50)

      await clock.advance(100)

      const { succeeded, timedOut, calls, inFlight } = breaker.stats()
      expect({ calls, inFlight }).toEqual({ calls: 1, inFlight: 0 })
      expect([succeeded, timedOut]).toEqual(call.status === 'fulfilled' ? [1, 0] : [0, 1])
      if (answerFirst) expect(call).toEqual({ status: 'fulfilled', value: 'in time' })
    },
  )
})
