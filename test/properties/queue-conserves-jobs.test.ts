/** Random histories of handlers, workers and processes: whatever happens, each job ends once, or is set aside. */
import { DatabaseSync } from '@photostructure/sqlite'
import fc from 'fast-check'
import { constant, type DeferredQueue, type JobWorker } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from './seed.ts'

const kinds = [
  'enqueue',
  'enqueue',
  'enqueue',
  'keyed',
  'advance',
  'advance',
  'advance',
  'stop',
  'pause',
  'resume',
  'worker',
] as const
type Step = readonly [kind: (typeof kinds)[number], choice: number]
const step: fc.Arbitrary<Step> = fc.tuple(fc.constantFrom(...kinds), fc.nat(1_000))
const shape = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 4 }),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  leaseTime: fc.constantFrom(100, 1_000),
  rate: fc.boolean(),
})

describe('a queue', () => {
  it('runs each job to one end, so many at a time, each key in order, in any history', async () => {
    await holds(
      fc.asyncProperty(
        shape,
        fc.array(step, { maxLength: 30 }),
        fc.nat(),
        async (given, history, dice) => {
          const clock = virtualClock()
          const random = seededRandom(dice)
          const database = new DatabaseSync(':memory:')
          const queue: DeferredQueue<number> = sqliteQueue({
            database,
            clock,
            random,
            pollInterval: 60_000,
          })
          const ends = new Map<string, string[]>()
          const begun: { id: string; key: string | undefined }[] = []
          const running = new Map<JobWorker, number>()
          const inHands = new Set<string>()
          const violations: string[] = []
          const fates = new Map<string, number>()
          queue.subscribe((event) => {
            if (event.type !== 'job') return
            if (event.change !== 'completed' && event.change !== 'dead') return
            ends.set(event.id, [...(ends.get(event.id) ?? []), event.change])
          })
          const { maxConcurrent, maxAttempts, leaseTime } = given
          const workers: JobWorker[] = []
          const addWorker = (): void => {
            const worker: JobWorker = queue.process(
              async (job) => {
                if (inHands.has(job.id)) violations.push(`${job.id} is run by two`)
                if (inHands.has(`key ${job.key}`)) violations.push(`${job.key} runs twice`)
                inHands.add(job.id)
                if (job.key !== undefined) inHands.add(`key ${job.key}`)
                begun.push({ id: job.id, key: job.key })
                running.set(worker, (running.get(worker) ?? 0) + 1)
                if ((running.get(worker) ?? 0) > maxConcurrent)
                  violations.push('too many at a time')
                try {
                  await new Promise<void>((resolve, reject) => {
                    const timer = clock.setTimer(resolve, 400 * random())
                    job.signal.addEventListener('abort', () => {
                      timer.cancel()
                      reject(job.signal.reason)
                    })
                  })
                } finally {
                  running.set(worker, (running.get(worker) ?? 0) - 1)
                  inHands.delete(job.id)
                  inHands.delete(`key ${job.key}`)
                }
                const fate = fates.get(job.id) ?? 0
                if (job.attempt <= fate) throw new Error(`attempt ${job.attempt} of ${job.id}`)
              },
              {
                maxConcurrent,
                maxAttempts,
                leaseTime,
                backoff: constant({ delay: 50, jitter: 0.5 }),
                stopTimeout: 100,
                ...(given.rate ? { rateLimit: { limit: 20, interval: 1_000 } } : {}),
              },
            )
            workers.push(worker)
          }
          addWorker()
          let made = 0
          for (const [kind, choice] of history) {
            const worker = workers[choice % workers.length]
            const id = `job-${made}`
            if (kind === 'enqueue' || kind === 'keyed') {
              made++
              fates.set(id, choice % 4)
              const key = kind === 'keyed' ? `key-${choice % 2}` : undefined
              await queue.enqueue(choice, { id, key, delay: key === undefined ? choice % 300 : 0 })
            } else if (kind === 'advance') await clock.advance(choice % 500)
            else if (kind === 'stop') void worker?.stop()
            else if (kind === 'pause') worker?.pause()
            else if (kind === 'resume') worker?.resume()
            else if (workers.length < 3) addWorker()
          }
          for (const worker of workers) worker.resume()
          addWorker()
          await clock.advance(60_000)

          for (let n = 0; n < made; n++) {
            const id = `job-${n}`
            const end = (fates.get(id) ?? 0) < maxAttempts ? 'completed' : 'dead'
            expect([id, ends.get(id)]).toEqual([id, [end]])
            expect(await queue.get(id)).toMatchObject({ state: end })
          }
          expect((await queue.counts()).size).toBe(
            [...ends.values()].flat().filter((end) => end === 'dead').length,
          )
          const orders = ['key-0', 'key-1'].map((key) =>
            firsts(begun.filter((one) => one.key === key)),
          )
          for (const order of orders) expect(order).toEqual([...order].sort((a, b) => a - b))
          const closed = queue.close()
          await clock.advance(5_000)
          expect(await closed).toEqual({ handedBack: 0, errors: [] })
          expect(violations).toEqual([])
          expect(clock.pending).toBe(0)
          database.close()
        },
      ),
    )
  }, 240_000)
})

/** The numbers of the jobs in the order in which each first began. */
function firsts(begun: readonly { readonly id: string }[]): number[] {
  return [...new Set(begun.map(({ id }) => Number(id.slice(4))))]
}
