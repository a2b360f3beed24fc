/**
 * What a circuit breaker shows to its user.
 */
import type { Policy, Stats } from '../../core/policy.ts'
import type { CircuitBreakerMode } from './options.ts'
import type { CircuitSnapshot } from './snapshot.ts'

/** Closed: calls pass. Open: they are refused. Half-open: a few are tried. Isolated: held open by hand. */
export type CircuitState = 'closed' | 'open' | 'half-open' | 'isolated'

/** How the calls of a breaker ended, and what it thinks of its dependency. */
export interface CircuitBreakerStats extends Stats {
  readonly state: CircuitState
  readonly mode: CircuitBreakerMode
  readonly consecutiveFailures: number
  /** Share of failures in the window, 0 to 1; 0 when no rate is configured. */
  readonly failureRate: number
  readonly slowCallRate: number
  /** How often it has opened. */
  readonly opened: number
  /** Ended calls that said nothing of the dependency. */
  readonly ignored: number
  /** Time until the first trial, in ms; 0 unless open. */
  readonly retryAfter: number
}

/** Stops calling a dependency that keeps failing. */
export interface CircuitBreaker extends Policy {
  /** Reading it after `resetTimeout` makes an open circuit half-open, as a call would. */
  readonly state: CircuitState
  /** Setting it starts anew with a closed circuit. `isolate()` refuses calls in every mode. */
  mode: CircuitBreakerMode
  /** Holds it open by hand until `close()` or `reset()`. */
  isolate(): void
  /** Closes it by hand and forgets the failures. Calls under way change nothing any more. */
  close(): void
  /** As newly made: closed, nothing remembered, statistics at 0. */
  reset(): void
  stats(): CircuitBreakerStats
  /** The state as plain JSON, a copy. */
  snapshot(): CircuitSnapshot
  /**
   * Continues where a snapshot was taken; time served in between counts.
   *
   * @throws TypeError if it is no snapshot; the circuit is unchanged.
   */
  restore(snapshot: unknown): void
}
