import { describe, expect, it } from 'vitest'
import { circuitBreaker, pipeline, timeout } from '../../../src/index.ts'
import { gate, rejection } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

export function worksJobsOff(start: StartStore): void {
  describe('works jobs off: it', () => {
    const store = subject(start)

    it('runs each job once, first come first served', async () => {
      const queue = await store.open()
      for (let n = 0; n < 20; n++) await queue.enqueue(n)
      const seen: unknown[] = []
      const completed = next(queue, 'completed', { count: 20 })

      queue.process((job) => void seen.push(job.payload), { maxConcurrent: 1 })
      await completed

      expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n))
      expect(await queue.counts()).toMatchObject({ size: 0, active: 0, completed: 20 })
    })

    it('takes what comes while it works, and what another process enqueues', async () => {
      const [queue, other] = [await store.open(), await store.open()]
      const seen: unknown[] = []
      queue.process((job) => void seen.push(job.payload))

      const first = next(queue, 'completed')
      await queue.enqueue('own')
      await first
      const second = next(queue, 'completed')
      await other.enqueue('of the other')
      await second

      expect(seen).toEqual(['own', 'of the other'])
    })

    it('has never more than maxConcurrent jobs under way, and uses all it may', async () => {
      const queue = await store.open()
      let running = 0
      let most = 0
      const started = next(queue, 'started', { count: 3 })
      const work = gate()
      const worker = queue.process(
        async () => {
          most = Math.max(most, ++running)
          await work.promise
          running--
        },
        { maxConcurrent: 3 },
      )
      const completed = next(queue, 'completed', { count: 10 })
      await Promise.all(Array.from({ length: 10 }, (_, n) => queue.enqueue(n)))
      await started

      expect(worker.running).toBe(3)
      work.open()
      await completed
      expect(most).toBe(3)
    })

    it('gives each job to one of several workers of several processes', async () => {
      const queues = [await store.open(), await store.open(), await store.open()]
      const seen: unknown[] = []
      const done = gate()
      for (const queue of queues) {
        queue.process((job) => {
          seen.push(job.payload)
          if (seen.length === 60) done.open()
        })
      }
      const [first] = queues

      await Promise.all(Array.from({ length: 60 }, (_, n) => first?.enqueue(n)))
      await done.promise
      await Promise.all(queues.map((queue) => queue.close()))

      expect(seen.length).toBe(60)
      expect(new Set(seen).size).toBe(60)
    })

    it('begins a delayed job when its time has come, not before', async () => {
      const queue = await store.open()
      const seen: [unknown, number][] = []
      const completed = next(queue, 'completed', { count: 3 })
      queue.process((job) => void seen.push([job.payload, Date.now()]))
      const from = Date.now()

      await queue.enqueue('late', { delay: 1_500 })
      const dueAt = Date.now() + 1_800
      await queue.enqueue('later', { dueAt })
      await queue.enqueue('now')
      await completed

      expect(seen.map(([payload]) => payload)).toEqual(['now', 'late', 'later'])
      expect(seen[1]?.[1]).toBeGreaterThanOrEqual(from + 1_500)
      expect(seen[2]?.[1]).toBeGreaterThanOrEqual(dueAt)
    })

    it('hands over what the job brought along, and what a pipeline needs', async () => {
      const queue = await store.open()
      const deadline = Date.now() + 60_000
      const context = { deadline, attempts: 3, trace: { traceparent: '00-abc-def-01' } }
      await queue.enqueue({ order: 7 }, { id: 'order-7', key: 'customer-1', context })
      const completed = next(queue, 'completed')
      const orders = pipeline('orders', timeout(30_000))
      const seen: unknown[] = []

      queue.process(async (job) => {
        const { id, key, context, attempt, maxAttempts, errors } = job
        seen.push({ id, key, context, attempt, maxAttempts, errors })
        seen.push(await orders.execute(({ remaining }) => remaining <= 30_100, job))
        seen.push(job.deadline - performance.now() <= 60_000, job.signal.aborted)
      })
      await completed

      const [job, ...rest] = seen
      expect(job).toEqual({
        id: 'order-7',
        key: 'customer-1',
        context,
        attempt: 1,
        maxAttempts: 25,
        errors: [],
      })
      expect(rest).toEqual([true, true, false])
    })

    it('begins no more jobs per time than its rate allows', async () => {
      const queue = await store.open()
      const begun: number[] = []
      const completed = next(queue, 'completed', { count: 8 })
      await Promise.all(Array.from({ length: 8 }, (_, n) => queue.enqueue(n)))

      const from = performance.now()
      queue.process(() => void begun.push(performance.now()), {
        rateLimit: { limit: 20, interval: 1_000 },
      })
      await completed

      // The n-th not before n times 50 ms, less the slack of timers.
      for (const [n, at] of begun.entries()) expect(at - from).toBeGreaterThan(50 * n - 10)
    })

    it('takes nothing while it is not ready', async () => {
      const queue = await store.open()
      let isReady = false
      let asked = 0
      const enough = gate()
      const completed = next(queue, 'completed')
      await queue.enqueue(1)
      queue.process(() => {}, {
        ready: () => {
          if (++asked === 3) enough.open()
          return isReady || 20
        },
      })
      await enough.promise

      expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0 })
      isReady = true
      await completed
    })

    it('takes nothing while it is paused, queue or worker', async () => {
      const queue = await store.open()
      let begun = 0
      const worker = queue.process(() => void begun++)
      worker.pause()
      await queue.enqueue(1)
      await queue.enqueue(2, { delay: 1 })
      queue.pause()
      worker.resume()
      // What was asked of the store before the pause may still come, and goes back.
      while ((await queue.counts()).active > 0) await new Promise(setImmediate)
      expect(begun).toBe(0)
      expect(await queue.counts()).toMatchObject({ size: 2, active: 0 })

      const completed = next(queue, 'completed', { count: 2 })
      queue.resume()
      await completed
    })

    it('waits out an open circuit without counting attempts', async () => {
      const queue = await store.open()
      const breaker = circuitBreaker({ name: 'payment', failureThreshold: 1, resetTimeout: 200 })
      const postponed = next(queue, 'postponed', { count: 1 })
      const completed = next(queue, 'completed', { count: 3 })
      const attempts: number[] = []
      const down = (): Promise<never> => Promise.reject(new Error('down'))
      let isFirst = true
      queue.process(
        async (job) => {
          // Opened by whoever comes first: however slow the store is, that one finds it open.
          if (isFirst) {
            isFirst = false
            await breaker.execute(down).catch(() => {})
          }
          return breaker.execute(() => attempts.push(job.attempt), job)
        },
        { maxAttempts: 1 },
      )

      for (let n = 0; n < 3; n++) await queue.enqueue(n)
      const [first] = await postponed
      await completed

      expect(first).toMatchObject({ reason: 'rejected', error: { code: 'ERR_CIRCUIT_OPEN' } })
      expect(attempts).toEqual([1, 1, 1])
    })

    it('pauses as a whole while the circuit is open: one rejection is enough to know', async () => {
      const queue = await store.open()
      const breaker = circuitBreaker({ name: 'payment', failureThreshold: 1, resetTimeout: 400 })
      await breaker.execute(() => Promise.reject(new Error('down'))).catch(() => {})
      let begun = 0
      const completed = next(queue, 'completed', { count: 5 })
      for (let n = 0; n < 5; n++) await queue.enqueue(n)

      queue.process(
        (job) => {
          begun++
          return breaker.execute(() => 'done', job)
        },
        { maxConcurrent: 1 },
      )
      await completed

      expect(begun).toBeLessThanOrEqual(7)
    })

    it('refuses a handler that is none, and options that are wrong', async () => {
      const queue = await store.open()

      expect(() => queue.process(undefined as never)).toThrow(/handler must be a function/)
      expect(() => queue.process(() => {}, { maxConcurrent: 0 })).toThrow(/maxConcurrent/)
      expect(() => queue.process(() => {}, { leaseTime: 1 })).toThrow(/leaseTime/)
      expect(() => queue.process(() => {}, { rateLimit: { limit: 0, interval: 1 } })).toThrow(
        /rateLimit: limit/,
      )
    })

    it('takes nothing in once it is closed, and says so', async () => {
      const queue = await store.open()
      await queue.close()

      for (const use of [queue.enqueue(1), queue.counts(), queue.get('a'), queue.list()]) {
        expect(await rejection(use)).toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
      }
      expect(() => queue.process(() => {})).toThrow(/closed/)
    })
  })
}
