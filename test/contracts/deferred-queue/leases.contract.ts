import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../../src/index.ts'
import { gate } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

export function keepsLeases(start: StartStore): void {
  describe('keeps leases: it', () => {
    const store = subject(start)

    it('keeps a job that takes longer than its lease, by renewing', async () => {
      const [queue, other] = [await store.open(), await store.open()]
      const runs: string[] = []
      const completed = next(queue, 'completed')
      await queue.enqueue(1)
      const started = next(queue, 'started')
      // Long enough for a machine that is busy with other things to renew in time.
      const slow = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3_500))
      queue.process(
        () => {
          runs.push('one')
          return slow()
        },
        { leaseTime: 1_500 },
      )
      await started
      other.process(() => void runs.push('other'), { leaseTime: 1_500 })
      await completed

      expect(runs).toEqual(['one'])
    })

    it('gives the job of a worker that shows no sign of life to another, and refuses its end', async () => {
      const stuck = standingClock()
      const [queue, other] = [await store.open({ clock: stuck.clock }), await store.open()]
      const [first, second] = [gate(), gate()]
      const started = next(queue, 'started')
      const lost = next(queue, 'lease-lost')
      const seen: unknown[] = []
      queue.process(() => first.promise, { leaseTime: 800 })
      await queue.enqueue(1, { id: 'a' })
      await started
      stuck.stop()
      queue.pause()

      const takenOver = next(other, 'started')
      const completed = next(other, 'completed')
      other.process((job) => {
        seen.push(
          job.attempt,
          job.errors.map(({ code }) => code),
        )
        return second.promise
      })
      await takenOver
      first.open()
      expect(await lost).toMatchObject([{ id: 'a', attempt: 1 }])
      expect(await other.get('a')).toMatchObject({ state: 'active', attempts: 2 })
      second.open()
      await completed

      expect(seen).toEqual([2, ['ERR_LEASE_LOST']])
      expect(await other.counts()).toMatchObject({ size: 0, completed: 1 })
    })

    it('lets the job of a dead worker be removed when its lease is over, though nobody works', async () => {
      const dead = standingClock()
      const [queue, other] = [await store.open({ clock: dead.clock }), await store.open()]
      const started = next(queue, 'started')
      const work = gate()
      queue.process(() => work.promise, { leaseTime: 500 })
      await queue.enqueue(1, { id: 'a', key: 'k' })
      await queue.enqueue(2, { id: 'b', key: 'k' })
      await started
      const isHeld = !(await other.remove('a'))
      dead.stop()
      queue.pause()

      // A machine that stood still for the whole lease has seen it end.
      while (isHeld && !(await other.remove('a'))) await new Promise(setImmediate)

      expect(await other.get('a')).toBeUndefined()
      expect(await other.counts()).toMatchObject({ active: 0, size: 1 })
      const completed = next(other, 'completed', { id: 'b' })
      other.process(() => {})
      await completed
      work.open()
    }, 20_000)

    it('tells a handler by its signal that its lease is lost', async () => {
      const stuck = standingClock()
      const [queue, other] = [await store.open({ clock: stuck.clock }), await store.open()]
      const done = gate()
      const started = next(queue, 'started')
      const reasons: unknown[] = []
      queue.process(
        (job) =>
          new Promise<void>((resolve) => {
            job.signal.addEventListener('abort', () => {
              reasons.push(job.signal.reason)
              resolve()
            })
          }),
        { leaseTime: 800 },
      )
      await queue.enqueue(1, { id: 'a' })
      await started
      stuck.stop()
      queue.pause()
      const takenOver = next(other, 'started')
      other.process(() => done.promise)
      await takenOver
      const lost = next(queue, 'lease-lost')

      stuck.go()
      await lost
      done.open()

      expect(reasons).toMatchObject([{ code: 'ERR_LEASE_LOST', id: 'a' }])
    })

    it('sets a job aside that was lost with its worker too often, without running it again', async () => {
      const stuck = standingClock()
      const [queue, other] = [await store.open({ clock: stuck.clock }), await store.open()]
      const [never, started, dead] = [gate(), next(queue, 'started'), next(other, 'dead')]
      queue.process(() => never.promise, { leaseTime: 800 })
      await queue.enqueue('poison', { id: 'a' })
      await started
      stuck.stop()
      queue.pause()
      let ran = 0
      other.process(() => void ran++, { maxAttempts: 1 })

      const events = await dead
      never.open()
      expect(events).toMatchObject([{ id: 'a', reason: 'max-attempts' }])
      expect(await other.get('a')).toMatchObject({
        attempts: 1,
        errors: [{ code: 'ERR_LEASE_LOST' }],
      })
      expect(ran).toBe(0)
    })
  })
}

/** The machine's clock, whose timers can be made to stand still, as those of a process that hangs do. */
function standingClock(): { readonly clock: Clock; stop(): void; go(): void } {
  let stands = false
  let waiting: (() => void)[] = []
  const clock: Clock = {
    now: () => systemClock.now(),
    wallTime: () => systemClock.wallTime(),
    defer: (callback) => systemClock.defer?.(callback),
    setTimer: (callback, delay) =>
      systemClock.setTimer(() => {
        if (stands) waiting.push(callback)
        else callback()
      }, delay),
  }
  return {
    clock,
    stop: () => {
      stands = true
    },
    go: () => {
      stands = false
      const due = waiting
      waiting = []
      for (const callback of due) callback()
    },
  }
}
