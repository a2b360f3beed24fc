import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, watch } from '../support/calls.ts'

describe('a pipeline inside a pipeline', () => {
  it('does what the same policies do in one', async () => {
    const run = async (nested: boolean): Promise<unknown> => {
      const clock = virtualClock()
      const outer = [
        fallback({ steps: [() => 'instead'], clock }),
        retry({ maxRetries: 2, baseDelay: 10, jitter: 'none', clock }),
      ]
      const inner = [
        circuitBreaker({ failureThreshold: 2, clock }),
        bulkhead({ maxConcurrent: 1, clock }),
        timeout({ duration: 50, clock }),
      ]
      const policy = nested
        ? pipeline({ name: 'p', clock }, ...outer, pipeline({ name: 'inner', clock }, ...inner))
        : pipeline({ name: 'p', clock }, ...outer, ...inner)
      const operation = scripted(['fail', 'hang', 'ok'])
      const answer = policy.executeDetailed(operation)
      await clock.advance(10_000)
      const { duration, value, attempts } = await answer
      const stats = [...outer, ...inner].map((member) => member.stats())
      return { duration, value, attempts, calls: operation.calls, stats, worst: policy.worstCase() }
    }

    expect(await run(true)).toEqual(await run(false))
  })

  it('keeps statistics and a name of its own', async () => {
    const clock = virtualClock()
    const inner = pipeline({ name: 'inner', clock }, timeout({ duration: 50, clock }))
    const outer = pipeline(
      { name: 'outer', clock },
      retry({ maxRetries: 2, baseDelay: 10, clock }),
      inner,
    )

    const call = watch(outer.execute(hangs))
    await clock.advance(1_000)

    expect(call.status).toBe('rejected')
    expect(inner.stats()).toMatchObject({ name: 'inner', calls: 3, timedOut: 3 })
    expect(outer.stats()).toMatchObject({ name: 'outer', calls: 1 })
    expect(outer.describe()).toMatchObject({
      name: 'outer',
      policies: [
        { policy: 'retry' },
        { policy: 'pipeline', name: 'inner', policies: [{ policy: 'timeout' }] },
      ],
    })
  })

  it('is checked together with what is around it', () => {
    const inner = pipeline(
      'inner',
      fallback(() => 1),
      timeout(50),
    )

    expect(
      pipeline('outer', retry(), inner)
        .check()
        .map(({ code }) => code),
    ).toEqual(['fallback-inside-retry'])
    expect(() => pipeline({ name: 'strict', strict: true }, retry(), inner)).toThrow(
      /fallback-inside-retry/,
    )
  })

  it('may serve several pipelines and be called on its own', async () => {
    const slots = pipeline('slots', bulkhead({ maxConcurrent: 5 }))
    const one = pipeline('one', slots)
    const two = pipeline('two', retry(), slots)

    await Promise.all([one.execute(() => 1), two.execute(() => 2), slots.execute(() => 3)])

    expect(slots.stats()).toMatchObject({ calls: 3, succeeded: 3, inFlight: 0 })
  })
})
