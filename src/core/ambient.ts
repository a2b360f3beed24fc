/**
 * What a request carries through everything that is done for it, however deep: when its caller gives up,
 * and whether somebody above will try again. Only an adapter can follow a request through asynchronous
 * code (`holdfast/node` does, by AsyncLocalStorage); until one does, nobody looks here.
 */
import { type Clock, systemClock } from './clock.ts'

/** The surroundings of the code that asks. */
export interface Surroundings {
  /** When the caller of it all stops waiting, in ms of `systemClock.now()`; `Infinity` for never. */
  readonly deadline: number
  /** Which attempt of its caller this is, from 1. */
  readonly attempt: number
  /** Somebody above tries again if this fails: retries here would multiply theirs. */
  readonly retriedAbove: boolean
  /** Aborted at the deadline, with a `TimeoutError`; undefined if there is none. */
  readonly signal: AbortSignal | undefined
}

/** Where the surroundings come from, and how to step out of them. Undefined as long as nobody follows requests. */
export const ambient: {
  source: (() => Surroundings | undefined) | undefined
  leave: (<T>(fn: () => T) => T) | undefined
} = { source: undefined, leave: undefined }

/** Work that others share: it must not end with the request of whoever began it. */
export function outside<T>(fn: () => T): T {
  return ambient.leave === undefined ? fn() : ambient.leave(fn)
}

/** The inherited deadline in ms of `clock`; `Infinity` if there is none. */
export function inheritedDeadline(clock: Clock): number {
  const deadline = ambient.source?.()?.deadline ?? Number.POSITIVE_INFINITY
  if (deadline === Number.POSITIVE_INFINITY || clock === systemClock) return deadline
  return clock.now() + (deadline - systemClock.now())
}

/** What ends a wait that has no limit of its own to put the inherited deadline into; and the caller's own signal. */
export function signalsOf(own: AbortSignal | undefined): readonly AbortSignal[] {
  const inherited = ambient.source?.()?.signal
  if (inherited === undefined) return own === undefined ? NONE : [own]
  return own === undefined ? [inherited] : [own, inherited]
}

const NONE: readonly AbortSignal[] = []

/** Whether a retry here would multiply the retries of somebody above. */
export function retriedAbove(): boolean {
  return ambient.source?.()?.retriedAbove === true
}
