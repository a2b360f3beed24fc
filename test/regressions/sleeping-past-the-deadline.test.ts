import { type Context, pipeline, retry, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, rejection, watch } from '../support/calls.ts'

describe('RT4 sleeping past the deadline', () => {
  it('gives up at once with the last error when the pause could not end in time', async () => {
    const clock = virtualClock()
    const operation = scripted(['fail'])
    const policy = retry({ baseDelay: 100, jitter: 'none', clock })
    const reasons: string[] = []
    policy.subscribe((event) => event.type === 'give-up' && reasons.push(event.reason))

    const call = caught(policy.execute(operation, { deadline: 250 }))
    await clock.advance(100)

    // 100 + 200 would be past 250: not even begun.
    expect((await call).error).toEqual(new Error('scripted failure #2'))
    expect(clock.now()).toBe(100)
    expect(reasons).toEqual(['deadline'])
    expect(policy.stats().gaveUp.deadline).toBe(1)
    expect(clock.timers).toEqual([])
  })

  it('does not begin a pause that would end exactly at the deadline', async () => {
    const operation = scripted(['fail', 'ok'])
    const clock = virtualClock()
    const policy = retry({ baseDelay: 100, jitter: 'none', clock })

    expect(await rejection(policy.execute(operation, { deadline: 100 }))).toEqual(
      new Error('scripted failure #1'),
    )
    expect(operation.calls).toBe(1)
  })

  it('knows the total timeout around it, however it is nested', async () => {
    const clock = virtualClock()
    const inner = pipeline(
      { name: 'inner', clock },
      retry({ baseDelay: 100, jitter: 'none', clock }),
    )
    const total = pipeline({ name: 'total', clock }, timeout({ duration: 250, clock }), inner)
    const operation = scripted(['fail'])

    const call = caught(total.execute(operation))
    await clock.advance(100)

    expect((await call).error).toEqual(new Error('scripted failure #2'))
    expect(clock.now()).toBe(100)
  })

  it('knows the deadline that a context hands to a nested call', async () => {
    const clock = virtualClock()
    const outer = timeout({ duration: 250, clock })
    const operation = scripted(['fail'])
    const inner = retry({ baseDelay: 100, jitter: 'none', clock })

    const call = caught(outer.execute((context) => inner.execute(operation, context)))
    await clock.advance(100)

    expect((await call).error).toEqual(new Error('scripted failure #2'))
  })

  it('stops at maxElapsed, counted from the call', async () => {
    const clock = virtualClock()
    const operation = scripted(['fail'])
    const policy = retry({
      maxRetries: 100,
      baseDelay: 100,
      factor: 1,
      jitter: 'none',
      maxElapsed: 1_000,
      clock,
    })

    const call = caught(policy.execute(operation))
    await clock.advance(10_000)

    expect((await call).error).toEqual(new Error('scripted failure #10'))
    expect(policy.stats().gaveUp['max-elapsed']).toBe(1)
  })

  it('settles within the deadline when attempts hang and sleeps are long', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'calls', clock },
      timeout({ duration: 1_000, clock }),
      retry({ maxRetries: 50, baseDelay: 70, clock }),
      timeout({ duration: 300, clock }),
    )
    const call = watch(calls.execute(scripted(['hang'])))

    await clock.advance(1_000)

    expect(call.status).toBe('rejected')
    expect(clock.timers).toEqual([])
  })
})

describe('RT5 one timeout signal for all attempts', () => {
  it('gives each attempt its own limit and its own signal, within one total', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'calls', clock },
      timeout({ duration: 1_000, clock }),
      retry({ maxRetries: 2, baseDelay: 10, jitter: 'none', clock }),
      timeout({ duration: 50, clock }),
    )
    const abortedAtEntry: boolean[] = []
    const signals: AbortSignal[] = []
    const operation = ({ signal, attempt, remaining }: Context): Promise<string> => {
      abortedAtEntry.push(signal.aborted)
      signals.push(signal)
      expect(remaining).toBe(50)
      return attempt < 3 ? new Promise(() => {}) : Promise.resolve('third')
    }

    const call = watch(calls.execute(operation))
    await clock.advance(50 + 10 + 50 + 20)

    expect(call).toEqual({ status: 'fulfilled', value: 'third' })
    expect(abortedAtEntry).toEqual([false, false, false])
    expect(new Set(signals).size).toBe(3)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false])
    expect(clock.timers).toEqual([])
  })
})
