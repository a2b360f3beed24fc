import { describe, expect, it } from 'vitest'
import { gate, rejection } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

export function stopsGracefully(start: StartStore): void {
  describe('stops gracefully: it', () => {
    const store = subject(start)

    it('waits for the jobs under way, and takes no more', async () => {
      const queue = await store.open()
      const work = gate()
      const started = next(queue, 'started')
      const completed = next(queue, 'completed')
      const worker = queue.process(() => work.promise, { maxConcurrent: 1 })
      await queue.enqueue(1)
      await queue.enqueue(2)
      await started
      const stopped = worker.stop()
      work.open()

      expect(await stopped).toEqual({ handedBack: 0 })
      await completed
      expect(worker.running).toBe(0)
      expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0, completed: 1 })
    })

    it('tells those that take too long, and stores the end of those that listen', async () => {
      const queue = await store.open()
      const started = next(queue, 'started')
      const completed = next(queue, 'completed')
      const worker = queue.process(
        (job) => new Promise((resolve) => job.signal.addEventListener('abort', resolve)),
      )
      await queue.enqueue(1)
      await started

      expect(await worker.stop({ timeout: 20 })).toEqual({ handedBack: 0 })
      await completed
    })

    it('hands back those that end by throwing when told, at once and without counting', async () => {
      const [queue, other] = [await store.open(), await store.open()]
      const [started, handedBack] = [next(queue, 'started'), next(queue, 'handed-back')]
      queue.process(
        (job) =>
          new Promise((_resolve, reject) =>
            job.signal.addEventListener('abort', () => reject(job.signal.reason)),
          ),
        { stopTimeout: 20, maxAttempts: 1 },
      )
      await queue.enqueue(1, { id: 'a' })
      await started

      expect(await queue.close()).toEqual({ handedBack: 1, errors: [] })
      expect(await handedBack).toMatchObject([{ id: 'a' }])
      const completed = next(other, 'completed')
      const again = next(other, 'started')
      other.process(() => {})
      expect(await again).toMatchObject([{ id: 'a', attempt: 1 }])
      await completed
    })

    it('hands back those that do not listen, and records nothing that they still do', async () => {
      const [queue, other] = [await store.open(), await store.open()]
      const [deaf, second] = [gate(), gate()]
      const started = next(queue, 'started')
      queue.process(() => deaf.promise)
      await queue.enqueue(1, { id: 'a' })
      await started

      expect(await queue.close({ timeout: 10 })).toMatchObject({ handedBack: 1 })
      const again = next(other, 'started')
      const completed = next(other, 'completed')
      other.process(() => second.promise)
      await again
      deaf.open()
      await new Promise((resolve) => setImmediate(resolve))
      expect(await other.get('a')).toMatchObject({ state: 'active' })
      second.open()
      await completed
    })

    it('stops by a signal, also one that is aborted already', async () => {
      const queue = await store.open()
      const controller = new AbortController()
      let ran = 0
      queue.process(() => void ran++, { signal: controller.signal })
      const completed = next(queue, 'completed')
      await queue.enqueue(1)
      await completed
      controller.abort()
      queue.process(() => void ran++, { signal: AbortSignal.abort() })
      await queue.enqueue(2)

      expect(await queue.close()).toMatchObject({ handedBack: 0, errors: [] })
      expect(ran).toBe(1)
    })

    it('stores what was being enqueued when it was closed, and has counted it', async () => {
      const [queue, other] = [await store.open({ maxSize: 2 }), await store.open({ maxSize: 2 })]
      const receipts = Promise.all([queue.enqueue(1, { id: 'a' }), queue.enqueue(2, { id: 'b' })])

      await queue.close()

      expect(await receipts).toMatchObject([{ id: 'a' }, { id: 'b' }])
      expect(await other.counts()).toMatchObject({ size: 2 })
      expect(await rejection(other.enqueue(3))).toMatchObject({ code: 'ERR_QUEUE_FULL', size: 2 })
    })

    it('may be closed twice, from everywhere', async () => {
      const queue = await store.open()
      const worker = queue.process(() => {})
      const [one, two, three] = await Promise.all([queue.close(), queue.close(), worker.stop()])

      expect(one).toBe(two)
      expect(three).toEqual({ handedBack: 0 })
      expect(await queue.close()).toBe(one)
    })

    it('may be closed from inside a job', async () => {
      const queue = await store.open()
      const closed = gate()
      const ended = next(queue, 'completed')
      queue.process(() => {
        void queue.close({ timeout: 5_000 }).then(() => closed.open())
      })
      await queue.enqueue(1)

      await closed.promise
      await ended
    })
  })
}
