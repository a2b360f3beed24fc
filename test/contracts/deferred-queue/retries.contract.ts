import { describe, expect, it } from 'vitest'
import { constant, retryBudget } from '../../../src/index.ts'
import { gate } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

const soon = constant({ delay: 1, jitter: 'none' })

export function retriesJobs(start: StartStore): void {
  describe('retries jobs: it', () => {
    const store = subject(start)

    it('tries again until it succeeds, with what went wrong before', async () => {
      const queue = await store.open()
      const seen: [number, string[]][] = []
      const completed = next(queue, 'completed')
      queue.process(
        (job) => {
          seen.push([job.attempt, job.errors.map(({ message }) => message)])
          if (job.attempt < 3) throw new Error(`try ${job.attempt}`)
        },
        { backoff: soon },
      )

      await queue.enqueue(1)
      await completed

      expect(seen).toEqual([
        [1, []],
        [2, ['try 1']],
        [3, ['try 1', 'try 2']],
      ])
    })

    it('waits before each retry as the backoff says', async () => {
      const queue = await store.open()
      const at: number[] = []
      const retries = next(queue, 'retry', { count: 2 })
      const completed = next(queue, 'completed')
      queue.process(
        (job) => {
          at.push(Date.now())
          if (job.attempt < 3) throw new Error('not yet')
        },
        { backoff: (attempt) => 100 * attempt },
      )

      await queue.enqueue(1)
      await completed

      expect((await retries).map(({ delay }) => delay)).toEqual([100, 200])
      expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(100)
      expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(200)
    })

    it('sets a job aside with its errors after maxAttempts, and works on', async () => {
      const queue = await store.open()
      const dead = next(queue, 'dead')
      const completed = next(queue, 'completed')
      let ran = 0
      queue.process(
        (job) => {
          if (job.payload === 'good') return
          ran++
          throw Object.assign(new TypeError(`bad ${job.attempt}`), { code: 'E_BAD' })
        },
        { maxAttempts: 3, backoff: soon },
      )

      await queue.enqueue('poison', { id: 'p' })
      await queue.enqueue('good')
      const [event] = await dead
      await completed

      expect(event).toMatchObject({ id: 'p', reason: 'max-attempts', attempt: 3 })
      const job = await queue.get('p')
      expect(job).toMatchObject({
        state: 'dead',
        reason: 'max-attempts',
        attempts: 3,
        payload: 'poison',
      })
      expect(
        job?.errors.map(({ attempt, name, message, code }) => [attempt, name, message, code]),
      ).toEqual([1, 2, 3].map((n) => [n, 'TypeError', `bad ${n}`, 'E_BAD']))
      expect(ran).toBe(3)
    })

    it('keeps the last ten errors of a job', async () => {
      const queue = await store.open()
      const dead = next(queue, 'dead')
      queue.process((job) => Promise.reject(new Error(`no ${job.attempt}`)), {
        maxAttempts: 12,
        backoff: soon,
      })

      await queue.enqueue(1, { id: 'a' })
      await dead

      const errors = (await queue.get('a'))?.errors ?? []
      expect(errors.map(({ message }) => message)).toEqual(
        Array.from({ length: 10 }, (_, n) => `no ${n + 3}`),
      )
    })

    it('gives up at once on what is not worth another try', async () => {
      const queue = await store.open()
      const dead = next(queue, 'dead')
      queue.process(() => Promise.reject(new RangeError('never')), {
        shouldRetry: (error) => !(error instanceof RangeError),
        backoff: soon,
      })

      await queue.enqueue(1, { id: 'a' })

      expect(await dead).toMatchObject([{ reason: 'not-retryable', attempt: 1 }])
      expect(await queue.get('a')).toMatchObject({ reason: 'not-retryable', attempts: 1 })
    })

    it.each([undefined, null, 'text', 7, Symbol('s'), Object.create(null)])(
      'survives a handler that throws %j',
      async (thrown) => {
        const queue = await store.open()
        const dead = next(queue, 'dead')
        queue.process(() => Promise.reject(thrown), { maxAttempts: 1 })

        await queue.enqueue(1, { id: 'a' })
        await dead

        expect((await queue.get('a'))?.errors).toHaveLength(1)
      },
    )

    it('survives hooks that throw', async () => {
      const queue = await store.open()
      const fail = (): never => {
        throw new Error('broken hook')
      }
      const dead = next(queue, 'dead')
      queue.process(fail, { maxAttempts: 1, shouldRetry: fail, shouldPostpone: fail })
      queue.subscribe(fail)

      await queue.enqueue(1)

      expect(await dead).toMatchObject([{ reason: 'max-attempts' }])
    })

    it('does not begin a job after its deadline, but sets it aside', async () => {
      const queue = await store.open()
      const dead = next(queue, 'dead')
      let ran = 0
      await queue.enqueue(1, { id: 'late', context: { deadline: Date.now() - 1 } })
      queue.process(() => void ran++)

      expect(await dead).toMatchObject([{ id: 'late', reason: 'expired' }])
      expect(await queue.get('late')).toMatchObject({ state: 'dead', attempts: 0 })
      expect(ran).toBe(0)
    })

    it('retries only as far as the budget goes', async () => {
      const queue = await store.open()
      const budget = retryBudget({ ratio: 0, minPerSecond: 0 })
      const postponed = next(queue, 'postponed')
      let ran = 0
      queue.process(
        () => {
          ran++
          throw new Error('down')
        },
        { backoff: soon, budget },
      )

      await queue.enqueue(1, { id: 'a' })

      expect(await postponed).toMatchObject([{ id: 'a', reason: 'budget' }])
      expect(ran).toBe(1)
    })

    it('counts an attempt before it is made', async () => {
      const queue = await store.open()
      const work = gate()
      const started = next(queue, 'started')
      queue.process(() => work.promise)
      await queue.enqueue(1, { id: 'a' })
      await started

      const record = await queue.get('a')
      work.open()

      expect(record).toMatchObject({ state: 'active', attempts: 1 })
    })

    it('requeues a dead job with all its attempts', async () => {
      const queue = await store.open()
      let isDown = true
      const dead = next(queue, 'dead')
      queue.process(() => (isDown ? Promise.reject(new Error('down')) : 'done'), {
        maxAttempts: 2,
        backoff: soon,
      })
      await queue.enqueue(1, { id: 'a' })
      await dead
      isDown = false
      const started = next(queue, 'started')
      const completed = next(queue, 'completed')

      expect(await queue.requeue('a')).toBe(true)
      expect(await started).toMatchObject([{ id: 'a', attempt: 1 }])
      await completed
      expect(await queue.requeue('a')).toBe(false)
      expect(await queue.requeue('nobody')).toBe(false)
    })
  })
}
