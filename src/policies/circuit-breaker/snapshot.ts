/**
 * A circuit's state as plain JSON, for serverless restarts and for tests, and the check of what comes
 * back: garbage is refused, never half believed.
 */
import { show } from '../../core/options.ts'
import type { TripSnapshot } from './trip-rules.ts'

/** The state of a circuit at one moment, as plain JSON. */
export interface CircuitSnapshot {
  readonly version: 1
  readonly state: 'closed' | 'open' | 'isolated'
  /** How often it opened in a row. */
  readonly openings: number
  /** Time left until the first trial when it was taken, in ms; 0 unless open. */
  readonly remaining: number
  /** Wall-clock ms since 1970 at which it was taken: time served in between counts. */
  readonly takenAt: number
  readonly trip: TripSnapshot
}

/**
 * The snapshot, when it is one.
 *
 * @throws TypeError if it is not.
 */
export function checkCircuitSnapshot(found: unknown): CircuitSnapshot {
  const snapshot = found as { [K in keyof CircuitSnapshot]?: unknown } | null
  const good =
    typeof snapshot === 'object' &&
    snapshot !== null &&
    snapshot.version === 1 &&
    ['closed', 'open', 'isolated'].includes(snapshot.state as string) &&
    isCount(snapshot.openings) &&
    isTime(snapshot.remaining) &&
    isTime(snapshot.takenAt) &&
    isTrip(snapshot.trip)
  if (!good) {
    throw new TypeError(
      `circuitBreaker: restore needs what snapshot() gave (version 1), but was given ${show(found)} that is damaged or from another version`,
    )
  }
  return found as CircuitSnapshot
}

function isTrip(found: unknown): boolean {
  const trip = found as { [K in keyof TripSnapshot]?: unknown } | null
  return (
    typeof trip === 'object' &&
    trip !== null &&
    isCount(trip.consecutiveFailures) &&
    (trip.window === null || typeof trip.window === 'object')
  )
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}
