/** The durable queue on BullMQ, against a real Redis with both clients and a real PostgreSQL. */
import * as bullmq from 'bullmq'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe } from 'vitest'
import { bullmqQueue } from '../../src/adapters/bullmq/bullmq.ts'
import type { StartStore } from '../contracts/deferred-queue/subject.ts'
import { deferredQueueContract } from '../contracts/deferred-queue.contract.ts'
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts'
import { hasRedis, type RedisServer, startRedis } from '../support/redis-server.ts'

let stores = 0

/** What one test calls its queue, apart from those of all other tests. */
function nameOf(store: string, options: { readonly name?: string | undefined } = {}): string {
  return options.name === undefined ? store : `${store}-${options.name}`
}

describe.skipIf(!hasRedis())('BullMQ on Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())

  const withIoredis: StartStore = async () => {
    const name = `contract-${++stores}`
    const clients: Redis[] = []
    return {
      open: async (options) => {
        const connection = new Redis(server.url, { maxRetriesPerRequest: null })
        clients.push(connection)
        return bullmqQueue({ ...options, name: nameOf(name, options), bullmq, connection })
      },
      remove: async () => {
        for (const client of clients) client.disconnect()
      },
    }
  }

  const withNodeRedis: StartStore = async () => {
    const name = `contract-${++stores}`
    const clients: { destroy(): void }[] = []
    return {
      open: async (options) => {
        const connection = createClient({ url: server.url })
        connection.on('error', () => {})
        await connection.connect()
        clients.push(connection)
        return bullmqQueue({ ...options, name: nameOf(name, options), bullmq, connection })
      },
      remove: async () => {
        for (const client of clients) client.destroy()
      },
    }
  }

  deferredQueueContract('with ioredis', withIoredis)
  deferredQueueContract('with node-redis', withNodeRedis)
})

describe('BullMQ on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server.stop())

  deferredQueueContract('with pg', async () => {
    const name = `contract-${++stores}`
    return {
      open: async (options) =>
        bullmqQueue({
          ...options,
          name: nameOf(name, options),
          bullmq,
          backend: bullmq.createPostgresBackend,
          connection: { connectionString: server.url, max: 4, migrate: true },
        }),
      remove: async () => {},
    }
  })
})
