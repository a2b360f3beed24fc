import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { constant, type DeferredQueue } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom, type VirtualClock, virtualClock } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let folder: string
let clock: VirtualClock
let handles: InstanceType<typeof DatabaseSync>[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-steps-'))
  clock = virtualClock()
  handles = []
})
afterEach(() => {
  for (const handle of handles) handle.close()
  rmSync(folder, { recursive: true })
})

/** Each call is another process, with a handle of its own. */
function open(time: VirtualClock = clock): DeferredQueue {
  const database = new DatabaseSync(join(folder, 'jobs.db'))
  handles.push(database)
  return sqliteQueue({ database, clock: time, random: seededRandom(1) })
}

const never = (): Promise<void> => new Promise(() => {})
const hour = 3_600_000

describe('CP17 a step of the wall clock stops the line, or lets it run away', () => {
  it('does not take jobs from living workers when the clock jumps ahead', async () => {
    const [holder, other] = [open(), open()]
    const runs: string[] = []
    await holder.enqueue(1)
    holder.process(
      () => {
        runs.push('holder')
        return never()
      },
      { leaseTime: 30_000 },
    )
    await clock.advance(1)
    other.process(() => void runs.push('other'), { leaseTime: 30_000 })
    await clock.advance(100)

    clock.setWallTime(clock.wallTime() + hour)
    await other.enqueue(2)
    await clock.advance(120_000)

    expect(runs.filter((who) => who === 'holder')).toHaveLength(1)
    expect(runs).toHaveLength(2)
    await closed(holder, other)
  })

  it('begins what was enqueued or put off before the clock was set back, with its delay kept', async () => {
    const queue = open()
    const begun: [unknown, number][] = []
    await queue.enqueue('delayed', { delay: 5_000 })
    const worker = queue.process(
      (job) => {
        begun.push([job.payload, clock.now()])
        if (job.payload === 'retried' && job.attempt === 1) throw new Error('once more')
      },
      { backoff: constant({ delay: 2_000, jitter: 'none' }) },
    )
    await queue.enqueue('retried')
    await clock.advance(500)
    worker.pause()
    await queue.enqueue('waiting')

    clock.setWallTime(clock.wallTime() - hour)
    worker.resume()
    await clock.advance(10_000)

    expect(begun.map(([payload]) => payload)).toEqual(['retried', 'waiting', 'retried', 'delayed'])
    expect((begun[2]?.[1] ?? 0) < 3_500 && (begun[3]?.[1] ?? 0) < 6_500).toBe(true)
    await closed(queue)
  })

  it('gives the job of a dead worker to another although the clock was set back', async () => {
    const dead = open(virtualClock({ wallTime: clock.wallTime() }))
    await dead.enqueue(1)
    dead.process(never, { leaseTime: 10_000 })
    await new Promise(setImmediate)
    const heir = open()
    const begun: number[] = []
    heir.process((job) => void begun.push(job.attempt))
    await clock.advance(100)

    clock.setWallTime(clock.wallTime() - hour)
    await heir.enqueue('later', { delay: 60_000 })
    await clock.advance(25_000)

    expect(begun).toEqual([2])
    await closed(heir)
  })

  it('mends at the start what a clock set back meanwhile has left in the future', async () => {
    const before = open()
    await before.enqueue('waiting')
    await before.enqueue('delayed', { delay: 1_000 })
    const fixed = clock.wallTime() + 2_000
    await before.enqueue('at a moment', { dueAt: fixed })
    await closed(before)

    clock.setWallTime(clock.wallTime() - hour)
    const after = open()
    const begun: unknown[] = []
    after.process((job) => void begun.push(job.payload))
    await clock.advance(5_000)
    expect(begun).toEqual(['waiting', 'delayed'])
    await clock.advance(hour)
    expect(begun).toEqual(['waiting', 'delayed', 'at a moment'])
    await closed(after)
  })
})

async function closed(...queues: readonly DeferredQueue[]): Promise<void> {
  const all = Promise.all(queues.map((queue) => queue.close({ timeout: 0 })))
  await clock.advance(5_000)
  await all
}
