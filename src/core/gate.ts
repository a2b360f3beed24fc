/**
 * A gate is all that the fast path knows of a policy: how many calls run, how many may, and whether
 * the policy wants to be asked. While `running < limit` a call passes with one comparison.
 */
import type { Ending } from './events.ts'

/** As many as anybody could ask for, and still a small integer. */
export const UNLIMITED = 0x3fffffff

/** The policy itself has to act on successes: somebody stands in line, a window keeps count. */
export const ASKS = 1
/** Latency is measured or somebody listens. */
export const WATCHED = 2

/** Counts calls for several gates at once: a convoy. */
export interface Tally {
  readonly running: number
  readonly succeeded: number
  /** One of its gates is watched from now on, or no longer. */
  review(): void
}

/**
 * One shape for every policy, so that the engine's loop stays monomorphic. An open circuit is a limit
 * of 0, a bulkhead a limit of `maxConcurrent`, everything else is unlimited.
 */
export class Gate {
  /** Calls inside, admitted in the present era. */
  running = 0
  /** From here on the policy is asked whether a call may pass. */
  limit: number
  /** Not 0: somebody wants to see even the calls that simply succeed. `ASKS` and `WATCHED`, or-ed. */
  alert = 0
  /** The era in which the present rules began: calls admitted earlier are late and change nothing. */
  since = 0

  succeeded = 0
  failed = 0
  timedOut = 0
  rejected = 0
  aborted = 0

  /** Who counts calls for this gate, one for each place where it stands in a pipeline. */
  readonly convoys: Tally[] = []

  constructor(limit: number = UNLIMITED) {
    this.limit = limit
  }

  count(ending: Ending): void {
    this[ending]++
  }

  /** Calls inside, those of its convoys included. */
  get inside(): number {
    return this.convoys.reduce((sum, convoy) => sum + convoy.running, this.running)
  }

  /** Calls that succeeded, those of its convoys included. */
  get successes(): number {
    return this.convoys.reduce((sum, convoy) => sum + convoy.succeeded, this.succeeded)
  }

  /** Takes over what a convoy has counted, and forgets it. */
  absorb(convoy: Tally): void {
    const at = this.convoys.indexOf(convoy)
    if (at < 0) return
    this.convoys.splice(at, 1)
    this.succeeded += convoy.succeeded
  }

  /** Starts counting anew. */
  forget(): void {
    this.succeeded = this.failed = this.timedOut = this.rejected = this.aborted = 0
  }

  ask(asks: boolean): void {
    this.alert = asks ? this.alert | ASKS : this.alert & ~ASKS
  }

  watch(watched: boolean): void {
    this.alert = watched ? this.alert | WATCHED : this.alert & ~WATCHED
    for (const convoy of this.convoys) convoy.review()
  }
}

/**
 * A logical clock that ticks at each transition of any gate. A call notes it once, when it is admitted;
 * comparing it with `gate.since` tells whether the gate has changed since. (The generation number of
 * sony/gobreaker, at the price of one integer per call instead of one per gate.)
 */
export const eras = { now: 0 }

/** Begins a new era for `gate`: whoever is inside now has become late. */
export function beginEra(gate: Gate): void {
  gate.since = ++eras.now
  gate.running = 0
}
