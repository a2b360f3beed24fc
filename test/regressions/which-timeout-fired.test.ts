import { bulkhead, type Context, pipeline, TimeoutError, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, rejection, watch } from '../support/calls.ts'

describe('TO8 which timeout fired', () => {
  it.each([
    [50, 100, 'outer', 50],
    [100, 50, 'inner', 50],
    [50, 50, 'outer', 50],
  ])(
    'names the one of %d around %d ms that was first: %s',
    async (outside, inside, name, duration) => {
      const clock = virtualClock()
      const outer = timeout({ name: 'outer', duration: outside, clock })
      const inner = timeout({ name: 'inner', duration: inside, clock })
      const call = caught(pipeline({ name: 'both', clock }, outer, inner).execute(hangs))

      await clock.advance(50)

      const { error } = await call
      expect(error).toBeInstanceOf(TimeoutError)
      expect(error).toMatchObject({ duration, ...(outside === inside ? {} : { policy: name }) })
      const endings = [outer, inner].map((policy) => policy.stats().timedOut)
      expect(endings.reduce((sum, n) => sum + n)).toBeGreaterThanOrEqual(1)
      expect(clock.timers).toEqual([])
    },
  )

  it.each([true, false])(
    'settles abort and timer of one tick by what came first (abort first: %s)',
    async (abortFirst) => {
      const clock = virtualClock()
      const controller = new AbortController()
      const policy = timeout({ duration: 50, clock })
      if (abortFirst) clock.setTimer(() => controller.abort('mine'), 50)
      const signals: AbortSignal[] = []
      const hang = ({ signal }: Context): Promise<never> => {
        signals.push(signal)
        return hangs()
      }
      const call = watch(policy.execute(hang, { signal: controller.signal }))
      if (!abortFirst) clock.setTimer(() => controller.abort('mine'), 50)

      await clock.advance(50)

      const { aborted, timedOut, inFlight } = policy.stats()
      expect(inFlight).toBe(0)
      if (abortFirst) {
        expect(call).toEqual({ status: 'rejected', reason: 'mine' })
        expect([aborted, timedOut]).toEqual([1, 0])
        expect(signals[0]?.reason).toBe('mine')
      } else {
        expect(call).toMatchObject({ reason: { code: 'ERR_TIMEOUT' } })
        expect([aborted, timedOut]).toEqual([0, 1])
        expect(signals[0]?.reason).toBe(call.reason)
      }
    },
  )

  it('passes on a TimeoutError of the function as a failure, not as its own', async () => {
    const clock = virtualClock()
    const policy = timeout({ duration: 50, clock })
    const theirs = [new TimeoutError('theirs', 7), new DOMException('slow', 'TimeoutError')]

    for (const error of theirs) {
      expect(await rejection(policy.execute(() => Promise.reject(error)))).toBe(error)
    }

    expect(policy.stats()).toMatchObject({ timedOut: 0, failed: 2 })
  })

  it('tells the function of its limit by the very error that the caller gets', async () => {
    const clock = virtualClock()
    let signal: AbortSignal | undefined
    const call = caught(
      timeout({ name: 'search', duration: 50, clock }).execute((context) => {
        signal = context.signal
        return hangs()
      }),
    )
    await clock.advance(50)

    const { error } = await call
    expect(signal?.reason).toBe(error)
    expect(error).toMatchObject({ policy: 'search', duration: 50 })
    expect((error as Error).message).toContain('50 ms')
  })
})

describe('TO9 the deadline is not propagated', () => {
  const busy = async (waitInLine: number, deadline = 300) => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, clock })
    const calls = pipeline({ name: 'calls', clock }, timeout({ duration: deadline, clock }), slots)
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const seen: [deadline: number, remaining: number][] = []
    const call = watch(
      calls.execute(({ deadline: until, remaining }) => {
        seen.push([until, remaining])
        return 'answer'
      }),
    )
    await clock.advance(waitInLine)
    held.open()
    await holder
    await clock.advance(0)
    return { clock, seen, call }
  }

  it('lets the function see what the line has left of it', async () => {
    const { seen, call } = await busy(200)

    expect(call).toEqual({ status: 'fulfilled', value: 'answer' })
    expect(seen).toEqual([[300, 100]])
  })

  it('never runs the function when the line has used it up', async () => {
    const { seen, call, clock } = await busy(400)

    expect(call).toMatchObject({
      status: 'rejected',
      reason: { code: 'ERR_TIMEOUT', duration: 300 },
    })
    expect(seen).toEqual([])
    expect(clock.timers).toEqual([])
  })

  it('shrinks while the function runs, by the nearest limit', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'calls', clock },
      timeout({ duration: 300, clock }),
      timeout({ duration: 100, clock }),
    )
    const remaining: number[] = []

    await calls.execute(
      async (context) => {
        remaining.push(context.remaining)
        await clock.advance(60)
        remaining.push(context.remaining)
      },
      { deadline: 80 },
    )

    expect(remaining).toEqual([80, 20])
  })

  it('still stands for a function that nobody waits for any more', async () => {
    const clock = virtualClock()
    let context: Context | undefined
    const call = caught(
      timeout({ duration: 200, clock }).execute((given) => {
        context = given
        return hangs()
      }),
    )
    await clock.advance(500)
    await call

    expect(context?.remaining).toBe(0)
    expect(context?.deadline).toBe(200)
  })

  it('is inherited by nested calls, which never get more', async () => {
    const clock = virtualClock()
    const outer = timeout({ duration: 200, clock })
    const inner = timeout({ duration: 5_000, clock })

    const deadlines = await outer.execute(async (context) => [
      context.deadline,
      await inner.execute(({ deadline }) => deadline, context),
      await inner.execute(({ deadline }) => deadline, { deadline: context.deadline }),
      await inner.execute(({ deadline }) => deadline),
    ])

    expect(deadlines).toEqual([200, 200, 200, 5_000])
  })

  it('ends a nested call together with the outer one', async () => {
    const clock = virtualClock()
    const outer = timeout({ name: 'outer', duration: 200, clock })
    const inner = timeout({ name: 'inner', duration: 5_000, clock })
    let nested: Promise<{ error: unknown }> | undefined

    const call = caught(
      outer.execute((context) => {
        nested = caught(inner.execute(hangs, context))
        return hangs()
      }),
    )
    await clock.advance(200)

    const { error } = await call
    expect(error).toMatchObject({ policy: 'outer' })
    expect((await nested)?.error).toBe(error)
    expect(clock.timers).toEqual([])
  })
})
