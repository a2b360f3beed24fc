/**
 * A process that enqueues and works off jobs of a SQLite queue, and writes down what happened to a file
 * outside: one line per write, appended, so that a killed process leaves what it knew.
 */
import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const options = JSON.parse(process.argv[2])
const {
  file,
  history,
  library,
  driver,
  producers,
  jobsEach,
  workers,
  leaseTime,
  work,
  drain,
  freezeAt,
} = options

const { sqliteQueue } = await import(library)
const { DatabaseSync } = await import(driver)
// On a machine that is busy with other things four processes may wait long for each other.
const busyTimeout = 60_000
const queue = sqliteQueue({ database: new DatabaseSync(file), pollInterval: 10, busyTimeout })
const log = openSync(history, 'a')
const note = (what, id, more = '') => writeSync(log, `${what} ${id} ${process.pid} ${more}\n`)

queue.subscribe((event) => {
  if (event.type === 'job' && event.change === 'completed') note('done', event.id)
  if (event.type === 'job' && event.change === 'lease-lost') note('lost', event.id)
})
let begun = 0
if (workers > 0) {
  queue.process(
    async (job) => {
      note('begin', job.id, job.attempt)
      if (++begun === freezeAt) {
        note('freeze', job.id)
        process.kill(process.pid, 'SIGSTOP')
      }
      await sleep(work * Math.random())
      note('end', job.id)
    },
    { maxConcurrent: workers, leaseTime, maxAttempts: 1_000_000, stopTimeout: 60_000 },
  )
}
process.stdout.write('ready\n')

async function produce(name) {
  for (let n = 0; n < jobsEach; n++) {
    const id = `${name}-${n}`
    const { duplicate } = await queue.enqueue({ id, text: 'x'.repeat(200) }, { id })
    note(duplicate ? 'again' : 'ack', id)
    // The same order a second time, as a caller does that has not heard of the first.
    if (n % 10 === 9) note('again', (await queue.enqueue({ id }, { id: `${name}-${n - 5}` })).id)
  }
}
await Promise.all(Array.from({ length: producers }, (_, n) => produce(`${options.name}-${n}`)))

if (drain) {
  while ((await queue.counts()).size > 0) await sleep(20)
  await queue.close()
  process.exit(0)
}
