/** Opossum's part: a breaker with timeout, capacity and fallback. It has no retry. */
import CircuitBreaker from 'opossum'

/**
 * @param {(...args: any[]) => Promise<unknown>} action
 * @param {object} [options] Opossum's own.
 */
export function breaker(action, options = {}) {
  return new CircuitBreaker(action, {
    timeout: 2_000,
    capacity: 10,
    resetTimeout: 30_000,
    ...options,
  })
}

/**
 * @param {(...args: any[]) => Promise<unknown>} action
 * @param {object} [options]
 */
export function breakerWithFallback(action, options = {}) {
  return breaker(action, options).fallback(() => 0)
}
