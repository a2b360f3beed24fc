import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import type { DeferredQueue } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { deferredQueueContract } from '../../../test/contracts/deferred-queue.contract.ts'
import { faulty } from '../../../test/support/faulty-sqlite.ts'
import { sqliteQueue } from './sqlite.ts'

deferredQueueContract('a SQLite file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-queue-'))
  const handles: InstanceType<typeof DatabaseSync>[] = []
  return {
    open: async (options) => {
      const database = new DatabaseSync(join(folder, 'jobs.db'))
      handles.push(database)
      return sqliteQueue({ database, pollInterval: 10, ...options })
    },
    remove: async () => {
      for (const handle of handles) handle.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
})

type Handle = InstanceType<typeof DatabaseSync>

describe('a queue on a handle', () => {
  const inMemory = (options: object = {}): DeferredQueue => {
    const database = new DatabaseSync(':memory:')
    return sqliteQueue({ database, pollInterval: 60_000, ...options })
  }

  it.each(['', 'orders\u0000', 'orders\ud800'])(
    'refuses the name %j, which a file would confuse with another',
    (name) => {
      expect(() => inMemory({ name })).toThrow(/sqliteQueue: name must be/)
    },
  )

  it('works on at once when it is resumed, without waiting for the next look', async () => {
    const clock = virtualClock()
    const queue = inMemory({ clock })
    const seen: unknown[] = []
    queue.process((job) => void seen.push(job.payload))
    await clock.advance(1)
    queue.pause()
    await queue.enqueue(1)
    await clock.advance(1_000)
    expect(seen).toEqual([])

    queue.resume()
    await clock.advance(0)
    expect(seen).toEqual([1])
    await queue.close()
  })

  it('lets another worker go on with a key at once, when the one that had its head takes no more', async () => {
    const clock = virtualClock()
    const queue = inMemory({ clock })
    const seen: string[] = []
    const one = queue.process(async (job) => {
      seen.push(`one: ${job.payload}`)
      await new Promise<void>((resolve) => clock.setTimer(resolve, 100))
    })
    await queue.enqueue('head', { key: 'k' })
    await clock.advance(1)
    one.pause()
    queue.process((job) => void seen.push(`two: ${job.payload}`))
    await queue.enqueue('next', { key: 'k' })
    await clock.advance(50)
    expect(seen).toEqual(['one: head'])

    await clock.advance(60)
    expect(seen).toEqual(['one: head', 'two: next'])
    await queue.close()
  })

  it('is shared by queues of different names, not twice by one, and frees the name when closed', async () => {
    const database = new DatabaseSync(':memory:')
    const [one, two] = [
      sqliteQueue({ database, name: 'one' }),
      sqliteQueue({ database, name: 'two' }),
    ]

    expect(() => sqliteQueue({ database, name: 'one' })).toThrow(/"one" is open on this handle/)
    expect(() => sqliteQueue({ database, name: 'three', durability: 'normal' })).toThrow(
      /durability must be 'full'/,
    )
    await one.enqueue(1)
    await one.close()
    const again = sqliteQueue({ database, name: 'one' })
    expect(await again.counts()).toMatchObject({ size: 1 })
    expect(await two.counts()).toMatchObject({ size: 0 })
    await Promise.all([again.close(), two.close()])
    database.close()
  })

  it('does not hold the event loop while another process has the write lock', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-lock-'))
    const [other, own] = [1, 2].map(() => new DatabaseSync(join(folder, 'jobs.db')))
    const queue = sqliteQueue({ database: own as Handle })
    other?.exec('BEGIN IMMEDIATE')
    let isStored = false
    const stored = queue.enqueue(1).then(() => {
      isStored = true
    })

    // The lock is held for many turns of the event loop, and each comes at once.
    for (let turn = 0; turn < 1_000; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isStored).toBe(false)
    other?.exec('COMMIT')
    await stored
    await queue.close()
    for (const handle of [other, own]) handle?.close()
    await rm(folder, { recursive: true })
  }, 4_000)

  it('commits together what is enqueued together', async () => {
    const real = new DatabaseSync(':memory:')
    const database = faulty(real)
    const queue = sqliteQueue({ database })
    let commits = 0
    database.fail = (sql) => {
      if (sql === 'COMMIT') commits++
      return undefined
    }

    await Promise.all(Array.from({ length: 500 }, (_, n) => queue.enqueue(n)))
    expect(commits).toBe(1)
    await queue.close()
    real.close()
  })

  it('refuses what is no handle, and options that are wrong', () => {
    const database = new DatabaseSync(':memory:')

    expect(() => sqliteQueue({ database: 'jobs.db' as never })).toThrow(
      /database must be an open SQLite database \(with exec, prepare\)/,
    )
    expect(() => sqliteQueue({ database, durability: 'fast' as never })).toThrow(/durability/)
    expect(() => sqliteQueue({ database, pollInterval: 0 })).toThrow(/pollInterval/)
    expect(() => sqliteQueue({ database, maxSise: 1 } as never)).toThrow(/did you mean "maxSize"/)
    database.close()
  })
})
