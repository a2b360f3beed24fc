/** What is idle keeps no process alive; whoever waits does; and nothing ends as an unhandled rejection. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bundle, bundle, runScript } from '../support/child.ts'
import { anyPostgres } from '../support/postgres-server.ts'

const bundles: Bundle[] = []
async function bundled(source?: string): Promise<Bundle> {
  const made = await bundle(source)
  bundles.push(made)
  return made
}
let library: Bundle
beforeAll(async () => {
  library = await bundled()
})
afterAll(() => Promise.all(bundles.map((one) => one.remove())))

async function run(script: string) {
  const { code, stdout, stderr, lingered } = await runScript(library, script)
  expect(stderr).toBe('')
  return { code, said: stdout.split('\n'), quick: lingered < 5_000 }
}

describe('an idle batcher', () => {
  it('with a cache, used and never closed, lets the process end', async () => {
    const script = `
      const users = holdfast.batcher(async (ids) => ids.map((id) => 'user ' + id), {
        maxWait: 60_000, maxBatchSize: 2, cache: { ttl: 60_000 },
      })
      tell((await Promise.all([users.load(1), users.load(2)])).join())`

    expect(await run(script)).toEqual({ code: 0, said: ['user 1,user 2'], quick: true })
  })

  it('keeps it alive while a key waits for its batch, and while the batch is under way', async () => {
    const script = `
      const slow = (ids) => new Promise((done) => setTimeout(done, 50, ids).unref())
      const users = holdfast.batcher(async (ids) => ids, { maxWait: 80, maxBatchSize: 10 })
      tell(await users.load(1))
      setTimeout(() => {}, 1_000)
      const others = holdfast.batcher(slow, { maxWait: 10 })
      tell(await others.load(2))`

    expect(await run(script)).toMatchObject({ code: 0, said: ['1', '2'] })
  })

  it('whose batch fails before its callers look leaves nothing unhandled that they handle', async () => {
    const script = `
      const users = holdfast.batcher(down)
      const calls = [users.load(1), users.load(1), users.load(2)]
      for (const { reason } of await Promise.allSettled(calls)) tell(reason)`

    expect(await run(script)).toMatchObject({ code: 0, said: ['down', 'down', 'down'] })
  })
})

describe('a limiter', () => {
  it('that has been used lets the process end', async () => {
    const script = `
      const limit = holdfast.limiter(1)
      tell((await Promise.all([1, 2, 3].map((n) => limit(async () => n)))).join())`

    expect(await run(script)).toEqual({ code: 0, said: ['1,2,3'], quick: true })
  })

  it('keeps it alive while somebody waits, until it says why nothing moves', async () => {
    const script = `
      const limit = holdfast.limiter(1, { stallTimeout: 50 })
      await limit(() => limit(() => 'never')).catch(tell)`

    expect(await run(script)).toEqual({ code: 0, said: ['ERR_LIMITER_FULL'], quick: true })
  })

  it('whose waiters have all gone lets the process end', async () => {
    const script = `
      const limit = holdfast.limiter(1)
      const caller = new AbortController()
      limit(hang)
      const call = limit(hang, { signal: caller.signal })
      caller.abort('gone')
      await call.catch(tell)`

    expect(await run(script)).toEqual({ code: 0, said: ['gone'], quick: true })
  })
})

describe('a map', () => {
  it('that stopped early leaves nothing behind and nothing unhandled', async () => {
    const script = `
      const fail = async (n) => { await null; throw new Error('item ' + n) }
      await holdfast.mapConcurrent([1, 2, 3, 4], fail, { concurrency: 4 }).catch(tell)
      for await (const n of holdfast.iterateConcurrent([1, 2, 3], async (n) => n)) { tell(n); break }`

    expect(await run(script)).toEqual({ code: 0, said: ['item 1', '1'], quick: true })
  })
})

describe('a pool', () => {
  it('whose server is down keeps the process alive only as long as somebody waits', async () => {
    const script = `
      const pool = holdfast.createPool({
        create: down, minSize: 2, createRetries: Infinity, acquireTimeout: 80, createBackoff: () => 60_000,
      })
      await pool.use(() => 'never').catch(tell)`

    expect(await run(script)).toEqual({ code: 0, said: ['ERR_ACQUIRE_TIMEOUT'], quick: true })
  })

  it('that hangs at everything has nothing unhandled and does not hold the process', async () => {
    const script = `
      const pool = holdfast.createPool({
        create: () => ({}), validate: hang, reset: hang, destroy: hang, cancel: hang,
        hookTimeout: 20, acquireTimeout: 5_000, maxSize: 1,
      })
      const caller = new AbortController()
      const call = pool.use(() => new Promise((done) => setTimeout(done, 30)), { signal: caller.signal })
      setTimeout(() => caller.abort('gone'), 10)
      await call.catch(tell)
      await pool.use(() => 'used').then(tell, tell)`

    expect(await run(script)).toMatchObject({ code: 0, said: ['gone', 'used'] })
  })
})

describe('a pool of PostgreSQL connections', () => {
  it('lets the process end when they are idle, and not while a statement runs', async () => {
    const server = await anyPostgres()
    try {
      const adapter = await bundled('src/adapters/postgres.ts')
      const script = `
        import pg from 'pg'
        const client = () => new pg.Client(${JSON.stringify(server.url)})
        const pool = holdfast.postgresPool({ client, maxSize: 2 })
        const sleep = (pool) => pool.use((one) => one.query('select pg_sleep(0.1)'))
        await Promise.all([sleep(pool), sleep(pool)])
        tell('slept')
        const closed = holdfast.postgresPool({ client })
        await sleep(closed)
        tell(JSON.stringify(await closed.close()))
        await sleep(pool)`

      const { code, stdout, stderr, lingered } = await runScript(adapter, script)

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout.split('\n')).toEqual(['slept', '{"forced":0,"errors":[]}'])
      expect(lingered).toBeLessThan(5_000)
    } finally {
      await server.stop()
    }
  })
})
