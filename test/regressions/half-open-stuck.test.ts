import { bulkhead, circuitBreaker, pipeline, timeout } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { fail, halfOpenCircuit } from '../support/breakers.ts'
import { caught, gate, hangs, quiet, rejection, watch } from '../support/calls.ts'

describe('CB2 a trial aborted by its caller wedges the circuit', () => {
  it('gives the place back and decides nothing', async () => {
    const { breaker } = await halfOpenCircuit()
    for (let round = 0; round < 3; round++) {
      const controller = new AbortController()
      const trial = caught(breaker.execute(hangs, { signal: controller.signal }))
      await quiet()
      controller.abort('changed my mind')
      expect((await trial).error).toBe('changed my mind')
      expect(breaker.state).toBe('half-open')
    }

    expect(await breaker.execute(() => 'back')).toBe('back')
    expect(breaker.state).toBe('closed')
  })

  it('gives the place back when the trial is aborted from inside itself', async () => {
    const { breaker } = await halfOpenCircuit()
    const controller = new AbortController()

    await caught(breaker.execute(() => controller.abort(), { signal: controller.signal }))

    expect(await breaker.execute(() => 'back')).toBe('back')
  })

  it('gives the place back when the signal was aborted before', async () => {
    const { breaker } = await halfOpenCircuit()

    await caught(breaker.execute(() => 'not called', { signal: AbortSignal.abort() }))

    expect(await breaker.execute(() => 'back')).toBe('back')
  })

  it('gives the place back when the deadline of its caller comes', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    const trial = caught(breaker.execute(hangs, { deadline: clock.now() + 50 }))
    await clock.advance(50)
    expect((await trial).error).toMatchObject({ code: 'ERR_TIMEOUT' })

    expect(breaker.state).toBe('half-open')
    expect(await breaker.execute(() => 'back')).toBe('back')
  })

  it('opens again on a trial that throws synchronously', async () => {
    const { breaker } = await halfOpenCircuit()

    await caught(
      breaker.execute(() => {
        throw new Error('down')
      }),
    )

    expect(breaker.state).toBe('open')
  })
})

describe('CB3 a trial that never settles', () => {
  it('is replaced, not joined, after trialTimeout', async () => {
    const { breaker, clock } = await halfOpenCircuit({ halfOpenCalls: 2, trialTimeout: 500 })
    let entered = 0
    const hang = (): Promise<never> => {
      entered++
      return hangs()
    }
    const burst = (): void => {
      for (let call = 0; call < 10; call++) void caught(breaker.execute(hang))
    }

    burst()
    await clock.advance(499)
    burst()
    expect(entered).toBe(2)
    await clock.advance(1)
    burst()
    expect(entered).toBe(4)
    await clock.advance(499)
    burst()
    expect(entered).toBe(4)
  })

  it('can still be left by the one that replaced it', async () => {
    const { breaker, clock } = await halfOpenCircuit({ trialTimeout: 500 })
    void caught(breaker.execute(hangs))
    await clock.advance(500)

    expect(await breaker.execute(() => 'back')).toBe('back')

    expect(breaker.state).toBe('closed')
  })

  it('decides nothing when it comes back after its lease', async () => {
    const { breaker, clock } = await halfOpenCircuit({ trialTimeout: 500 })
    const lost = gate<string>()
    const first = watch(breaker.execute(() => lost.promise))
    await clock.advance(500)
    const second = gate<string>()
    const replaced = watch(breaker.execute(() => second.promise))

    lost.fail(new Error('late'))
    await quiet()

    expect(first).toMatchObject({ status: 'rejected', reason: new Error('late') })
    expect(breaker.state).toBe('half-open')
    second.open('back')
    await quiet()
    expect(replaced.status).toBe('fulfilled')
    expect(breaker.state).toBe('closed')
    expect(breaker.stats().inFlight).toBe(0)
  })

  it('tells whom it refuses how long the place is taken at most', async () => {
    const { breaker, clock } = await halfOpenCircuit({ trialTimeout: 500 })
    void caught(breaker.execute(hangs))
    await clock.advance(200)

    expect(await rejection(breaker.execute(hangs))).toMatchObject({ retryAfter: 300 })
  })
})

describe('CB4 an ignored error uses up the trial', () => {
  it('gives its place back, any number of times', async () => {
    class NotMine extends Error {}
    const { breaker } = await halfOpenCircuit({
      halfOpenCalls: 2,
      isFailure: (error) => (error instanceof NotMine ? 'ignore' : undefined),
    })

    for (let round = 0; round < 5; round++) {
      const error = await rejection(breaker.execute(() => Promise.reject(new NotMine('mine'))))
      expect(error).toBeInstanceOf(NotMine)
      expect(breaker.state).toBe('half-open')
    }

    await breaker.execute(() => 'one')
    expect(breaker.state).toBe('half-open')
    await breaker.execute(() => 'two')
    expect(breaker.state).toBe('closed')
  })

  it('leaves the verdict to the next failure', async () => {
    const { breaker } = await halfOpenCircuit({ isFailureResult: () => 'ignore' })

    expect(await breaker.execute(() => 'ignored')).toBe('ignored')
    expect(breaker.state).toBe('half-open')
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })
})

describe('CB5 an inner policy refuses the trial', () => {
  it('counts it neither as success nor as failure', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const both = pipeline('both', breaker, slots)
    const held = gate()
    const holder = slots.execute(() => held.promise)

    for (let round = 0; round < 3; round++) {
      expect(await rejection(both.execute(() => 'refused'))).toMatchObject({
        code: 'ERR_BULKHEAD_FULL',
      })
      expect(breaker.state).toBe('half-open')
    }
    held.open()
    await holder

    expect(await both.execute(() => 'back')).toBe('back')
    expect(breaker.state).toBe('closed')
  })

  it('counts an open inner circuit neither as success nor as failure', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    const inner = circuitBreaker({ name: 'inner', clock })
    inner.isolate()
    const both = pipeline('both', breaker, inner)

    const error = await rejection(both.execute(() => 'refused'))

    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', policy: 'inner', state: 'isolated' })
    expect(breaker.state).toBe('half-open')
    inner.close()
    await both.execute(() => 'back')
    expect(breaker.state).toBe('closed')
  })

  it('keeps the place of a trial that waits in a line, and gives it back on its abort', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 5, clock })
    const both = pipeline('both', breaker, slots, timeout({ duration: 5_000, clock }))
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const controller = new AbortController()
    const waiting = caught(both.execute(() => 'waited', { signal: controller.signal }))

    expect(await rejection(both.execute(() => 'refused'))).toMatchObject({ state: 'half-open' })
    controller.abort('enough')
    expect((await waiting).error).toBe('enough')
    held.open()
    await holder

    expect(await both.execute(() => 'back')).toBe('back')
    expect(breaker.state).toBe('closed')
  })
})
