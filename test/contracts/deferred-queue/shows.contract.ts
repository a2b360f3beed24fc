import { describe, expect, it } from 'vitest'
import { gate, rejection } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

export function showsJobs(start: StartStore): void {
  describe('shows its jobs: it', () => {
    const store = subject(start)

    it('starts empty', async () => {
      const queue = await store.open({ maxSize: 7 })

      expect(await queue.counts()).toEqual({
        waiting: 0,
        delayed: 0,
        blocked: 0,
        active: 0,
        dead: 0,
        completed: 0,
        size: 0,
        maxSize: 7,
      })
      expect(await queue.list()).toEqual({ jobs: [], next: undefined })
      expect(await queue.get('nobody')).toBeUndefined()
    })

    it('tells all of a job', async () => {
      const queue = await store.open()
      const before = Date.now()
      const context = { attempts: 2, trace: { id: 'x' } }
      await queue.enqueue({ n: 1 }, { id: 'a', key: 'k', delay: 60_000, context })

      const job = await queue.get('a')

      expect(job).toMatchObject({
        id: 'a',
        state: 'delayed',
        payload: { n: 1 },
        key: 'k',
        context,
        attempts: 0,
        errors: [],
        endedAt: undefined,
        reason: undefined,
      })
      expect(job?.enqueuedAt).toBeGreaterThanOrEqual(before)
      expect((job?.dueAt ?? 0) - (job?.enqueuedAt ?? 0)).toBe(60_000)
    })

    it('shows each job in the state that it is in, and counts them so', async () => {
      const queue = await store.open()
      const work = gate()
      const [done, dead, started] = [
        next(queue, 'completed', { id: 'done' }),
        next(queue, 'dead'),
        next(queue, 'started', { id: 'active' }),
      ]
      const worker = queue.process(
        (job) => {
          if (job.id === 'dead') throw new Error('no')
          return job.id === 'active' ? work.promise : 1
        },
        { maxAttempts: 1 },
      )
      await queue.enqueue(1, { id: 'done' })
      await queue.enqueue(1, { id: 'dead' })
      await queue.enqueue(1, { id: 'active' })
      await Promise.all([done, dead, started])
      worker.pause()
      await queue.enqueue(1, { id: 'waiting' })
      await queue.enqueue(1, { id: 'delayed', delay: 60_000, key: 'k' })
      await queue.enqueue(1, { id: 'blocked', key: 'k' })

      expect(await queue.counts()).toMatchObject({
        waiting: 1,
        delayed: 1,
        blocked: 1,
        active: 1,
        dead: 1,
        completed: 1,
        size: 5,
      })
      const states = ['waiting', 'delayed', 'blocked', 'active', 'dead', 'completed'] as const
      for (const state of states) {
        const { jobs } = await queue.list({ state })
        expect(jobs.map((job) => [job.id, job.state])).toEqual([
          [state === 'completed' ? 'done' : state, state],
        ])
      }
      const completed = await queue.get('done')
      expect(completed).toMatchObject({ payload: undefined, state: 'completed', reason: undefined })
      expect(completed?.endedAt).toBeGreaterThan(0)
      work.open()
    })

    it('lists in parts, each job once', async () => {
      const queue = await store.open()
      await Promise.all(
        Array.from({ length: 25 }, (_, n) =>
          queue.enqueue(n, { id: `job-${n}`, delay: n * 1_000 }),
        ),
      )
      const seen: string[] = []
      let after: string | undefined
      do {
        const part = await queue.list({ limit: 10, after })
        expect(part.jobs.length).toBeLessThanOrEqual(10)
        seen.push(...part.jobs.map(({ id }) => id))
        after = part.next
      } while (after !== undefined)

      expect(seen.length).toBe(25)
      expect(new Set(seen).size).toBe(25)
    })

    it('removes a job that nobody has, and none that somebody has', async () => {
      const queue = await store.open()
      const work = gate()
      await queue.enqueue(1, { id: 'waiting', delay: 60_000 })
      const [started, completed] = [next(queue, 'started'), next(queue, 'completed')]
      queue.process(() => work.promise)
      await queue.enqueue(1, { id: 'active' })
      await started

      expect(await queue.remove('waiting')).toBe(true)
      expect(await queue.remove('waiting')).toBe(false)
      expect(await queue.remove('active')).toBe(false)
      work.open()
      await completed
      expect(await queue.counts()).toMatchObject({ size: 0, completed: 1 })
      expect(await queue.remove('active')).toBe(true)
      expect(await queue.enqueue(1, { id: 'active', delay: 60_000 })).toMatchObject({
        duplicate: false,
      })
    })

    it('keeps queues of different names apart', async () => {
      const [one, two] = [await store.open({ name: 'one' }), await store.open({ name: 'two' })]
      await one.enqueue('of one', { id: 'same' })
      await two.enqueue('of two', { id: 'same' })
      const seen: unknown[] = []
      const completed = next(two, 'completed')

      two.process((job) => void seen.push(job.payload))
      await completed

      expect(seen).toEqual(['of two'])
      expect(await one.counts()).toMatchObject({ size: 1 })
    })

    it('refuses what is no id, and no way to list', async () => {
      const queue = await store.open()

      expect(String(await rejection(queue.get('')))).toMatch(/get: id must be/)
      expect(String(await rejection(queue.list({ limit: 0 })))).toMatch(/list: limit must be/)
      expect(String(await rejection(queue.list({ state: 'done' as never })))).toMatch(
        /state must be/,
      )
      expect(String(await rejection(queue.list({ after: 'page 2' })))).toMatch(/after must be/)
    })
  })
}
