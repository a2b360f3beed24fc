/** Hooks of a queue that throw, or answer with a promise: no job is lost, stuck or postponed for ever. */
import { describe, expect, it } from 'vitest'
import type { ProcessOptions } from '../../src/core/deferred-queue.ts'
import type { JobChanged } from '../../src/core/events.ts'
import { fallback, memoryQueue, queueForLater, RejectedError } from '../../src/index.ts'
import { caught } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

const broken = async (): Promise<never> => {
  throw new Error('hook is broken')
}
const throws = (): never => {
  throw new Error('hook is broken')
}

/** What became of a job that fails, up to the first of `ends`. */
async function fate(
  options: object,
  ends: readonly JobChanged['change'][] = ['dead'],
): Promise<JobChanged[]> {
  const queue = memoryQueue({ name: 'fates' })
  const changes: JobChanged[] = []
  const ended = new Promise<void>((resolve) => {
    queue.subscribe((event) => {
      if (event.type !== 'job') return
      changes.push(event)
      if (ends.includes(event.change)) resolve()
    })
  })
  const given = { maxAttempts: 2, backoff: () => 1, ...options } as ProcessOptions
  queue.process(() => Promise.reject(new Error('no')), given)
  await queue.enqueue(1)
  await ended
  expect(await queue.close()).toEqual({ handedBack: 0, errors: [] })
  return changes
}

describe('a hook that answers with a promise', () => {
  it.each(['shouldRetry', 'shouldPostpone', 'maxConcurrent'])(
    'decides nothing as %s, and its rejection ends no process',
    async (hook) => {
      await withoutNoise(async () => {
        const changes = await fate({ [hook]: broken })

        expect(changes.at(-1)).toMatchObject({ change: 'dead', reason: 'max-attempts', attempt: 2 })
      })
    },
  )

  it('is no leave to begin as ready, and its rejection ends no process', async () => {
    await withoutNoise(async () => {
      const queue = memoryQueue()
      let asked = 0
      const twice = new Promise<void>((resolve) => {
        queue.process(() => expect.unreachable(), {
          ready: (() => {
            if (++asked === 2) resolve()
            return broken()
          }) as never,
        })
      })
      await queue.enqueue(1)
      await twice

      expect(await queue.counts()).toMatchObject({ waiting: 1 })
      await queue.close()
    })
  })

  it.each(['id', 'key', 'payload', 'trace'])(
    'makes a step that queues for later fail as %s, and ends no process',
    async (hook) => {
      class Refused extends RejectedError {
        override readonly name = 'Refused'
        readonly code = 'ERR_REFUSED'
      }
      await withoutNoise(async () => {
        const queue = memoryQueue()
        const refused = new Refused('test', 'refused')
        const step = queueForLater(queue, { payload: () => 1, [hook]: broken })

        const call = await caught(fallback(step).execute(() => Promise.reject(refused)))

        expect((call.error as AggregateError).errors).toHaveLength(2)
        expect(await queue.counts()).toMatchObject({ size: 0 })
        await queue.close()
      })
    },
  )
})

describe('a budget that throws', () => {
  it('does not stop the first attempt of a job', async () => {
    await withoutNoise(async () => {
      const changes = await fate({ budget: { deposit: throws, tryWithdraw: () => true } })

      expect(changes.at(-1)).toMatchObject({ change: 'dead', attempt: 2 })
    })
  })

  it('gives no allowance for the second, which waits and is not lost', async () => {
    await withoutNoise(async () => {
      const budget = { deposit: () => {}, tryWithdraw: throws }
      const changes = await fate({ budget }, ['postponed'])

      expect(changes.at(-1)).toMatchObject({ change: 'postponed', reason: 'budget', delay: 1 })
    })
  })

  it('leaves no job stuck beside a backoff that throws, too', async () => {
    await withoutNoise(async () => {
      let asked = 0
      const backoff = (): number => (++asked === 1 ? 1 : throws())
      const budget = { deposit: () => {}, tryWithdraw: () => false }
      const changes = await fate({ budget, backoff }, ['postponed'])

      expect(changes.at(-1)).toMatchObject({ reason: 'budget', delay: 2_000 })
    })
  })
})
