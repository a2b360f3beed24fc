import { DatabaseSync } from '@photostructure/sqlite'
import type { DeferredQueue, JobWorker } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom, type VirtualClock, virtualClock } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FaultySqlite, faulty, sqliteError } from '../support/faulty-sqlite.ts'

let clock: VirtualClock
let real: InstanceType<typeof DatabaseSync>
let database: FaultySqlite
let queue: DeferredQueue
beforeEach(() => {
  clock = virtualClock()
  real = new DatabaseSync(':memory:')
  database = faulty(real)
  queue = sqliteQueue({ database, clock, random: seededRandom(1) })
})
afterEach(() => real.close())

const never = (): Promise<void> => new Promise(() => {})

describe('a job is taken when its worker has stopped, because the lock of the file was slow to come', () => {
  const isLocked = (sql: string): Error | undefined =>
    sql === 'BEGIN IMMEDIATE' ? sqliteError(5) : undefined

  it('is handed back before the queue is closed, not left until its lease runs out', async () => {
    await queue.close()
    // Real time: the turns of the event loop are what it is about.
    queue = sqliteQueue({ database })
    await queue.enqueue(1, { id: 'a' })
    const worker = queue.process(never)
    database.fail = isLocked
    await new Promise(setImmediate)
    expect(await worker.stop({ timeout: 0 })).toEqual({ handedBack: 0 })
    const closed = queue.close()
    database.fail = undefined
    await closed
    // As whoever closes his handle now.
    database.fail = () => sqliteError(21)

    const [job] = real.prepare('SELECT state, attempts FROM holdfast_jobs').all()
    expect({ ...job }).toEqual({ state: 0, attempts: 0 })
  })

  it('is not told of for ever to a store that does not answer any more', async () => {
    await queue.enqueue(1, { id: 'a' })
    const worker = queue.process(never)
    database.fail = isLocked
    await clock.advance(1)
    const stopped = worker.stop({ timeout: 0 })
    await clock.advance(2_000)
    expect(await stopped).toEqual({ handedBack: 0 })
    let taken = false
    database.fail = (sql) => {
      const isOver = taken
      taken ||= sql === 'COMMIT'
      return isOver ? sqliteError(10) : undefined
    }
    const closed = queue.close()
    await clock.advance(2_000)
    await closed

    expect(taken).toBe(true)
    expect(clock.pending).toBe(0)
  })
})

describe('a stop that may take for ever holds up whoever cannot wait', () => {
  it.each([
    ['worker.stop', (worker: JobWorker) => worker.stop({ timeout: Number.POSITIVE_INFINITY })],
    ['a first close', () => queue.close({ timeout: Number.POSITIVE_INFINITY })],
  ])('lets the shortest limit count, after %s too', async (_what, begin) => {
    await queue.enqueue(1)
    const worker = queue.process(never)
    await clock.advance(1)
    void begin(worker)
    await clock.advance(60_000)

    let report: unknown
    void queue.close({ timeout: 100 }).then((closed) => {
      report = closed
    })
    await clock.advance(1_200)

    expect(report).toEqual({ handedBack: 1, errors: [] })
    expect(clock.pending).toBe(0)
  })

  it('does not let a longer limit count that comes later', async () => {
    await queue.enqueue(1)
    const worker = queue.process(never)
    await clock.advance(1)
    const stopped = worker.stop({ timeout: 10 })
    void worker.stop({ timeout: 100_000 })
    await clock.advance(1_100)

    expect(await stopped).toEqual({ handedBack: 1 })
    await queue.close()
  })
})
