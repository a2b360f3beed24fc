import {
  bulkhead,
  type Context,
  circuitBreaker,
  fallback,
  type Policy,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, times } from '../support/calls.ts'
import { heapInUse, listenersOn, withoutNoise } from '../support/leaks.ts'

function everything(): Policy<unknown> {
  return pipeline(
    'everything',
    fallback({ steps: [() => 'instead'], handles: (error) => error === 'handled' }),
    retry({ maxRetries: 1, baseDelay: 0 }),
    circuitBreaker({ failureThreshold: 1_000_000 }),
    bulkhead({ maxConcurrent: 100, maxQueue: 1_000 }),
    timeout(60_000),
  )
}

const reading = async ({ signal }: Context): Promise<boolean> => signal.aborted

describe('TO3 abort listeners pile up on a long-lived signal', () => {
  it('returns to none after 10,000 calls, and warns of nothing', async () => {
    await withoutNoise(async () => {
      const policy = everything()
      const { signal } = new AbortController()

      for (let round = 0; round < 100; round++) {
        const calls = times(100, (index) => {
          if (index % 10 === 0) return policy.execute(() => Promise.reject('handled'), { signal })
          if (index % 10 === 1)
            return caught(policy.execute(() => Promise.reject('no'), { signal }))
          return policy.execute(reading, { signal })
        })
        expect(listenersOn(signal)).toBeLessThanOrEqual(1)
        await Promise.all(calls)
        expect(listenersOn(signal)).toBe(0)
      }
    })
  })

  it('adds one listener for 100 calls that wait, and takes it off with the last of them', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 100, clock })
    const { signal } = new AbortController()
    const other = new AbortController()
    void caught(slots.execute(hangs, { signal: other.signal }))
    const waiting = times(100, () => caught(slots.execute(hangs, { signal, deadline: 1_000 })))
    await quiet()
    expect(listenersOn(signal)).toBe(1)

    await clock.advance(1_000)
    await Promise.all(waiting)

    expect(listenersOn(signal)).toBe(0)
    expect(listenersOn(other.signal)).toBe(1)
    other.abort()
    expect(listenersOn(other.signal)).toBe(0)
    expect(clock.timers).toEqual([])
  })

  it('aborts each of 1,000 calls that share a signal exactly once, also those that join meanwhile', async () => {
    const policy = everything()
    const controller = new AbortController()
    const { signal } = controller
    const ends: unknown[] = []
    const calls = times(1_000, () =>
      policy.execute(hangs, { signal }).catch((error: unknown) => ends.push(error)),
    )
    signal.addEventListener('abort', () => {
      calls.push(policy.execute(hangs, { signal }).catch((error: unknown) => ends.push(error)))
    })
    await quiet()

    controller.abort('shutdown')
    await Promise.all(calls)
    await Promise.all(calls)

    expect(ends).toEqual(Array(1_001).fill('shutdown'))
    expect(listenersOn(signal)).toBeLessThanOrEqual(1)
  })
})

describe('TO4 something long-lived keeps every result alive', () => {
  it('keeps no memory of calls that shared one signal', async () => {
    const policy = everything()
    const { signal } = new AbortController()
    const call = (): Promise<unknown> =>
      policy.execute(async (context) => [context.signal, Array(12_500).fill(0)], { signal })
    const run = async (calls: number): Promise<void> => {
      for (let n = 0; n < calls; n++) await call()
    }
    await run(300)
    const before = heapInUse()

    // 600 results of 100 kB: 60 MB if they were kept.
    await run(600)

    expect(heapInUse() - before).toBeLessThan(2_000_000)
  })

  it('keeps no memory of calls that timed out while one function of theirs never ends', async () => {
    const clock = virtualClock()
    const policy = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 1, baseDelay: 0, clock }),
      timeout({ duration: 10, clock }),
    )
    const never = hangs()
    const run = async (calls: number): Promise<void> => {
      for (let n = 0; n < calls; n++) {
        const big = Array(12_500).fill(n)
        const end = caught(policy.execute(() => (big.length > 0 ? hangs() : never)))
        await clock.advance(30)
        await end
      }
    }
    await run(50)
    const before = heapInUse()

    await run(150)

    expect(heapInUse() - before).toBeLessThan(2_000_000)
  })
})
