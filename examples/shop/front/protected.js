/**
 * The same services and the same database behind Holdfast. Read pipelines.js first: what is there
 * is all that sets this front end apart from bare.js. Here is what runs through it. The deadline of a
 * request is not passed along: guarded-server.js sets it, and everything below inherits it.
 */

import {
  CircuitOpenError,
  drainQueue,
  fallback,
  isQueued,
  mapConcurrent,
  pipeline,
  RejectedError,
  TimeoutError,
} from 'holdfast'
import { withoutDeadline } from 'holdfast/node'
import { guardedServer } from './guarded-server.js'
import { createPipelines, usualLimits } from './pipelines.js'
import { createCall, HttpError } from './upstream.js'

/**
 * @typedef {import('./shop.js').Calls} Calls
 * @typedef {import('./shop.js').Order} Order
 * @typedef {import('./shop.js').Product} Product
 * @typedef {{ signal: AbortSignal }} Limits - Of a call inside a pipeline, or of a job.
 */

/**
 * @param {import('./front-end.js').Means} means
 * @returns {Calls}
 */
export function protectedCalls({ urls, limits: given, ...means }) {
  const { statements, queues, pace } = means
  const limits = { ...usualLimits, ...given }
  const protection = createPipelines({ ...means, limits })
  const { circuits, services, orders, lastKnown, pipelines, draining, pool } = protection
  const { paying, database, opening, recording } = pipelines
  const { batchers, threads } = protection

  /** @param {string} service */
  const fetchTo = (service) => /** @type {import('./upstream.js').Fetch} */ (services[service])
  const call = createCall({
    shop: 'protected',
    urls: { ...urls, import: urls['catalogue'] ?? '' },
    fetchTo,
  })

  // Product pages: the catalogue, else its replica, else what we last saw, else a bare minimum.
  const page = pipeline(
    'page',
    fallback({
      name: 'another source',
      steps: [
        { name: 'replica', run: fromReplica },
        lastKnown.lastKnownGood,
        { name: 'default', run: withoutDetails },
      ],
      // What does not exist is not found elsewhere either.
      handles: (error) => !(error instanceof HttpError && error.status === 404),
    }),
    lastKnown,
  )

  /** @type {import('holdfast').FallbackFunction<Product>} */
  async function fromReplica(_error, { args: [id] }) {
    const product = await call('catalogue-replica', `/products/${id}`)
    lastKnown.set(`product-${id}`, product)
    return product
  }

  /** @type {import('holdfast').FallbackFunction<Product>} */
  function withoutDetails(_error, { args: [id] }) {
    return { id: Number(id), name: `Product ${id}`, price: null }
  }

  return {
    async prepare(compartments) {
      if (compartments.includes('invoices')) await threads.warmUp()
      await opening.execute((limits) =>
        pool.use((client) => client.query(statements.tables), limits),
      )
    },

    /** What was accepted is done in the background: as soon as it can be, as gently as it must. */
    work() {
      drainQueue(queues.charges, {
        ...draining('payment'),
        run: async (job, { signal }) => {
          const { receipt } = await charge(job.payload, { signal })
          await database.execute((limits) => keep(job.payload, receipt, limits), { signal })
        },
      })
      drainQueue(queues.mails, {
        ...draining('notification'),
        run: (job, { signal }) => call('notification', '/mails', { ...post(job.payload), signal }),
      })
    },

    async backlog() {
      const [charges, mails] = await Promise.all([queues.charges.counts(), queues.mails.counts()])
      return { charges: charges.size, mails: mails.size }
    },

    async importCatalogue(ids) {
      /** @param {number} id @param {import('holdfast').ItemContext} context */
      const importOne = async (id, { signal }) =>
        batchers.imported.load(await call('import', `/products/${id}`, { signal }))
      // Ten calls at a time; what comes back in the same moment is kept with one statement.
      await mapConcurrent(ids, importOne, { concurrency: 10 })
    },

    async product(id) {
      const { value, source, degraded } = await page.executeDetailed(
        ({ signal }) => call('catalogue', `/products/${id}`, { signal }),
        { args: [id] },
      )
      return { product: value, source: degraded ? source : 'catalogue', degraded }
    },

    async stock(ids) {
      const units = await batchers.stock.loadMany(ids)
      return units.map((each) => (each instanceof Error ? null : each))
    },

    order: (work) => orders.execute(work),

    toTheEnd: withoutDeadline,

    reserve: (order) => call('inventory', '/reservations', post(order)),

    release: (order) => call('inventory', `/reservations/${order.id}`, { method: 'DELETE' }),

    async charge(order) {
      const answer = await paying.execute((limits) => charge(order, limits), { args: [order] })
      // Queued: it is accepted, and there will be a receipt.
      return isQueued(answer) ? { receipt: null } : answer
    },

    keep: (order, receipt) =>
      recording.execute((limits) => keep(order, receipt, limits), { args: [order] }),

    async notify(order) {
      const { id } = order
      return queues.mails.enqueue(order, { id }).then(sent, notSent)
    },

    async invoice(customer) {
      const { rows: products } = await database.execute((limits) =>
        pool.use((client) => client.query(statements.allProducts), limits),
      )
      return threads.run('invoices', { customer, products }, { name: 'renderInvoice' })
    },

    explain,

    createServer: (reception) =>
      guardedServer({ reception, circuits: Object.values(circuits), orders, pace }),

    circuits: () =>
      Object.fromEntries(Object.entries(circuits).map(([name, { state }]) => [name, state])),

    stats: () => ({
      ...statsOf({ ...pipelines, ...batchers, page, orders, lastKnown, pool }),
      services: statsOf(services),
      limits,
      threads: threads.stats(),
    }),
  }

  /** @param {Order} order @param {Limits} limits @returns {Promise<{ receipt: string }>} */
  function charge(order, { signal }) {
    return call('payment', '/charges', { ...post(order), signal })
  }

  /** @param {Order} order @param {string | null} receipt @param {Limits} limits */
  function keep(order, receipt, limits) {
    return pool.use((client) => statements.keepOrder(client, order, receipt), limits)
  }
}

const sent = () => ({ sent: true })
const notSent = () => ({ sent: false })

/**
 * Turned away at once, or tried and failed: the error's family says which.
 *
 * @param {unknown} error
 * @returns {import('./shop.js').Refusal}
 */
function explain(error) {
  if (error instanceof CircuitOpenError) {
    return { status: 503, outcome: 'rejected', retryAfter: error.retryAfter }
  }
  if (error instanceof RejectedError) return { status: 503, outcome: 'rejected' }
  if (error instanceof TimeoutError) return { status: 504, outcome: 'failed' }
  if (error instanceof HttpError && error.status === 404) return { status: 404, outcome: 'failed' }
  return { status: 502, outcome: 'failed' }
}

/** @param {Record<string, { stats: () => unknown }>} parts */
function statsOf(parts) {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.stats()]))
}

/** @param {Order} order */
function post(order) {
  return { method: 'POST', body: order, key: order.id }
}
