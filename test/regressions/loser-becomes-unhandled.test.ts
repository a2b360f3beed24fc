import { bulkhead, fallback, type Policy, pipeline, retry, timeout } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, type Gate, gate, hangs, quiet, times, watch } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

const stacks: [string, (clock: VirtualClock) => Policy<unknown>][] = [
  ['a timeout', (clock) => timeout({ duration: 50, clock })],
  [
    'a timeout inside a retry',
    (clock) =>
      pipeline(
        { name: 'p', clock },
        retry({ maxRetries: 2, baseDelay: 10, clock }),
        timeout({ duration: 50, clock }),
      ),
  ],
  [
    'a timeout around a retry',
    (clock) =>
      pipeline(
        { name: 'p', clock },
        timeout({ duration: 50, clock }),
        retry({ maxRetries: 2, baseDelay: 10, clock }),
      ),
  ],
  [
    'a fallback around a timeout',
    (clock) =>
      pipeline(
        { name: 'p', clock },
        fallback(() => 'instead'),
        timeout({ duration: 50, clock }),
      ),
  ],
  [
    'a bulkhead around a timeout',
    (clock) =>
      pipeline(
        { name: 'p', clock },
        bulkhead({ maxConcurrent: 2, maxQueue: 10, clock }),
        timeout({ duration: 50, clock }),
      ),
  ],
]

describe('TO1 the loser of the race becomes an unhandled rejection', () => {
  it.each(stacks)('drops late rejections in silence: %s', async (_title, make) => {
    await withoutNoise(async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const losers: Gate[] = []
      const calls = times(5, () =>
        watch(
          policy.execute(async () => {
            const loser = gate()
            losers.push(loser)
            await loser.promise
          }),
        ),
      )
      await clock.advance(500)

      for (const loser of losers) loser.fail(new Error('late'))
      await clock.advance(500)
      for (const loser of losers) loser.fail(new Error('late'))
      await clock.advance(500)

      expect(calls.map(({ status }) => status)).not.toContain('pending')
      expect(policy.stats().inFlight).toBe(0)
    })
  })

  it('drops the late rejection of a fallback step after an abort', async () => {
    await withoutNoise(async () => {
      const controller = new AbortController()
      const step = gate()
      const call = caught(
        fallback(async () => step.promise).execute(() => Promise.reject(new Error('down')), {
          signal: controller.signal,
        }),
      )
      await quiet()
      controller.abort('enough')
      expect((await call).error).toBe('enough')
      step.fail(new Error('late'))
    })
  })

  it('drops the rejection of a function that aborts its caller and then throws', async () => {
    await withoutNoise(async () => {
      for (const policy of [
        timeout(1_000),
        retry(),
        bulkhead({ maxConcurrent: 1 }),
        pipeline('p'),
      ]) {
        const controller = new AbortController()
        const fails = async (): Promise<never> => {
          controller.abort('enough')
          throw new Error('and failed')
        }
        const { error } = await caught(policy.execute(fails, { signal: controller.signal }))
        expect(error).toBe('enough')
      }
    })
  })
})

describe('TO2 a timer is left after the call', () => {
  it.each(['success', 'failure', 'sync throw', 'abort'])(
    'clears it in the same turn: %s',
    async (end) => {
      const clock = virtualClock()
      const policy = timeout({ duration: 3_600_000, clock })
      for (let call = 0; call < 200; call++) {
        const controller = new AbortController()
        const { signal } = controller
        if (end === 'success') await policy.execute(async () => 'fine', { signal })
        else if (end === 'failure')
          await caught(policy.execute(() => Promise.reject(1), { signal }))
        else if (end === 'sync throw') await caught(policy.execute(throwing, { signal }))
        else {
          const aborted = caught(policy.execute(hangs, { signal }))
          controller.abort()
          await aborted
        }
        expect(clock.timers).toEqual([])
      }
    },
  )

  it('has none in real time after 10,000 calls', async () => {
    const timeoutsBefore = timers()
    const policy = timeout(3_600_000)

    for (let call = 0; call < 10_000; call++) await policy.execute(async () => call)

    expect(timers()).toBe(timeoutsBefore)
  })
})

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}

function throwing(): never {
  throw new Error('down')
}
