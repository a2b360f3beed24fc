/** Short ways into the states of a circuit. */

import { type CircuitBreaker, type CircuitBreakerOptions, circuitBreaker } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { expect } from 'vitest'

export async function down(): Promise<never> {
  throw new Error('down')
}

/** Calls that fail one after the other. */
export async function fail(policy: Pick<CircuitBreaker, 'execute'>, calls: number): Promise<void> {
  for (let call = 0; call < calls; call++) await policy.execute(down).catch(() => {})
}

export interface Tripped {
  readonly clock: VirtualClock
  readonly breaker: CircuitBreaker
}

/** A circuit that one failure has opened, for a second. */
export async function openCircuit(options: CircuitBreakerOptions = {}): Promise<Tripped> {
  const clock = virtualClock()
  const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 1_000, clock, ...options })
  await fail(breaker, 1)
  expect(breaker.state).toBe('open')
  return { clock, breaker }
}

/** The same a second later: the next call is a trial. */
export async function halfOpenCircuit(options: CircuitBreakerOptions = {}): Promise<Tripped> {
  const tripped = await openCircuit(options)
  await tripped.clock.advance(1_000)
  expect(tripped.breaker.state).toBe('half-open')
  return tripped
}
