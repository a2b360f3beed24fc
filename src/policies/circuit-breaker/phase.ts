/**
 * What a circuit is doing. Each phase carries only what it needs, so that no phase can be half another.
 */
import { CircuitOpenError } from '../../core/errors.ts'
import type { Pulse } from '../../core/pulse.ts'
import { muteStacks, restoreStacks } from '../../core/stackless.ts'
import type { CircuitState } from './contract.ts'
import type { CircuitBreakerMode } from './options.ts'
import type { CircuitSnapshot } from './snapshot.ts'
import type { Trials } from './trials.ts'

/** Ramping up is the second half of being half-open. */
export type Phase =
  | { readonly is: 'closed' }
  | {
      readonly is: 'open'
      readonly since: number
      readonly until: number
      readonly cause: unknown
      readonly why: string
    }
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
  return { is: 'open', since: 0, until, cause: undefined, why: 'a restored snapshot' }
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
  const limit = muteStacks()
  try {
    return new CircuitOpenError(name, state, retryAfter, why, cause)
  } finally {
    restoreStacks(limit)
  }
}

/**
 * The refusal of a circuit that lets nobody through, if it still is one. The most frequent call of an
 * outage: the time of its turn will do.
 */
export function refusalWhileShut(
  name: string,
  phase: Phase,
  now: number,
): CircuitOpenError | undefined {
  if (phase.is === 'isolated') return refusalOf(name, phase, Number.POSITIVE_INFINITY)
  if (phase.is !== 'open') return undefined
  const left = phase.until - Math.max(phase.since, now)
  return left > 0 ? refusalOf(name, phase, left) : undefined
}

/**
 * The time of the turn, and now and then that of the clock: whoever tries again and again in one turn would
 * wait for ever for its end.
 */
export class Watch {
  readonly #pulse: Pulse
  #looks = 0

  constructor(pulse: Pulse) {
    this.#pulse = pulse
  }

  now(): number {
    this.#looks = (this.#looks + 1) % 64
    return this.#looks === 0 ? this.#pulse.clock.now() : this.#pulse.now()
  }
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
