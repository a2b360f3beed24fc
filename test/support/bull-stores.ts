/** Opens the stores of BullMQ queues over a Redis of the suite's own: each stands for another process. */
import * as bullmq from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll } from 'vitest'
import { Link } from '../../src/adapters/bullmq/link.ts'
import type { BullMQ } from '../../src/adapters/bullmq/shapes.ts'
import { BullStore } from '../../src/adapters/bullmq/store.ts'
import { systemClock } from '../../src/index.ts'
import { type RedisServer, startRedis } from './redis-server.ts'

export interface OpenStore {
  readonly store: BullStore
  readonly link: Link
}

/** To be called inside `describe`. `through` may be a BullMQ that behaves in a way of its own. */
export function bullStores(): (name: string, through?: BullMQ) => OpenStore {
  let server: RedisServer
  let connection: Redis
  beforeAll(async () => {
    server = await startRedis()
    connection = new Redis(server.url, { maxRetriesPerRequest: null })
  })
  afterAll(async () => {
    connection.disconnect()
    await server.stop()
  })
  return (name, through = bullmq) => {
    const limits = { storeTimeout: 10_000, clock: systemClock }
    const to = { name, connection, backend: undefined, prefix: 'p' }
    const link = new Link({ bullmq: through, ...to, ...limits })
    const sizes = { maxSize: 100, keepCompleted: 1_000_000 }
    return { store: new BullStore(link, sizes, () => globalThis.crypto.randomUUID()), link }
  }
}
