/**
 * Time and memory to work off a backlog: `npm run build && node bench/deferred-queue-drain.mjs [jobs]`.
 * Each subject in a process of its own, 100 jobs at a time, handlers that do nothing, every end synced to disk.
 * Needs Node.js 22.18 or later and `redis-server`.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [, , jobsText = '100000', only] = process.argv
const jobs = Number(jobsText)
const width = 100
const payload = { order: 4711, customer: 'c-1234', items: ['x'.repeat(100), 'y'.repeat(100)] }

const subjects = {
  holdfast,
  'holdfast-normal': () => holdfast('normal'),
  bullmq,
  'pg-boss': pgBoss,
}

if (only === undefined) {
  for (const subject of Object.keys(subjects)) await play(subject)
} else {
  await run(only)
  process.exit(0)
}

function play(subject) {
  const child = fork(fileURLToPath(import.meta.url), [jobsText, subject], {
    execArgv: ['--expose-gc'],
  })
  return new Promise((resolve) => child.on('exit', resolve))
}

async function run(subject) {
  const { fill, drain, stop } = await subjects[subject]()
  const filled = await timed(fill)
  globalThis.gc?.()
  const before = process.memoryUsage()
  let highest = before.rss
  const watch = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().rss)
  }, 20)
  const drained = await timed(drain)
  clearInterval(watch)
  const mb = (bytes) => `${Math.round(bytes / 1e6)} MB`
  const rate = (ms) => `${Math.round((jobs / ms) * 1_000).toLocaleString('en-US')}/s`
  console.log(
    `${subject.padEnd(16)} filled in ${(filled / 1_000).toFixed(1)} s (${rate(filled)}), drained in ${(drained / 1_000).toFixed(1)} s (${rate(drained)}), rss ${mb(before.rss)} before, ${mb(highest)} at most`,
  )
  await stop()
}

async function timed(work) {
  const from = performance.now()
  await work()
  return performance.now() - from
}

async function inChunks(size, add) {
  for (let n = 0; n < jobs; n += size) await add(Math.min(size, jobs - n))
}

async function holdfast(durability = 'full') {
  const { DatabaseSync } = await import('node:sqlite')
  const { sqliteQueue } = await import('../dist/adapters/sqlite/sqlite.js')
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-drain-'))
  const database = new DatabaseSync(join(folder, 'jobs.db'))
  const queue = sqliteQueue({ database, durability, maxSize: 1e9 })
  return {
    fill: () =>
      inChunks(1_000, (n) => Promise.all(Array.from({ length: n }, () => queue.enqueue(payload)))),
    drain: async () => {
      queue.process(() => {}, { maxConcurrent: width })
      while ((await queue.counts()).size > 0) await sleep(50)
    },
    stop: async () => {
      await queue.close()
      rmSync(folder, { recursive: true })
    },
  }
}

async function bullmq() {
  const { Queue, Worker } = await import('bullmq')
  const { startRedis } = await import('../test/support/redis-server.ts')
  const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  const connection = { host: '127.0.0.1', port: redis.port }
  const queue = new Queue('drain', { connection })
  return {
    fill: () =>
      inChunks(1_000, (n) =>
        queue.addBulk(Array.from({ length: n }, () => ({ name: 'job', data: payload }))),
      ),
    drain: () =>
      new Promise((resolve) => {
        let left = jobs
        const options = { connection, concurrency: width, removeOnComplete: { age: 86_400 } }
        const worker = new Worker('drain', async () => {}, options)
        worker.on('completed', () => --left === 0 && resolve())
      }),
    stop: () => redis.stop(),
  }
}

async function pgBoss() {
  const { PgBoss } = await import('pg-boss')
  const { startPostgres } = await import('../test/support/postgres-server.ts')
  const server = await startPostgres()
  const boss = new PgBoss(server.url)
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue('drain')
  return {
    fill: () =>
      inChunks(1_000, (n) =>
        boss.insert(
          'drain',
          Array.from({ length: n }, () => ({ data: payload })),
        ),
      ),
    drain: async () => {
      for (let left = jobs; left > 0; ) {
        const batch = await boss.fetch('drain', { batchSize: width })
        await boss.complete(
          'drain',
          batch.map(({ id }) => id),
        )
        left -= batch.length
      }
    },
    stop: async () => {
      await boss.stop({ graceful: false })
      await server.stop()
    },
  }
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
