/**
 * A durable queue for fleets: the port of deferred queues on the user's own BullMQ, over Redis (with ioredis
 * or node-redis) or PostgreSQL. Nothing of BullMQ is imported.
 */
import type { DeferredQueue } from '../../core/deferred-queue.ts'
import { type Checks, duration, optional, readOptions, string } from '../../core/options.ts'
import { uniqueId } from '../../core/random.ts'
import {
  type QueueOptions,
  queueChecks,
  queueName,
  settleQueue,
} from '../../resources/deferred-queue/options.ts'
import { openQueue } from '../../resources/deferred-queue/queue.ts'
import { Link } from './link.ts'
import type { BullMQ } from './shapes.ts'
import { BullStore } from './store.ts'

export type { BullMQ, BullObject } from './shapes.ts'

/** Options of {@link bullmqQueue}. */
export interface BullmqQueueOptions extends QueueOptions {
  /** Your BullMQ, 6.7 or newer: `import * as bullmq from 'bullmq'`. Its `Queue` and `Worker` are used. */
  readonly bullmq: BullMQ
  /**
   * What BullMQ connects with: a URL (`redis://…`), options, an ioredis client (with
   * `maxRetriesPerRequest: null`), a node-redis client, or what the `backend` takes. A client stays yours: it
   * is not closed.
   */
  readonly connection: unknown
  /** What BullMQ keeps jobs with: `bullmq.createPostgresBackend`. @default Redis */
  readonly backend?: unknown
  /** Put before all keys in Redis. @default bull */
  readonly prefix?: string | undefined
  /** How long one step of the store may take before it counts as failed, in ms above 0. @default 5_000 */
  readonly storeTimeout?: number | undefined
}

/**
 * Opens a durable queue on BullMQ: all processes that open one of the same name share its jobs.
 *
 * An accepted job is as durable as your Redis or PostgreSQL makes it: `appendonly yes`, `appendfsync always` and
 * `maxmemory-policy noeviction` for Redis. Jobs run at least once. While the store is down `enqueue` fails
 * after `storeTimeout`, and workers go on by themselves when it is back.
 *
 * **Use it** when several machines share the work. **Not for** a single machine: `holdfast/sqlite` needs no
 * server.
 *
 * **Watch out:** BullMQ reads the system's clocks, so the clocks of all machines have to agree.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts no-run
 * import { type BullMQ, bullmqQueue } from 'holdfast/bullmq'
 *
 * declare const bullmq: BullMQ // import * as bullmq from 'bullmq'
 *
 * const orders = bullmqQueue<{ order: number }>({
 *   name: 'orders',
 *   bullmq,
 *   connection: { host: '127.0.0.1', port: 6379 },
 * })
 * orders.process(async (job) => console.log(job.payload.order))
 * await orders.enqueue({ order: 7 }, { id: 'order-7' })
 * ```
 */
export function bullmqQueue<P = unknown>(options: BullmqQueueOptions): DeferredQueue<P> {
  const given = readOptions('bullmqQueue', options, checks)
  const settings = settleQueue(given)
  const { bullmq, backend, prefix, storeTimeout = 5_000 } = given
  const connection = backend === undefined ? reachable(given.connection) : given.connection
  const { name, clock } = settings
  const link = new Link({ bullmq, name, connection, backend, prefix, storeTimeout, clock })
  return openQueue<P>(new BullStore(link, settings, () => uniqueId(clock.wallTime())), settings)
}

/** BullMQ takes a text for options of which it knows none, and connects to the Redis on this machine. */
function reachable(connection: unknown): unknown {
  if (typeof connection !== 'string') return connection
  if (/^rediss?:\/\//.test(connection)) return { url: connection }
  throw new RangeError(
    'bullmqQueue: connection must begin with redis:// or rediss:// when it is text, or name a backend',
  )
}

const checks: Checks<BullmqQueueOptions> = {
  ...queueChecks,
  name: {
    expected: 'a string that is not empty, without colon, NUL and lone surrogates',
    fault: (value) =>
      queueName.fault(value) ?? ((value as string).includes(':') ? 'range' : undefined),
    isOptional: true,
  },
  bullmq: {
    expected: 'BullMQ with its classes Queue and Worker (import * as bullmq from "bullmq")',
    fault: (value) => {
      if (typeof value !== 'object' || value === null) return 'type'
      const { Queue, Worker } = value as { Queue?: unknown; Worker?: unknown }
      return typeof Queue === 'function' && typeof Worker === 'function' ? undefined : 'type'
    },
  },
  connection: {
    expected: 'what BullMQ connects with: a URL, options, or a client',
    fault: (value) => {
      const isGiven = typeof value === 'string' || (typeof value === 'object' && value !== null)
      return isGiven ? undefined : 'type'
    },
  },
  backend: optional({
    expected: 'a backend factory of BullMQ, such as createPostgresBackend',
    fault: (value) => (typeof value === 'function' ? undefined : 'type'),
  }),
  prefix: optional(string),
  storeTimeout: optional(duration({ zero: false })),
}
