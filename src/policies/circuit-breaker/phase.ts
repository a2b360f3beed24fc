/**
 * What a circuit is doing. Each phase carries only what it needs, so that no phase can be half another.
 */
import { CircuitOpenError, stackless } from '../../core/errors.ts'
import type { CircuitState } from './contract.ts'
import type { CircuitBreakerMode } from './options.ts'
import type { CircuitSnapshot } from './snapshot.ts'
import type { Trials } from './trials.ts'

/** Ramping up is the second half of being half-open. */
export type Phase =
  | { readonly is: 'closed' }
  | { readonly is: 'open'; readonly until: number; readonly cause: unknown; readonly why: string }
  | { readonly is: 'trying'; readonly trials: Trials; readonly cause: unknown }
  | { readonly is: 'ramping'; readonly since: number; readonly cause: unknown }
  | { readonly is: 'isolated' }

/** The phase as it is told. */
export function stateOf(phase: Phase): CircuitState {
  return phase.is === 'trying' || phase.is === 'ramping' ? 'half-open' : phase.is
}

/** Whether it refuses calls now, whatever they are. */
export function refuses(phase: Phase, now: number): boolean {
  return phase.is === 'isolated' || (phase.is === 'open' && now < phase.until)
}

/** The phase that a snapshot leads to. A breaker that never refuses by itself stays closed. */
export function restoredPhase(
  { state }: CircuitSnapshot,
  mode: CircuitBreakerMode,
  until: number,
): Phase {
  if (state === 'isolated') return { is: 'isolated' }
  if (state === 'closed' || mode !== 'enabled') return { is: 'closed' }
  return { is: 'open', until, cause: undefined, why: 'a restored snapshot' }
}

/** The error for a call that is not let through in this phase. */
export function refusalOf(
  name: string,
  phase: Exclude<Phase, { is: 'closed' }>,
  retryAfter: number,
): CircuitOpenError {
  const state = phase.is === 'open' || phase.is === 'isolated' ? phase.is : 'half-open'
  const why = phase.is === 'open' ? `opened by ${phase.why}` : ''
  const cause = phase.is === 'isolated' ? undefined : phase.cause
  return stackless(() => new CircuitOpenError(name, state, retryAfter, why, cause))
}

/** Time until the first trial, in ms; 0 unless open. */
export function remainingOf(phase: Phase, now: number): number {
  return phase.is === 'open' ? Math.max(0, phase.until - now) : 0
}

/** What the event of an opening tells besides the states. */
export function openingOf(
  { cause, until }: Extract<Phase, { is: 'open' }>,
  now: number,
): { cause: unknown; resetTimeout: number } {
  return { cause, resetTimeout: Math.max(0, until - now) }
}
