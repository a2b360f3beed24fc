import { DatabaseSync } from '@photostructure/sqlite'
import { constant, type DeferredQueue } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom, type VirtualClock, virtualClock } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FaultySqlite, faulty, sqliteError } from '../support/faulty-sqlite.ts'

let clock: VirtualClock
let real: InstanceType<typeof DatabaseSync>
let database: FaultySqlite
beforeEach(() => {
  clock = virtualClock()
  real = new DatabaseSync(':memory:')
  database = faulty(real)
})
afterEach(() => real.close())

function open(options: object = {}): DeferredQueue {
  return sqliteQueue({ database, clock, random: seededRandom(1), ...options })
}

/** Enqueues and works off five jobs while one call of SQLite fails, or several in a row. */
async function play(firstFailing: number, failures: number, errcode: number): Promise<void> {
  const queue = open()
  const from = database.calls + firstFailing
  database.fail = (sql, call) =>
    sql !== 'ROLLBACK' && call >= from && call < from + failures ? sqliteError(errcode) : undefined
  const completed: string[] = []
  const ran = new Map<string, number>()
  queue.subscribe((event) => {
    if (event.type === 'job' && event.change === 'completed') completed.push(event.id)
  })
  const worker = queue.process((job) => void ran.set(job.id, (ran.get(job.id) ?? 0) + 1), {
    backoff: constant({ delay: 10, jitter: 'none' }),
    leaseTime: 1_000,
  })
  const ids = ['a', 'b', 'c', 'd', 'e']
  const accepted: string[] = []
  const unknown: string[] = []
  for (const id of ids) {
    const asked = queue.enqueue({ id }, { id })
    asked.then(
      () => accepted.push(id),
      (error: { stored: string }) => error.stored === 'unknown' && unknown.push(id),
    )
    await clock.advance(7)
  }
  await clock.advance(20_000)
  const where = `call ${firstFailing}, ${failures} failures, code ${errcode}`

  expect(await queue.counts(), where).toMatchObject({ size: 0 })
  const done = [...completed].sort()
  expect(done, where).toEqual([...new Set(done)])
  expect(
    accepted.filter((id) => !done.includes(id)),
    where,
  ).toEqual([])
  const stored = done.filter((id) => !accepted.includes(id))
  expect(
    stored.filter((id) => !unknown.includes(id)),
    where,
  ).toEqual([])
  if (errcode === 5) expect(accepted, where).toEqual(ids)
  const stopped = worker.stop()
  await clock.advance(1_000)
  await stopped
  await queue.close()
  real.exec('DELETE FROM holdfast_jobs')
}

describe('DQ6 the disk is full, or a write fails', () => {
  it.each([
    ['full', 13],
    ['failing', 10],
    ['locked by another', 5],
  ])(
    'loses and repeats nothing while the disk is %s, wherever it begins',
    async (_what, code) => {
      for (let call = 0; call < 60; call++) {
        await play(call, 1, code)
        await play(call, 7, code)
      }
    },
    60_000,
  )

  it('refuses with advice, keeps nothing in memory, and tells once when it fails and once when it works', async () => {
    const queue = open()
    const told: string[] = []
    queue.subscribe((event) => event.type === 'queue-store' && told.push(event.change))
    queue.process(() => {})
    await clock.advance(1)
    database.fail = () => sqliteError(13, 'database or disk is full')

    for (let n = 0; n < 3; n++) {
      await expect(queue.enqueue(n)).rejects.toThrow(/enqueue failed.*disk is full.*make room/)
    }
    await clock.advance(30_000)
    expect(told).toEqual(['failed'])
    database.fail = undefined
    await clock.advance(10_000)

    expect(told).toEqual(['failed', 'recovered'])
    expect(await queue.counts()).toMatchObject({ size: 0, completed: 0 })
    const closed = queue.close()
    await clock.advance(1_000)
    await closed
  })
})

describe('RD13 a local promise waits for ever for a store that failed', () => {
  it('settles everything that was asked, for each operation', async () => {
    const queue = open({ busyTimeout: 50 })
    database.fail = () => sqliteError(5)
    const uses = [
      queue.enqueue(1),
      queue.counts(),
      queue.list(),
      queue.get('a'),
      queue.requeue('a'),
      queue.remove('a'),
    ]

    const ends = Promise.allSettled(uses)
    await clock.advance(200)

    for (const end of await ends) {
      expect(end).toMatchObject({ reason: { code: 'ERR_QUEUE_STORE', stored: 'no' } })
      expect(String((end as PromiseRejectedResult).reason)).toMatch(/holds the write lock/)
    }
    database.fail = undefined
    await queue.close()
  })

  it('waits for a transaction of the user on the same handle, and then goes on', async () => {
    const queue = open()
    real.exec('BEGIN')
    const accepted = queue.enqueue(1)
    await clock.advance(100)
    real.exec('COMMIT')
    await clock.advance(100)

    expect(await accepted).toMatchObject({ duplicate: false })
    await queue.close()
  })
})

describe('RD11 closing hangs when the store is down', () => {
  it('closes in bounded time with jobs that can neither be stored nor handed back', async () => {
    const queue = open()
    await queue.enqueue(1)
    queue.process(() => clock.advance(1).then(() => 'done'), { leaseTime: 60_000 })
    queue.process(() => new Promise(() => {}), { leaseTime: 60_000 })
    await clock.advance(1)
    database.fail = () => sqliteError(10)

    let closed: unknown
    void queue.close({ timeout: 500 }).then((report) => {
      closed = report
    })
    await clock.advance(5_000)

    expect(closed).toMatchObject({ errors: [] })
    expect(clock.pending).toBe(0)
  })
})
