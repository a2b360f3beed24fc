import { describe, expect, it } from 'vitest'
import { constant } from '../../../src/index.ts'
import { gate } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

const soon = constant({ delay: 30, jitter: 'none' })

export function keepsOrder(start: StartStore): void {
  describe('keeps the order of a key: it', () => {
    const store = subject(start)

    it('runs the jobs of a key one at a time, in order, and different keys side by side', async () => {
      const [queue, other] = [await store.open(), await store.open()]
      const seen: Record<string, number[]> = { a: [], b: [], c: [] }
      const running = new Map<string, number>()
      const overlaps: string[] = []
      const done = gate()
      let left = 45
      const handler = async (job: {
        readonly payload: unknown
        readonly key: string | undefined
      }): Promise<void> => {
        const key = job.key ?? ''
        if (running.get(key)) overlaps.push(key)
        running.set(key, 1)
        await new Promise((resolve) => setTimeout(resolve, 1))
        seen[key]?.push(job.payload as number)
        running.delete(key)
        if (--left === 0) done.open()
      }
      for (let n = 0; n < 15; n++)
        for (const key of ['a', 'b', 'c']) await queue.enqueue(n, { key })

      queue.process(handler)
      other.process(handler)
      await done.promise
      await Promise.all([queue.close(), other.close()])

      const inOrder = Array.from({ length: 15 }, (_, n) => n)
      expect(seen).toEqual({ a: inOrder, b: inOrder, c: inOrder })
      expect(overlaps).toEqual([])
    })

    it('holds back the rest of a key, and nobody else, while its head is tried again', async () => {
      const queue = await store.open()
      const seen: unknown[] = []
      const completed = next(queue, 'completed', { count: 4 })
      await queue.enqueue('a1', { key: 'a' })
      await queue.enqueue('a2', { key: 'a' })
      await queue.enqueue('b1', { key: 'b' })
      await queue.enqueue('free')

      queue.process(
        (job) => {
          // Not before the others are done, however slow the store is with them.
          const mustFail = job.attempt < 3 || seen.length < 2
          if (job.payload === 'a1' && mustFail) throw new Error('not yet')
          seen.push(job.payload)
        },
        { backoff: soon, maxConcurrent: 1, maxAttempts: 10_000 },
      )
      await completed

      expect(seen).toEqual(['b1', 'free', 'a1', 'a2'])
    })

    it('holds back the rest of a key while its head is delayed, and shows them as blocked', async () => {
      const queue = await store.open()
      await queue.enqueue('first', { key: 'a', delay: 1_500 })
      await queue.enqueue('second', { key: 'a' })
      expect(await queue.counts()).toMatchObject({ delayed: 1, blocked: 1, waiting: 0, size: 2 })
      const seen: unknown[] = []
      const completed = next(queue, 'completed', { count: 2 })

      queue.process((job) => void seen.push(job.payload))
      await completed

      expect(seen).toEqual(['first', 'second'])
    })

    it('goes on with the next of a key when its head is set aside', async () => {
      const queue = await store.open()
      const completed = next(queue, 'completed')
      const dead = next(queue, 'dead')
      queue.process((job) => (job.payload === 'bad' ? Promise.reject(new Error('no')) : 1), {
        maxAttempts: 1,
      })

      await queue.enqueue('bad', { key: 'a', id: 'bad' })
      await queue.enqueue('good', { key: 'a', id: 'good' })

      expect(await dead).toMatchObject([{ id: 'bad' }])
      expect(await completed).toMatchObject([{ id: 'good' }])
    })

    it('goes on with the next of a key when its head is removed, and not when another is', async () => {
      const queue = await store.open()
      await queue.enqueue(1, { key: 'a', id: 'head', delay: 60_000 })
      await queue.enqueue(2, { key: 'a', id: 'middle' })
      await queue.enqueue(3, { key: 'a', id: 'last' })
      const seen: unknown[] = []
      const completed = next(queue, 'completed')

      expect(await queue.remove('middle')).toBe(true)
      expect(await queue.counts()).toMatchObject({ delayed: 1, blocked: 1 })
      expect(await queue.remove('head')).toBe(true)
      queue.process((job) => void seen.push(job.payload))
      await completed

      expect(seen).toEqual([3])
    })

    it('puts a requeued job behind the others of its key', async () => {
      const queue = await store.open()
      let isDown = true
      const seen: unknown[] = []
      const worker = queue.process(
        () => {
          if (isDown) throw new Error('no')
        },
        { maxAttempts: 1 },
      )
      const dead = next(queue, 'dead')
      await queue.enqueue('old', { key: 'a', id: 'old' })
      await dead
      await worker.stop()
      isDown = false
      await queue.enqueue('new', { key: 'a' })
      await queue.requeue('old')
      const completed = next(queue, 'completed', { count: 2 })

      queue.process((job) => void seen.push(job.payload))
      await completed

      expect(seen).toEqual(['new', 'old'])
    })
  })
}
