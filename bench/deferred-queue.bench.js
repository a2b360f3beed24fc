/**
 * Durable enqueues: each is on the disk when it is acknowledged. Wall time, because the disk is what is waited
 * for. SQLite: WAL, `synchronous = FULL`. Redis: `appendfsync always`. PostgreSQL: as installed, which syncs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { PgBoss } from 'pg-boss'
import { sqliteQueue } from '../dist/adapters/sqlite/sqlite.js'
import { available, postgres } from './servers/start.js'

const payload = { order: 4711, customer: 'c-1234', items: ['x'.repeat(100), 'y'.repeat(100)] }
const text = JSON.stringify(payload)

/** @type {Array<() => unknown>} */
let endings = []

async function setup() {
  const { DatabaseSync } = await import('node:sqlite')
  const { startRedis } = await import('../test/support/redis-server.ts')
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const open = (/** @type {string} */ name) => new DatabaseSync(join(folder, name))

  const raw = open('raw.db')
  raw.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE jobs (id INTEGER PRIMARY KEY, due REAL, payload TEXT)',
  )
  const insert = raw.prepare('INSERT INTO jobs (due, payload) VALUES (?, ?)')
  const commit = async () => insert.run(Date.now(), text).changes

  const full = sqliteQueue({ database: open('full.db'), maxSize: 1e9 })
  const normal = sqliteQueue({ database: open('normal.db'), maxSize: 1e9, durability: 'normal' })

  const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  const bull = new Queue('bench', { connection: { host: '127.0.0.1', port: redis.port } })
  await bull.waitUntilReady()

  const server = await postgres()
  const boss = new PgBoss(server.url)
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue('bench')

  endings = [
    () => full.close(),
    () => normal.close(),
    () => bull.close(),
    () => boss.stop({ graceful: false }),
    () => redis.stop(),
    () => server.stop(),
    () => rmSync(folder, { recursive: true, force: true }),
  ]
  return { commit, full, normal, bull, boss }
}

/**
 * @param {number} many
 * @returns {import('./harness/types.js').Work}
 */
const enqueues = (many) => ({
  id: `enqueue-${many}`,
  title: `durable enqueue, ${many === 1 ? 'one caller' : `${many.toLocaleString('en-US')} callers at once`}, wall time`,
  clock: 'wall',
  loop: 'together',
  ops: () => many,
  expect: (last) => last.length === many && last.every(Boolean),
  rounds: 7,
  sample: 100,
  setup: async () => {
    const { commit, full, normal, bull, boss } = await setup()
    return [
      { subject: 'bare', variant: 'one commit per row', call: 'commit()', scope: { commit, many } },
      {
        subject: 'holdfast',
        variant: "durability: 'normal'",
        call: 'queue.enqueue(payload)',
        scope: { queue: normal, payload, many },
      },
      {
        subject: 'bullmq',
        call: "queue.add('job', payload)",
        scope: { queue: bull, payload, many },
      },
      {
        subject: 'pg-boss',
        call: "boss.send('bench', payload)",
        scope: { boss, payload, many },
      },
      {
        subject: 'holdfast',
        call: 'queue.enqueue(payload)',
        scope: { queue: full, payload, many },
      },
    ]
  },
  teardown: async () => {
    for (const end of endings) await end()
  },
})

/** @type {import('./harness/types.js').Work[]} */
export const works = available ? [1, 10, 100, 1_000].map(enqueues) : []
