/**
 * The protection, and nothing else: how each service is called, and every circuit, pipeline, pool,
 * batcher and thread of the protected front end, and what each line is there for. protected.js says
 * what runs through them.
 */

import {
  batcher,
  bulkhead,
  circuitBreaker,
  exponential,
  fallback,
  pipeline,
  queueForLater,
  RejectedError,
  retry,
  retryBudget,
  staleCache,
  timeout,
  timeWindow,
} from 'holdfast'
import { resilientFetch } from 'holdfast/fetch'
import { isTransientPostgresError, postgresPool } from 'holdfast/postgres'
import { taskModule, threadPools } from 'holdfast/threads'
import { Piscina } from 'piscina'

/**
 * @typedef {import('holdfast').Context} Context
 * @typedef {import('./shop.js').Order} Order
 * @typedef {import('./shop.js').Product} Product
 */

/**
 * @typedef {object} Limits - What this process may take of what others need as well.
 * @property {number} connections - To the database, at most.
 * @property {number} threads - For invoices.
 * @property {number} threadMemoryMb - Heap of each.
 */

/** @type {Limits} */
export const usualLimits = { connections: 4, threads: 1, threadMemoryMb: 64 }

/** @type {import('holdfast/threads').TaskModule<typeof import('./invoice.js')>} */
const invoiceModule = taskModule(new URL('./invoice.js', import.meta.url))

/**
 * @param {object} options
 * @param {(service: string) => import('./upstream.js').Fetch} options.fetchTo
 * @param {import('./connections.js').Connections} options.connections
 * @param {import('./statements.js').Statements} options.statements
 * @param {number} options.pace - 1 for the full story, 0.25 for the fast one.
 * @param {import('./queues.js').Queues} options.queues
 * @param {Limits} options.limits
 */
export function createPipelines({ fetchTo, connections, statements, queues, pace, limits }) {
  /** @param {number} duration - As in the full story. */
  const ms = (duration) => duration * pace

  // One circuit per dependency: who is in trouble is left alone, and a single call looks after it.
  const resetTimeout = ms(1_000)
  /** @param {string} name */
  const circuitOf = (name) => circuitBreaker({ name, failureThreshold: 5, resetTimeout })
  const circuits = {
    // Money: as long as some charges go through, keep trying.
    payment: circuitBreaker({ name: 'payment', failureThreshold: 10, resetTimeout }),
    inventory: circuitOf('inventory'),
    notification: circuitOf('notification'),
    // Pages have other sources: leave the catalogue as soon as half of its calls fail.
    catalogue: circuitBreaker({
      name: 'catalogue',
      failureThreshold: 5,
      failureRate: 0.5,
      window: timeWindow(ms(2_000)),
      minimumCalls: 10,
      resetTimeout,
    }),
    'catalogue-replica': circuitOf('catalogue-replica'),
    database: circuitOf('database'),
  }

  // How each service is called: fetch, within its own circuit, slots and times. What may be repeated
  // is repeated, within a budget: reads, and orders, which carry an idempotency key. The service is
  // told how long we wait for it.
  const pauses = { baseDelay: ms(100), maxDelay: ms(1_000) }
  /**
   * @param {keyof typeof circuits} service
   * @param {import('holdfast/fetch').ResilientFetchOptions} levels
   */
  const callOf = (service, levels) =>
    resilientFetch({
      fetch: fetchTo(service),
      circuitBreaker: circuits[service],
      travel: true,
      ...levels,
    })
  /** @type {Record<string, import('holdfast/fetch').ResilientFetch>} */
  const services = {
    payment: callOf('payment', {
      // Ten times and more what payment takes on a good day. If it takes longer, ask again; once,
      // since there is a queue behind it.
      attemptTimeout: ms(600),
      retry: { maxRetries: 1, ...pauses },
      bulkhead: { maxConcurrent: 7 },
      timeout: ms(1_500),
    }),
    inventory: callOf('inventory', {
      attemptTimeout: ms(500),
      retry: { maxRetries: 2, ...pauses },
      bulkhead: { maxConcurrent: 7, maxQueue: 5, maxWait: ms(500) },
      timeout: ms(2_500),
    }),
    notification: callOf('notification', {
      attemptTimeout: ms(300),
      // Its calls come out of a queue, which tries again.
      retry: false,
      bulkhead: { maxConcurrent: 5 },
      timeout: ms(1_000),
    }),
    catalogue: callOf('catalogue', {
      attemptTimeout: ms(400),
      retry: { maxRetries: 1, ...pauses },
      // A page is worth a moment in line, not more.
      bulkhead: { maxConcurrent: 10, maxQueue: 10, maxWait: ms(400) },
      timeout: ms(1_200),
    }),
    'catalogue-replica': callOf('catalogue-replica', {
      attemptTimeout: ms(400),
      // There are further sources behind it.
      retry: false,
      timeout: ms(500),
    }),
    // Before the shop opens nobody waits: the import takes its time, and tries again for long.
    import: callOf('catalogue', {
      attemptTimeout: 5_000,
      retry: {
        maxRetries: 20,
        baseDelay: 100,
        maxDelay: 1_000,
        budget: retryBudget({ ratio: 1, minPerSecond: 100 }),
      },
      circuitBreaker: false,
      timeout: 60_000,
    }),
  }

  // Of the 12 requests at work at most 7 are ever orders and 2 invoices, so product pages find a
  // place whatever payment does.
  const orders = bulkhead({ name: 'orders', maxConcurrent: 7 })

  // What a page showed last, for ten minutes; and one call for all who ask for the same product.
  /** @type {import('holdfast').StaleCache<Product>} */
  const lastKnown = staleCache({
    name: 'last known good',
    key: (/** @type {number} */ id) => `product-${id}`,
    staleFor: 600_000,
    // When to serve it is for the page to say: the replica goes first.
    staleOnError: false,
  })

  // Payment is down: the order is accepted, and charged when it is back. Its id goes along as the
  // idempotency key, so that a charge that was made after all is not made again.
  const asJob = { id: (/** @type {Context} */ call) => orderOf(call).id, payload: orderOf }
  const paying = pipeline('paying', fallback(queueForLater(queues.charges, asJob)))

  // What has waited comes back one at a time at first, and not before the circuit lets it: a payment
  // that has just recovered must not be knocked down by the backlog.
  /** @param {'payment' | 'notification'} service */
  const draining = (service) => ({
    through: pipeline(`${service}, later`),
    breakers: [circuits[service]],
    maxConcurrent: 4,
    rampUp: ms(3_000),
    backoff: exponential({ baseDelay: ms(500), maxDelay: ms(5_000), jitter: 0.2 }),
  })

  // A few connections for everybody, made once. More would only wait inside the database.
  const pool = postgresPool({
    name: 'database',
    client: () => connections.open(),
    minSize: 2,
    maxSize: limits.connections,
    acquireTimeout: ms(400),
  })
  // Everything asked of the database may be asked twice.
  const database = pipeline(
    'database',
    retry({
      maxRetries: 2,
      ...pauses,
      shouldRetry: (error) => isTransientPostgresError(error) || undefined,
    }),
    circuits.database,
    timeout(ms(800)),
  )

  // A pool with nothing to lend is a reason to stop, but not before the shop has opened.
  const opening = pipeline(
    'opening',
    retry({
      maxRetries: 20,
      baseDelay: 100,
      maxDelay: 1_000,
      shouldRetry: (error) =>
        error instanceof RejectedError || isTransientPostgresError(error) || undefined,
    }),
    timeout(5_000),
  )

  // Charged, but not on record: whatever the reason, the job asks for the same charge, and records it.
  const recording = pipeline(
    'recording',
    fallback({
      steps: [queueForLater(queues.charges, { ...asJob, when: () => true })],
      handles: () => true,
    }),
    database,
  )

  // Whoever asks for stock in the same moment asks together: one statement for all of them.
  const stock = batcher(unitsOf, { name: 'stock', missing: () => 0, policy: database })
  const imported = batcher(keepProducts, { name: 'imported', dedupe: false, policy: opening })

  // What keeps a CPU busy does so in a thread of its own, and the event loop serves everybody else.
  const threads = threadPools(
    {
      invoices: {
        module: invoiceModule,
        threads: limits.threads,
        minThreads: 1,
        maxQueue: 1,
        timeout: 5_000,
        // An invoice that needs more is no invoice: its thread dies, and nobody else.
        memoryLimitMb: limits.threadMemoryMb,
      },
    },
    { Piscina },
  )

  return {
    circuits,
    services,
    orders,
    lastKnown,
    pipelines: { paying, database, opening, recording },
    draining,
    pool,
    batchers: { stock, imported },
    threads,
  }

  /**
   * @param {readonly number[]} ids
   * @param {import('holdfast').BatchContext} limits
   * @returns {Promise<Map<number, number>>}
   */
  async function unitsOf(ids, limits) {
    const { rows } = await pool.use((client) => client.query(statements.unitsOf(ids)), limits)
    return new Map(rows.map(({ id, units }) => [id, units]))
  }

  /**
   * @param {readonly Product[]} products
   * @param {import('holdfast').BatchContext} limits
   */
  async function keepProducts(products, limits) {
    await pool.use((client) => client.query(statements.keepProducts(products)), limits)
    return products.map(() => true)
  }
}

/**
 * What the call is about.
 *
 * @param {Context} call
 */
function orderOf({ args: [order] }) {
  return /** @type {Order} */ (order)
}
