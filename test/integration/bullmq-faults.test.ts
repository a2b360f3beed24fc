/**
 * Servers that die, freeze or are cut off while jobs are accepted and worked off: nothing that was
 * acknowledged is lost, errors say what happened, and everything goes on by itself.
 */
import * as bullmq from 'bullmq'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bullmqQueue } from '../../src/adapters/bullmq/bullmq.ts'
import type { DeferredQueue } from '../../src/index.ts'
import { next } from '../contracts/deferred-queue/subject.ts'
import { rejection } from '../support/calls.ts'
import { type FaultProxy, faultProxy } from '../support/fault-proxy.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { hasRedis, startRedis } from '../support/redis-server.ts'

interface Server {
  readonly url: string
  readonly port: number
  restart(): Promise<void>
  pause(): void
  resume(): void
  stop(): Promise<void>
}

/** A way to reach a server: makes the options of one process, and lets go of what it made. */
interface Way {
  /** How long a step may take: short against the faults, long against a busy machine. */
  readonly storeTimeout: number
  readonly start: () => Promise<Server>
  readonly connect: (
    url: string,
    storeTimeout: number,
  ) => Promise<{
    readonly options: { readonly connection: unknown; readonly backend?: unknown }
    close(): void
  }>
}

const ioredis: Way = {
  storeTimeout: 500,
  start: () => startRedis(),
  connect: async (url) => {
    const connection = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    connection.on('error', () => {})
    return { options: { connection }, close: () => connection.disconnect() }
  },
}

const nodeRedis: Way = {
  storeTimeout: 500,
  start: () => startRedis(),
  connect: async (url) => {
    const connection = createClient({ url, socket: { reconnectStrategy: 50 } })
    connection.on('error', () => {})
    await connection.connect()
    return { options: { connection }, close: () => connection.destroy() }
  },
}

const postgres: Way = {
  storeTimeout: 2_000,
  start: () => startPostgres(),
  connect: async (url, connectionTimeoutMillis) => {
    const connection = {
      connectionString: url,
      max: 4,
      migrate: true,
      connectionTimeoutMillis,
    }
    return { options: { connection, backend: bullmq.createPostgresBackend }, close: () => {} }
  },
}

describe.skipIf(!hasRedis())('BullMQ on a Redis that fails, with ioredis', () => survives(ioredis))
describe.skipIf(!hasRedis())('BullMQ on a Redis that fails, with node-redis', () =>
  survives(nodeRedis),
)
describe('BullMQ on a PostgreSQL that fails', () => survives(postgres))

let names = 0

function survives(way: Way): void {
  let storeTimeout: number
  let server: Server
  let proxy: FaultProxy
  let closings: (() => unknown)[]
  beforeEach(async () => {
    const began = performance.now()
    server = await way.start()
    // A machine on which the start takes that long is slow with each step, too.
    const took = Math.round(performance.now() - began)
    storeTimeout = Math.min(Math.max(way.storeTimeout, took), 8_000)
    proxy = await faultProxy(server.port)
    closings = []
  })
  afterEach(async () => {
    server.resume()
    for (const close of closings.reverse()) await close()
    await proxy.close()
    await server.stop()
  })

  const open = async (name: string): Promise<DeferredQueue<number>> => {
    const { options, close } = await way.connect(
      server.url.replace(`${server.port}`, `${proxy.port}`),
      storeTimeout,
    )
    const queue = bullmqQueue<number>({ ...options, name, bullmq, storeTimeout })
    closings.push(close, () => queue.close({ timeout: 0 }))
    return queue
  }

  /** Enqueues without a pause while `disturb` goes on, works off beside it, and tells what became of it all. */
  const workThrough = async (disturb: () => Promise<void>) => {
    const name = `faults-${++names}`
    const [source, sink] = [await open(name), await open(name)]
    const [acknowledged, ran] = [new Set<string>(), new Map<string, number>()]
    const errors: unknown[] = []
    let isOver = false
    sink.process((job) => void ran.set(job.id, (ran.get(job.id) ?? 0) + 1), { leaseTime: 1_000 })
    const enqueueAll = async (lane: number): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        const id = `${lane}-${n}`
        // As a caller does who wants to be sure: with the same id until it is acknowledged.
        for (;;) {
          try {
            await source.enqueue(n, { id, ...(lane === 0 ? { key: 'in order' } : {}) })
            break
          } catch (error) {
            errors.push(error)
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
        acknowledged.add(id)
      }
    }
    const enqueueing = Promise.all([0, 1, 2, 3].map(enqueueAll))
    while (acknowledged.size < 20) await new Promise(setImmediate)
    await disturb()
    const before = acknowledged.size
    while (acknowledged.size < before + 20) await new Promise((resolve) => setTimeout(resolve, 5))
    isOver = true
    await enqueueing
    const patience = Date.now() + 60_000
    const missing = (): string[] => [...acknowledged].filter((id) => !ran.has(id))
    while (missing().length > 0 && Date.now() < patience) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return { missing: missing(), acknowledged, ran, errors }
  }

  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

  it('loses nothing acknowledged when the server is killed and started again', async () => {
    const { missing, errors } = await workThrough(async () => {
      await server.restart()
      await wait(100)
      await server.restart()
    })

    expect(missing).toEqual([])
    expect(new Set(errors.map((error) => (error as { code?: string }).code))).toEqual(
      new Set(errors.length === 0 ? [] : ['ERR_QUEUE_STORE']),
    )
  }, 120_000)

  it('loses nothing acknowledged when the server freezes, and says so in time', async () => {
    const { missing, errors } = await workThrough(async () => {
      server.pause()
      await wait(storeTimeout + 1_000)
      server.resume()
    })

    expect(missing).toEqual([])
    expect(errors.length).toBeGreaterThan(0)
    expect(errors).toEqual(errors.map(() => expect.objectContaining({ code: 'ERR_QUEUE_STORE' })))
    expect(String(errors[0])).toContain(`no answer within ${storeTimeout} ms`)
  }, 120_000)

  it('loses nothing acknowledged when connections are reset, also after what was asked was done', async () => {
    const { missing } = await workThrough(async () => {
      for (let n = 0; n < 5; n++) {
        proxy.reset()
        await wait(50)
        proxy.resetOnAnswer = true
        await wait(50)
        proxy.resetOnAnswer = false
        await wait(200)
      }
    })

    expect(missing).toEqual([])
  }, 120_000)

  it('loses nothing acknowledged when the network swallows everything for a while', async () => {
    const { missing, errors } = await workThrough(async () => {
      proxy.blackHole = true
      await wait(storeTimeout + 1_000)
      proxy.blackHole = false
      // A network that swallowed something has lost the connection.
      proxy.reset()
    })

    expect(missing).toEqual([])
    expect(errors.length).toBeGreaterThan(0)
  }, 120_000)

  it('tells once that the store fails and once that it works again, and takes jobs by itself', async () => {
    const queue = await open(`faults-${++names}`)
    const seen: string[] = []
    queue.subscribe((event) => {
      if (event.type === 'queue-store') seen.push(event.change)
    })
    const ran: number[] = []
    queue.process((job) => void ran.push(job.payload), { leaseTime: 1_000 })
    while (!(await queue.enqueue(1, { id: 'one' }).catch(() => false))) await wait(20)
    while (ran.length < 1) await wait(5)
    seen.length = 0

    server.pause()
    const errors: unknown[] = []
    while (errors.length < 3) errors.push(await rejection(queue.enqueue(2, { id: 'two' })))
    while (seen.at(-1) !== 'failed') await wait(5)
    const whileDown = seen.at(-1)
    server.resume()
    while (!seen.includes('recovered')) await wait(5)
    // A machine that is busy may let a first step after the pause fail too: that is told again, in turn.
    while (!(await queue.enqueue(2, { id: 'two' }).catch(() => false))) await wait(20)
    while (!ran.includes(2) || seen.at(-1) === 'failed') await wait(5)

    for (const error of errors) expect(error).toMatchObject({ code: 'ERR_QUEUE_STORE' })
    expect(whileDown).toBe('failed')
    expect(seen).toEqual(seen.map((_, i) => (i % 2 === 0 ? 'failed' : 'recovered')))
    expect([...new Set(ran)]).toEqual([1, 2])
  }, 120_000)

  it('closes in time while the server does not answer', async () => {
    const queue = await open(`faults-${++names}`)
    const completed = next(queue, 'completed')
    queue.process(() => {})
    // The first step of a connection may take its time.
    while (!(await queue.enqueue(1, { id: 'one' }).catch(() => false))) await wait(20)
    await completed
    server.pause()

    const began = performance.now()
    await queue.close({ timeout: 0 })

    expect(performance.now() - began).toBeLessThan(20_000)
  }, 120_000)
}
