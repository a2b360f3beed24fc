import { bulkhead, type CircuitBreakerOptions, fallback, retry } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { down, fail, halfOpenCircuit, openCircuit } from '../support/breakers.ts'
import { caught, gate, quiet, rejection } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

const boom = (): never => {
  throw new Error('broken predicate')
}
const rejects = (): never => Promise.reject(new Error('broken predicate')) as never

describe('CB9 a predicate or listener that throws', () => {
  const options: [string, CircuitBreakerOptions][] = [
    ['isFailure', { isFailure: boom }],
    ['isFailureResult', { isFailureResult: boom }],
    ['resetTimeout', { resetTimeout: boom }],
  ]
  it.each(options)('decides nothing as %s of a circuit', async (_name, broken) => {
    const { breaker, clock } = await openCircuit(broken)
    await clock.advance(30_000)

    expect(breaker.state).toBe('half-open')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
    await clock.advance(60_000)
    expect(await breaker.execute(() => 'back')).toBe('back')
    expect(breaker.state).toBe('closed')
    expect(breaker.stats().inFlight).toBe(0)
  })

  it.each([Number.NaN, -1, '1000', null, undefined, {}, Number.POSITIVE_INFINITY])(
    'leaves the circuit a way out when resetTimeout answers %s',
    async (answer) => {
      const { breaker, clock } = await openCircuit({ resetTimeout: () => answer as number })

      await clock.advance(Number.MAX_SAFE_INTEGER)

      expect(breaker.state).toBe('half-open')
    },
  )

  it('lets the circuit work when a predicate answers a promise that rejects', async () => {
    await withoutNoise(async () => {
      const { breaker } = await halfOpenCircuit({ isFailure: rejects, isFailureResult: rejects })

      expect(await breaker.execute(() => 'back')).toBe('back')
      expect(breaker.state).toBe('closed')
    })
  })

  it('hands out the failure itself, unretried, when shouldRetry throws', async () => {
    const clock = virtualClock()
    const failure = new Error('down')
    let calls = 0
    const call = caught(
      retry({ shouldRetry: boom, clock }).execute(() => {
        calls++
        throw failure
      }),
    )
    await clock.runAll()

    expect((await call).error).toBe(failure)
    expect(calls).toBe(1)
  })

  it('hands out the result itself when shouldRetryResult throws', async () => {
    expect(await retry({ shouldRetryResult: boom }).execute(() => 'result')).toBe('result')
  })

  const hooks = ['beforeAttempt', 'afterAttempt', 'onRetry', 'onGiveUp'] as const
  it.each(hooks)('changes nothing as %s of a retry, thrown or rejected', async (hook) => {
    await withoutNoise(async () => {
      for (const broken of [boom, rejects]) {
        const clock = virtualClock()
        let calls = 0
        const call = caught(
          retry({ maxRetries: 2, baseDelay: 10, [hook]: broken, clock }).execute(() => {
            calls++
            return down()
          }),
        )
        await clock.runAll()

        expect((await call).error).toEqual(new Error('down'))
        expect(calls).toBe(3)
      }
    })
  })

  it('hands out the failure itself when handles or when throws', async () => {
    const steps = [{ run: () => 'answer', when: boom }]

    expect(await rejection(fallback({ steps, handles: boom }).execute(down))).toEqual(
      new Error('down'),
    )
    expect(await rejection(fallback({ steps }).execute(down))).toEqual(new Error('down'))
  })

  it('stands in line by the default when priority throws', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 2, priority: boom })
    const held = gate()
    const order: string[] = []
    const first = slots.execute(() => held.promise)
    const others = ['second', 'third'].map((name) => slots.execute(() => order.push(name)))
    await quiet()
    held.open()
    await Promise.all([first, ...others])

    expect(order).toEqual(['second', 'third'])
  })

  const budgets: [string, () => boolean][] = [
    ['throws', boom],
    ['answers a promise', rejects],
    ['answers undefined', () => undefined as never],
  ]
  it.each(budgets)('settles the call when a budget of one’s own %s', async (_how, broken) => {
    const clock = virtualClock()
    const budget = { deposit: broken, tryWithdraw: broken, stats: boom } as never

    await withoutNoise(async () => {
      const call = caught(retry({ baseDelay: 10, budget, clock }).execute(down))
      await clock.runAll()
      await call
    })
  })
})
