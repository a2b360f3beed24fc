/** Holdfast's part, imported as it was built: what is measured is what is shipped. */
import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from '../../dist/index.js'

export * from '../../dist/index.js'

/**
 * The chain that the README shows: fallback, retry, breaker, bulkhead, timeout.
 *
 * @param {object} [shape]
 * @param {boolean} [shape.latency]
 * @param {boolean} [shape.limited] Whether there is a timeout.
 * @param {number} [shape.maxConcurrent]
 * @param {number} [shape.limit] Of the timeout, in ms.
 */
export function fivePolicies({
  latency = false,
  limited = true,
  maxConcurrent = 10,
  limit = 2_000,
} = {}) {
  return pipeline(
    { name: 'bench', latency },
    fallback(() => 0),
    retry({ maxRetries: 3 }),
    circuitBreaker({ failureThreshold: 5, resetTimeout: 30_000 }),
    bulkhead({ maxConcurrent, maxQueue: 20 }),
    ...(limited ? [timeout(limit)] : []),
  )
}
