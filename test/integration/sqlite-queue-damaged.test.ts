/**
 * Files that were cut, disks that are full, rows that nobody can read: the queue opens or says clearly why
 * not, and gives whatever SQLite itself can still give.
 */
import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { DatabaseSync } from '@photostructure/sqlite'
import type { DeferredQueue } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { queueSite } from '../support/sqlite-queue.ts'

type Handle = InstanceType<typeof DatabaseSync>

let folder: string
let handles: Handle[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-damaged-'))
  handles = []
})
afterEach(async () => {
  for (const handle of handles) handle.close()
  await rm(folder, { recursive: true, force: true })
})

function handle(file: string): Handle {
  const database = new DatabaseSync(file)
  handles.push(database)
  return database
}

describe('a file that was cut', () => {
  it('opens or says why not, and gives every job that SQLite can still give', async () => {
    const { file, cuts } = await filled()
    const outcomes = { opened: 0, refused: 0, jobs: new Set<number>() }
    for (const [n, { part, length }] of cuts.entries()) {
      const [mine, theirs] = [join(folder, `mine-${n}.db`), join(folder, `theirs-${n}.db`)]
      for (const copy of [mine, theirs]) {
        await copyFile(file, copy)
        await copyFile(`${file}-wal`, `${copy}-wal`)
        await truncate(`${copy}${part}`, length)
      }
      const expected = idsBySqlite(theirs)
      const found = await idsByQueue(mine)

      if (found instanceof Error) {
        outcomes.refused++
        expect(found).toMatchObject({ code: 'ERR_QUEUE_STORE', stored: 'no' })
        expect(found.message).toMatch(/damaged|malformed|no SQLite database|not a database/)
      } else {
        outcomes.opened++
        outcomes.jobs.add(found.length)
        expect(found, `cut ${part} at ${length}`).toEqual(expected)
      }
    }
    console.log(
      `${outcomes.opened} opened with ${[...outcomes.jobs]} jobs, ${outcomes.refused} refused`,
    )
    expect(outcomes.opened).toBeGreaterThan(0)
    expect(outcomes.refused).toBeGreaterThan(0)
  })

  it('is not touched when it is refused', async () => {
    const file = join(folder, 'letter.txt')
    await writeFile(file, 'Dear all, this is no database. '.repeat(300))

    expect(() => sqliteQueue({ database: handle(file) })).toThrow(/no SQLite database/)
    expect((await stat(file)).size).toBe(31 * 300)
  })

  it('of a later version is refused by name', async () => {
    const file = join(folder, 'later.db')
    const database = handle(file)
    await sqliteQueue({ database }).close()
    database.exec('UPDATE holdfast_schema SET version = 99')

    expect(() => sqliteQueue({ database })).toThrow(/version 99, and this release knows version 1/)
  })
})

describe('a disk that is full', () => {
  it('refuses the job, keeps all that it accepted, and goes on when there is room', async () => {
    const database = handle(join(folder, 'full.db'))
    const queue = sqliteQueue({ database })
    database.exec('PRAGMA max_page_count = 60')
    const { accepted, error } = await fill(queue)
    expect(error).toMatchObject({ code: 'ERR_QUEUE_STORE', stored: 'no' })
    expect(String(error)).toMatch(/enqueue failed.*full.*nothing was stored.*make room/)
    expect(await queue.counts()).toMatchObject({ size: accepted.length })

    database.exec('PRAGMA max_page_count = 1000000')
    await queue.enqueue('more', { id: 'more' })
    expect(await queue.counts()).toMatchObject({ size: accepted.length + 1 })
    await queue.close()
  })

  it('loses none of many that are enqueued at once: each is stored, or refused', async () => {
    const database = handle(join(folder, 'full.db'))
    const queue = sqliteQueue({ database })
    database.exec('PRAGMA max_page_count = 60')
    const ids = Array.from({ length: 400 }, (_, n) => `job-${n}`)

    const ends = await Promise.allSettled(ids.map((id) => queue.enqueue('x'.repeat(1_000), { id })))

    const accepted = ids.filter((_, n) => ends[n]?.status === 'fulfilled')
    expect(accepted.length).toBeGreaterThan(0)
    expect(accepted.length).toBeLessThan(400)
    for (const id of ids) expect((await queue.get(id)) !== undefined).toBe(accepted.includes(id))
    expect(await queue.counts()).toMatchObject({ size: accepted.length })
    await queue.close()
  })

  it('that the system itself refuses to write to (a real limit on file size) loses nothing accepted', async () => {
    const site = await queueSite()
    const text = `
      import { openSync, writeSync } from 'node:fs'
      const { sqliteQueue } = await import(process.env.LIBRARY)
      const { DatabaseSync } = await import(process.env.DRIVER)
      const queue = sqliteQueue({ database: new DatabaseSync(process.env.FILE) })
      for (let n = 0; ; n++) {
        const id = 'job-' + n
        try {
          await queue.enqueue('x'.repeat(1_000), { id })
        } catch (error) {
          console.log(JSON.stringify({ accepted: n, code: error.code, message: error.message }))
          break
        }
      }`
    // 512-byte or 1,024-byte blocks, as the shell has it; XFSZ is ignored, so that a write fails with EFBIG.
    const command = `trap '' XFSZ; ulimit -f 800; exec "$NODE" --input-type=module --eval "$TEXT"`
    const env = { ...process.env, NODE_OPTIONS: '', NODE: process.execPath, TEXT: text }
    const { library, driver, file } = site
    const { stdout } = await promisify(execFile)('sh', ['-c', command], {
      env: { ...env, LIBRARY: library, DRIVER: driver, FILE: file },
    })
    const { accepted, code, message } = JSON.parse(stdout)
    expect({ code }).toEqual({ code: 'ERR_QUEUE_STORE' })
    expect(message).toMatch(/disk I\/O error|full/)
    expect(accepted).toBeGreaterThan(10)

    const found = await idsByQueue(file)
    const ids = Array.from({ length: accepted }, (_, n) => `job-${n}`)
    expect(found).toEqual(expect.arrayContaining(ids))
    await site.remove()
  })
})

describe('DQ5 rows that nobody can read', () => {
  it('are set aside with a reason, and hold nobody up', async () => {
    const database = handle(join(folder, 'rows.db'))
    const first = sqliteQueue({ database })
    for (let n = 0; n < 20; n++) await first.enqueue(n, { id: `job-${n}` })
    await first.close()
    const spoil = (id: number, change: string): void =>
      database.exec(`UPDATE holdfast_jobs SET ${change} WHERE id = 'job-${id}'`)
    spoil(3, `payload = '{"cut":'`)
    spoil(5, 'payload = NULL')
    spoil(7, `payload = x'00ff00'`)
    spoil(9, 'state = 77')
    spoil(11, `context = 'no JSON', errors = 'nor this'`)

    const queue = sqliteQueue({ database })
    const seen: unknown[] = []
    queue.process((job) => void seen.push(job.payload))
    while ((await queue.counts()).size > 4) await new Promise((resolve) => setImmediate(resolve))

    expect(seen).toEqual([0, 1, 2, 4, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    const { jobs } = await queue.list({ state: 'dead' })
    expect(jobs.map(({ id, reason }) => [id, reason])).toEqual(
      [3, 5, 7, 9].map((n) => [`job-${n}`, 'unreadable']),
    )
    await queue.close()
  })
})

describe('a key whose first job cannot be run any more', () => {
  it.each([
    ['cannot be read', "UPDATE holdfast_jobs SET state = 77 WHERE id = 'first'"],
    ['was deleted by hand', "DELETE FROM holdfast_jobs WHERE id = 'first'"],
  ])('is not blocked for ever when it %s', async (_what, spoil) => {
    const database = handle(join(folder, 'lanes.db'))
    const before = sqliteQueue({ database })
    for (const id of ['first', 'second', 'third']) await before.enqueue(id, { id, key: 'k' })
    await before.close()
    database.exec(spoil)

    const queue = sqliteQueue({ database })
    expect(await queue.counts()).toMatchObject({ waiting: 1, blocked: 1 })
    const seen: unknown[] = []
    queue.process((job) => void seen.push(job.payload), { maxConcurrent: 1 })
    while ((await queue.counts()).completed < 2) await new Promise(setImmediate)

    expect(seen).toEqual(['second', 'third'])
    await queue.close()
  })
})

/** A file with a checkpointed part and a part in its write-ahead log, and where to cut either. */
async function filled(): Promise<{ file: string; cuts: { part: '' | '-wal'; length: number }[] }> {
  const file = join(folder, 'jobs.db')
  const database = handle(file)
  const queue = sqliteQueue({ database })
  const text = 'x'.repeat(500)
  for (let n = 0; n < 100; n++) await queue.enqueue(text, { id: `old-${n}` })
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  for (let n = 0; n < 30; n++) await queue.enqueue(text, { id: `new-${n}` })
  const random = seededRandom(7)
  const [whole, log] = [(await stat(file)).size, (await stat(`${file}-wal`)).size]
  const cuts = Array.from({ length: 40 }, (_, n) => {
    const part = n % 2 === 0 ? ('' as const) : ('-wal' as const)
    return { part, length: Math.floor(random() * (part === '' ? whole : log)) }
  })
  return {
    file,
    cuts: [...cuts, { part: '', length: whole - 1 }, { part: '-wal', length: log - 1 }],
  }
}

function idsBySqlite(file: string): string[] {
  try {
    const rows = handle(file).prepare('SELECT id FROM holdfast_jobs ORDER BY seq').all()
    return (rows as { id: string }[]).map(({ id }) => id)
  } catch {
    return []
  }
}

async function idsByQueue(file: string): Promise<string[] | Error> {
  try {
    const queue = sqliteQueue({ database: handle(file) })
    const { jobs } = await queue.list({ limit: 1_000 })
    await queue.close()
    return jobs.map(({ id }) => id)
  } catch (error) {
    return error as Error
  }
}

async function fill(queue: DeferredQueue): Promise<{ accepted: string[]; error: unknown }> {
  const accepted: string[] = []
  for (;;) {
    try {
      accepted.push((await queue.enqueue('x'.repeat(1_000))).id)
    } catch (error) {
      return { accepted, error }
    }
  }
}
