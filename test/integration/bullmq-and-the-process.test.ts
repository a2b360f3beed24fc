/** A queue on BullMQ whose server is not there ends in time, and lets its process end. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../support/repository.ts'

/** Nobody listens there: it is the port of a service that is not installed anywhere any more. */
const nobody = 9

const ways: [way: string, connect: string][] = [
  ['options of ioredis', `({ connection: { host: '127.0.0.1', port: ${nobody} } })`],
  [
    'a node-redis client that never connects',
    `(() => {
      const connection = createClient({ url: 'redis://127.0.0.1:${nobody}' }).on('error', () => {})
      connection.connect().catch(() => {})
      setTimeout(() => connection.destroy(), 1_000)
      return { connection }
    })()`,
  ],
  [
    'options of pg',
    `({
      backend: bullmq.createPostgresBackend,
      connection: { host: '127.0.0.1', port: ${nobody}, user: 'nobody', database: 'none' },
    })`,
  ],
]

describe('a queue on BullMQ without a server', () => {
  let folder: string
  let url: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-bullmq-'))
    const outfile = join(folder, 'bullmq.mjs')
    const entryPoints = [join(root, 'src/adapters/bullmq/bullmq.ts')]
    await build({ entryPoints, outfile, bundle: true, format: 'esm', target: 'es2022' })
    url = pathToFileURL(outfile).href
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(ways)(
    'fails clearly, closes, and does not hold the process: with %s',
    async (_way, connect) => {
      const { code, told } = await run(`
      import * as bullmq from 'bullmq'
      import { createClient } from 'redis'
      import { bullmqQueue } from ${JSON.stringify(url)}
      const queue = bullmqQueue({ name: 'orders', bullmq, storeTimeout: 300, ...${connect} })
      queue.process(() => {})
      const error = await queue.enqueue(1).catch((thrown) => thrown)
      const began = performance.now()
      const { errors } = await queue.close()
      const closed = performance.now() - began < 10_000
      console.log(JSON.stringify({ code: error.code, message: error.message, errors, closed }))`)

      expect(code).toBe(0)
      expect(JSON.parse(told)).toMatchObject({ code: 'ERR_QUEUE_STORE', errors: [], closed: true })
      expect(told).toContain('ECONNREFUSED')
    },
    90_000,
  )
})

/** Runs a script in a process of its own, and kills it if it does not end. */
async function run(
  script: string,
): Promise<{ readonly code: number | null; readonly told: string }> {
  const options = { cwd: root, env: { ...process.env, NODE_OPTIONS: '' } }
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], options)
  const killer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  let told = ''
  child.stdout.on('data', (data) => {
    told += data
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearTimeout(killer)
  return { code, told: told.trim() }
}
