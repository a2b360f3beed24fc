/**
 * The most that one call of a pipeline can cost, added up from the traits of its policies.
 */
import type { RelayTraits } from '../core/relay.ts'

/** The most that one call can cost, by the policies alone. */
export interface WorstCase {
  /** Longest time to an answer by the policies' own plan, fallback steps left out, in ms; null if nothing bounds it. */
  readonly plannedTime: number | null
  /** The same with fallback steps, and when a server asks for the longest pauses (Retry-After). */
  readonly longestTime: number | null
  /** Most calls of the function for one call of the pipeline; null if nothing bounds them. */
  readonly mostCalls: number | null
}

/** The longest time and the most calls of a pipeline of these policies, outermost first. */
export function worstCaseOf(traits: readonly RelayTraits[]): WorstCase {
  let calls = 1
  for (const { repeats, hedges, unknown } of traits) {
    calls *= unknown ? Number.POSITIVE_INFINITY : (repeats?.calls ?? 1) * (1 + (hedges?.calls ?? 0))
  }
  const longestTime = timeOf(traits, 'at worst')
  return { plannedTime: timeOf(traits), longestTime, mostCalls: orNull(calls) }
}

/** The longest time to an answer, as planned by the policies or when everything asks for its longest. */
export function timeOf(traits: readonly RelayTraits[], when?: 'at worst'): number | null {
  let time = Number.POSITIVE_INFINITY
  for (const each of [...traits].reverse()) {
    const { repeats, hedges, holds, paces, limits, recovers, unknown } = each
    // How long alternatives take is nobody's plan, but it counts at worst.
    if (unknown || (recovers && when)) time = Number.POSITIVE_INFINITY
    if (repeats !== undefined) {
      const pauses = when
        ? (repeats.longestPauses ?? Number.POSITIVE_INFINITY)
        : (repeats.pauses ?? 0)
      time = Math.min(time * repeats.calls + pauses, repeats.maxElapsed + time)
    }
    // A call that fails does not let the next one wait for its delay.
    if (hedges !== undefined) time += hedges.calls * Math.min(hedges.delay, time)
    time += (holds?.maxWait ?? 0) + (paces?.maxWait ?? 0)
    if (limits !== undefined) time = Math.min(time, limits)
  }
  return orNull(time)
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
