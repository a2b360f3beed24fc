/** Cockatiel's part: the chain of five policies, in its dearest and cheapest forms. */
import {
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  fallback,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel'

export * from 'cockatiel'

/** The three ways of its timeout that the tables show. */
export const timeouts = {
  'default wrap': TimeoutStrategy.Aggressive,
  'aggressive, abortOnReturn: false': {
    strategy: TimeoutStrategy.Aggressive,
    abortOnReturn: false,
  },
  'cheapest options': { strategy: TimeoutStrategy.Cooperative, abortOnReturn: false },
}

/**
 * @param {object} [shape]
 * @param {keyof typeof timeouts | false} [shape.timeout]
 * @param {number} [shape.maxConcurrent]
 * @param {number} [shape.limit] Of the timeout, in ms.
 */
export function fivePolicies({
  timeout: way = 'default wrap',
  maxConcurrent = 10,
  limit = 2_000,
} = {}) {
  const outer = [
    fallback(handleAll, 0),
    retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: new ConsecutiveBreaker(5) }),
    bulkhead(maxConcurrent, 20),
  ]
  return wrap(...outer, ...(way === false ? [] : [timeout(limit, timeouts[way])]))
}
