/**
 * The same services behind Holdfast. Read this file first: the pipelines at the top are all that
 * sets this front end apart from bare.js, and each line says what it is there for.
 */

import {
  bulkhead,
  circuitBreaker,
  exponential,
  fallback,
  isResilienceError,
  pipeline,
  RejectedError,
  retry,
  retryBudget,
  TimeoutError,
  timeout,
  timeWindow,
} from 'holdfast'

/** @typedef {import('./shop.js').Calls} Calls */

/**
 * @param {object} options
 * @param {import('./upstream.js').Call} options.call
 * @param {number} options.pace - 1 for the full story, 0.25 for the fast one.
 * @returns {Calls}
 */
export function protectedCalls({ call, pace }) {
  /** @param {number} duration */
  const ms = (duration) => duration * pace

  // One breaker per service: who is in trouble is left alone, and a single call looks after it.
  const circuit = {
    // Money: only give up on payment if next to nothing gets through.
    payment: circuitBreaker({
      name: 'payment',
      failureThreshold: 8,
      failureRate: 0.8,
      window: timeWindow(ms(5_000)),
      minimumCalls: 20,
      resetTimeout: ms(1_500),
    }),
    inventory: circuitBreaker({ name: 'inventory', resetTimeout: ms(1_500) }),
    notification: circuitBreaker({ name: 'notification', resetTimeout: ms(1_500) }),
    // Pages have other sources: leave the catalogue as soon as half of its calls fail.
    catalogue: circuitBreaker({
      name: 'catalogue',
      failureRate: 0.5,
      window: timeWindow(ms(2_000)),
      minimumCalls: 10,
      resetTimeout: ms(1_500),
    }),
    'catalogue-replica': circuitBreaker({
      name: 'catalogue-replica',
      failureThreshold: 10,
      resetTimeout: ms(1_500),
    }),
  }

  // Retries may add a fifth to the calls of a service, in good days and in bad ones.
  const budget = retryBudget({ ratio: 0.2 })
  const soon = exponential({ baseDelay: ms(100), maxDelay: ms(1_000), jitter: 0.2 })

  // Product pages: catalogue, else its replica, else what we last saw, else a page without a price.
  /** @type {Map<number, import('./shop.js').Product>} */
  const lastKnownGood = new Map()

  const replica = pipeline('catalogue-replica', circuit['catalogue-replica'], timeout(ms(400)))

  const catalogue = pipeline(
    'catalogue',
    fallback(
      {
        name: 'replica',
        run: (_error, { args: [id], signal }) =>
          replica.execute(() => call('catalogue-replica', `/products/${id}`, { signal })),
      },
      {
        name: 'last known good',
        run: (error, { args: [id] }) => {
          const known = lastKnownGood.get(id)
          if (!known) throw error
          return known
        },
      },
      { name: 'default', run: (_error, { args: [id] }) => ({ id, name: 'Product', price: 0 }) },
    ),
    retry({ maxRetries: 1, backoff: soon, budget }),
    circuit.catalogue,
    bulkhead({ maxConcurrent: 10, maxQueue: 20 }),
    timeout(ms(400)),
  )

  return /** @type {any} */ ({ catalogue })
}
