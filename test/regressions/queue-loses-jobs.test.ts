import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { type Clock, constant, type DeferredQueue, type Job } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom, type VirtualClock, virtualClock } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { faulty, sqliteError } from '../support/faulty-sqlite.ts'

let folder: string
let clock: VirtualClock
let closing: (() => unknown)[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-regression-'))
  clock = virtualClock()
  closing = []
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
  rmSync(folder, { recursive: true })
})

function handle(): InstanceType<typeof DatabaseSync> {
  const database = new DatabaseSync(join(folder, 'jobs.db'))
  closing.push(() => database.close())
  return database
}

function memory(): InstanceType<typeof DatabaseSync> {
  const database = new DatabaseSync(':memory:')
  closing.push(() => database.close())
  return database
}

/** Each call is another process: a handle of its own. */
function open(options: object = {}): DeferredQueue {
  const queue = sqliteQueue({ database: handle(), clock, random: seededRandom(1), ...options })
  closing.push(() => {
    void queue.close({ timeout: 0 })
    return clock.advance(5_000)
  })
  return queue
}

const never = (): Promise<void> => new Promise(() => {})

describe('DQ1 killed between the steps, and the job is in progress for ever', () => {
  it('gives the jobs of a dead owner to another when its lease is over, not before', async () => {
    const dead = open({ clock: virtualClock() })
    const heir = open()
    const begun: number[] = []
    await dead.enqueue(1)
    dead.process(never, { leaseTime: 10_000 })
    await new Promise(setImmediate)

    heir.process((job) => void begun.push(job.attempt))
    await clock.advance(9_900)
    expect(begun).toEqual([])
    await clock.advance(200)
    expect(begun).toEqual([2])
    expect(await heir.counts()).toMatchObject({ completed: 1, active: 0 })
  })
})

describe('DQ2 acknowledged before it was written', () => {
  it('acknowledges nothing whose commit failed, and says that it may be there', async () => {
    const database = faulty(handle())
    const queue = open({ database })
    database.fail = (sql) => (sql === 'COMMIT' ? sqliteError(10, 'disk I/O error') : undefined)

    await expect(queue.enqueue(1, { id: 'a' })).rejects.toMatchObject({
      code: 'ERR_QUEUE_STORE',
      stored: 'unknown',
    })
    database.fail = undefined
    expect(await queue.enqueue(1, { id: 'a' })).toEqual({ id: 'a', duplicate: false })
  })

  it('syncs every commit, unless told that a crash of the machine may lose some', () => {
    const [full, normal] = [handle(), handle()]
    sqliteQueue({ database: full })
    sqliteQueue({ database: normal, durability: 'normal' })

    const levelOf = (one: typeof full): unknown => one.prepare('PRAGMA synchronous').get()
    expect(levelOf(full)).toMatchObject({ synchronous: 2 })
    expect(levelOf(normal)).toMatchObject({ synchronous: 1 })
    expect(full.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' })
  })
})

describe('DQ3 a poison message crashes its workers for ever', () => {
  it('has counted the attempt in the file when the handler begins', async () => {
    const queue = open()
    const other = handle()
    const stored: unknown[] = []
    await queue.enqueue(1)

    queue.process(() => {
      stored.push(other.prepare('SELECT attempts, state FROM holdfast_jobs').get())
    })
    await clock.advance(1)

    expect(stored).toMatchObject([{ attempts: 1, state: 1 }])
  })

  it('sets a job aside that took its process with it each time, and works off the others', async () => {
    const watcher = open()
    await watcher.enqueue('poison', { id: 'poison' })
    for (let life = 0; life < 3; life++) {
      const database = new DatabaseSync(join(folder, 'jobs.db'))
      const doomed = sqliteQueue({ database, clock: stoppedAt(clock) })
      doomed.process(never, { leaseTime: 1_000, maxAttempts: 3 })
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      database.close()
      await clock.advance(1_100)
    }
    await watcher.enqueue('good', { id: 'good' })
    const seen: unknown[] = []
    watcher.process((job) => void seen.push(job.payload), { maxAttempts: 3 })
    await clock.advance(10)

    expect(seen).toEqual(['good'])
    const poison = await watcher.get('poison')
    expect(poison).toMatchObject({ state: 'dead', reason: 'max-attempts', attempts: 3 })
    expect(poison?.errors.map(({ code }) => code)).toEqual(Array(3).fill('ERR_LEASE_LOST'))
  })
})

describe('DQ4 the lease is lost while the work goes on', () => {
  it('tells the handler when its lease could not be renewed in time, and records nothing of it', async () => {
    const database = faulty(handle())
    const queue = open({ database })
    const signals: AbortSignal[] = []
    const changes: string[] = []
    queue.subscribe((event) => {
      if (event.type === 'job' || event.type === 'queue-store') changes.push(event.change)
    })
    await queue.enqueue(1)
    const handler = (job: Job): Promise<void> => {
      signals.push(job.signal)
      return never()
    }
    queue.process(handler, { leaseTime: 1_000 })
    await clock.advance(1)
    database.fail = () => sqliteError(10)

    await clock.advance(900)
    expect(signals[0]?.aborted).toBe(false)
    await clock.advance(600)

    expect(signals[0]?.reason).toMatchObject({ code: 'ERR_LEASE_LOST' })
    expect(changes).toEqual(['enqueued', 'started', 'failed', 'lease-lost'])
  })
})

describe('DQ8 a backlog is replayed too fast', () => {
  it('begins no more per second than the rate, however long the line', async () => {
    const queue = open({ database: memory() })
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => queue.enqueue(n)))
    const begun: number[] = []

    queue.process(() => void begun.push(clock.now()), {
      rateLimit: { limit: 50, interval: 1_000 },
      maxConcurrent: 100,
    })
    await clock.advance(10_000)

    expect(begun.length).toBeGreaterThan(480)
    for (const from of begun) {
      const within = begun.filter((at) => at >= from && at < from + 1_000).length
      expect(within).toBeLessThanOrEqual(52)
    }
  })

  it('drops what nobody wants any more, with a reason, and does not lose it', async () => {
    const queue = open()
    const deadline = clock.wallTime() + 1_000
    await queue.enqueue('stale', { id: 'stale', context: { deadline } })
    await queue.enqueue('fresh')
    await clock.advance(2_000)
    const seen: unknown[] = []

    queue.process((job) => void seen.push(job.payload))
    await clock.advance(10)

    expect(seen).toEqual(['fresh'])
    expect(await queue.get('stale')).toMatchObject({
      state: 'dead',
      reason: 'expired',
      payload: 'stale',
    })
  })
})

describe('DQ9 an idempotency key is freed by the wrong job', () => {
  it('knows each id by itself, whatever happens to the others', async () => {
    const queue = open({ keepCompleted: 1_000 })
    await queue.enqueue(1, { id: 'a' })
    await queue.enqueue(1, { id: 'b' })
    await queue.remove('a')
    expect(await queue.enqueue(2, { id: 'b' })).toMatchObject({ duplicate: true })
    expect(await queue.enqueue(2, { id: 'a' })).toMatchObject({ duplicate: false })
    const worker = queue.process(() => {})
    await clock.advance(10)
    void worker.stop()
    await clock.advance(900)
    expect(await queue.enqueue(3, { id: 'a' })).toMatchObject({ duplicate: true })
    await clock.advance(200)

    const receipts = await Promise.all([1, 2, 3].map(() => queue.enqueue(4, { id: 'a' })))
    expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
  })
})

describe('RD5 a command is sent again, and counts twice', () => {
  it('stores a job once whose acknowledgement was lost, when it is enqueued again', async () => {
    const database = faulty(handle())
    const queue = open({ database })
    database.failAfter = (sql) => (sql === 'COMMIT' ? sqliteError(10) : undefined)
    await expect(queue.enqueue(1, { id: 'a' })).rejects.toMatchObject({ stored: 'unknown' })
    database.failAfter = undefined

    expect(await queue.enqueue(1, { id: 'a' })).toEqual({ id: 'a', duplicate: true })
    const ran: string[] = []
    queue.process((job) => void ran.push(job.id), { backoff: constant(1) })
    await clock.advance(100)
    expect(ran).toEqual(['a'])
  })
})

/** A clock that shows the same time, and whose timers never fire: of a process that is gone. */
function stoppedAt(source: VirtualClock): Clock {
  const gone = virtualClock()
  const setTimer: Clock['setTimer'] = (callback, delay) => gone.setTimer(callback, delay)
  return { now: () => source.now(), wallTime: () => source.wallTime(), setTimer }
}
