/** What a queue holds of the process that made it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type QueueSite, queueSite } from '../support/sqlite-queue.ts'

let site: QueueSite
beforeEach(async () => {
  site = await queueSite()
})
afterEach(() => site.remove())

/** Runs a module that has a `queue`; killed, and failed, after half a minute. */
async function run(text: string): Promise<string> {
  const script = `
    const { sqliteQueue } = await import(${JSON.stringify(site.library)})
    const { DatabaseSync } = await import(${JSON.stringify(site.driver)})
    const database = new DatabaseSync(${JSON.stringify(site.file)})
    const queue = sqliteQueue({ database })
    ${text}`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { timeout: 30_000, killSignal: 'SIGKILL', env: { ...process.env, NODE_OPTIONS: '' } },
  )
  return stdout.trim()
}

describe('a queue in a SQLite file', () => {
  it('lets the process end, also if it is never closed', async () => {
    expect(await run(`console.log((await queue.enqueue(1, { id: 'a' })).id)`)).toBe('a')
  })

  it('keeps the process alive while somebody waits for an acknowledgement', async () => {
    expect(await run(`queue.enqueue(1).then(() => console.log('stored'))`)).toBe('stored')
  })

  it('keeps the process alive while a worker waits for jobs, until it is stopped', async () => {
    const text = `
      const worker = queue.process((job) => {
        console.log('ran ' + job.payload)
        worker.stop().then(() => console.log('stopped'))
      })
      queue.enqueue('late', { delay: 300 })`
    expect(await run(text)).toBe('ran late\nstopped')
  })

  it('lets the process end after close, with jobs left for the next', async () => {
    const text = `
      queue.process((job) => console.log('ran ' + job.payload))
      await queue.enqueue('late', { delay: 60_000 })
      console.log(JSON.stringify(await queue.close()))`
    expect(await run(text)).toBe('{"handedBack":0,"errors":[]}')
  })
})
