/**
 * The same services behind Holdfast. Read this file first: these pipelines are all that sets this
 * front end apart from bare.js, and each line says what it is there for.
 */

import {
  bulkhead,
  CircuitOpenError,
  circuitBreaker,
  exponential,
  fallback,
  pipeline,
  RejectedError,
  retry,
  retryBudget,
  TimeoutError,
  timeout,
  timeWindow,
} from 'holdfast'
import { HttpError } from './upstream.js'

/**
 * @typedef {import('./shop.js').Calls} Calls
 * @typedef {import('./shop.js').Caller} Caller
 * @typedef {import('./shop.js').Order} Order
 * @typedef {import('./shop.js').Product} Product
 * @typedef {import('./shop.js').ProductView} ProductView
 */

/**
 * @param {object} options
 * @param {import('./upstream.js').Call} options.call
 * @param {number} options.pace - 1 for the full story, 0.25 for the fast one.
 * @returns {Calls}
 */
export function protectedCalls({ call, pace }) {
  /** @param {number} duration - As in the full story. */
  const ms = (duration) => duration * pace

  // One circuit per service: who is in trouble is left alone, and a single call looks after it.
  const resetTimeout = ms(1_000)
  const circuit = {
    // Money: as long as some charges go through, keep trying.
    payment: circuitBreaker({ name: 'payment', failureThreshold: 10, resetTimeout }),
    inventory: circuitBreaker({ name: 'inventory', failureThreshold: 5, resetTimeout }),
    notification: circuitBreaker({ name: 'notification', failureThreshold: 5, resetTimeout }),
    // Pages have other sources: leave the catalogue as soon as half of its calls fail.
    catalogue: circuitBreaker({
      name: 'catalogue',
      failureThreshold: 5,
      failureRate: 0.5,
      window: timeWindow(ms(2_000)),
      minimumCalls: 10,
      resetTimeout,
    }),
    'catalogue-replica': circuitBreaker({
      name: 'catalogue-replica',
      failureThreshold: 5,
      resetTimeout,
    }),
  }

  const backoff = exponential({ baseDelay: ms(100), maxDelay: ms(1_000), jitter: 0.2 })

  const catalogue = pipeline(
    'catalogue',
    // Retries add a fifth to the calls at most: enough for a hiccup, too little to drown anybody.
    retry({ maxRetries: 1, backoff, budget: retryBudget({ ratio: 0.2 }) }),
    circuit.catalogue,
    // A page is worth a moment in line, not more.
    bulkhead({ maxConcurrent: 10, maxQueue: 10, maxWait: ms(400) }),
    timeout(ms(400)),
  )
  const replica = pipeline('catalogue-replica', circuit['catalogue-replica'], timeout(ms(400)))

  const inventory = pipeline(
    'inventory',
    retry({ maxRetries: 2, backoff, budget: retryBudget({ ratio: 0.2 }) }),
    circuit.inventory,
    bulkhead({ maxConcurrent: 10, maxQueue: 5, maxWait: ms(500) }),
    timeout(ms(500)),
  )

  const payment = pipeline(
    'payment',
    // Safe, because every charge carries an idempotency key; worth it, because it is money.
    retry({ maxRetries: 3, backoff }),
    circuit.payment,
    bulkhead({ maxConcurrent: 11 }),
    // Ten times and more what payment takes on a good day. If it takes longer, ask again.
    timeout(ms(600)),
  )

  const notification = pipeline(
    'notification',
    // Best effort: an order does not fail because of a mail.
    fallback({ name: 'no mail', run: () => ({ sent: false }) }),
    circuit.notification,
    bulkhead({ maxConcurrent: 5, maxQueue: 5, maxWait: ms(300) }),
    timeout(ms(300)),
  )

  // The compartment: of the 15 workers at most 11 are ever busy with orders, so product pages find
  // one whatever payment does. And the customer, who waits 6 s, hears from us before that.
  const orders = pipeline('orders', bulkhead({ maxConcurrent: 11 }), timeout(ms(5_500)))

  // Product pages: the catalogue, else its replica, else what we last saw, else a bare minimum.
  const page = fallback({
    name: 'page',
    steps: [fromReplica, lastKnownGood, withoutDetails],
    handles: isWorthAnotherSource,
  })
  /** @type {Map<number, Product>} */
  const lastSeen = new Map()

  /** @param {number} id @param {Caller} caller @returns {Promise<ProductView>} */
  async function fromCatalogue(id, caller) {
    const product = await catalogue.execute(
      ({ signal }) => call('catalogue', `/products/${id}`, { signal }),
      caller,
    )
    lastSeen.set(id, product)
    return { product, source: 'catalogue', degraded: false }
  }

  /** @type {import('holdfast').FallbackFunction<ProductView>} */
  async function fromReplica(_error, { args }) {
    const [id, caller] = /** @type {[number, Caller]} */ (args)
    const product = await replica.execute(
      ({ signal }) => call('catalogue-replica', `/products/${id}`, { signal }),
      caller,
    )
    lastSeen.set(id, product)
    return { product, source: 'replica', degraded: true }
  }

  /** @type {import('holdfast').FallbackFunction<ProductView>} */
  function lastKnownGood(error, { args: [id] }) {
    const product = lastSeen.get(Number(id))
    if (!product) throw error
    return { product, source: 'last known good', degraded: true }
  }

  /** @type {import('holdfast').FallbackFunction<ProductView>} */
  function withoutDetails(_error, { args: [id] }) {
    const product = { id: Number(id), name: `Product ${id}`, price: null }
    return { product, source: 'default', degraded: true }
  }

  const pipelines = { page, catalogue, replica, inventory, payment, notification, orders }

  return {
    product: page.wrap(fromCatalogue),

    // What the work is given, deadline and signal, it passes on: the parts inherit the limit.
    order: (work, caller) => orders.execute(work, caller),

    reserve: (order, caller) =>
      inventory.execute(
        ({ signal }) => call('inventory', '/reservations', { ...post(order), signal }),
        caller,
      ),

    release: (order) =>
      inventory.execute(({ signal }) =>
        call('inventory', `/reservations/${order.id}`, { method: 'DELETE', signal }),
      ),

    charge: (order, caller) =>
      payment.execute(
        ({ signal }) => call('payment', '/charges', { ...post(order), signal }),
        caller,
      ),

    notify: (order, caller) =>
      notification.execute(
        ({ signal }) => call('notification', '/mails', { ...post(order), signal }),
        caller,
      ),

    explain,

    circuits: () =>
      Object.fromEntries(Object.entries(circuit).map(([name, { state }]) => [name, state])),

    stats: () =>
      Object.fromEntries(Object.entries(pipelines).map(([name, each]) => [name, each.stats()])),
  }
}

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

/**
 * What does not exist is not found elsewhere either, and for a customer who has left nobody looks.
 *
 * @param {unknown} error
 */
function isWorthAnotherSource(error) {
  if (error instanceof HttpError && error.status === 404) return false
  return !(error instanceof Error && error.name === 'AbortError')
}

/** @param {Order} order */
function post(order) {
  return { method: 'POST', body: order, key: order.id }
}
