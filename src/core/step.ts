/**
 * What the engine needs of a policy. A step admits, observes, limits or decides what runs next; it is
 * asked only when there is something to say: while its gate has room, calls pass without it.
 */
import type { Clock } from './clock.ts'
import type { ResilienceError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Gate } from './gate.ts'
import type { Histogram } from './histogram.ts'
import type { Outcome } from './outcome.ts'
import type { Context } from './policy.ts'

export interface Step {
  readonly kind: string
  readonly name: string
  /** What it does to a call, for whoever checks the order of a pipeline. */
  readonly traits: Traits
  readonly gate: Gate
  readonly emitter: Emitter
  readonly clock: Clock
  /** Filled with the time that calls spend in this policy, when latency is measured. */
  readonly latency: Histogram | undefined

  /** Never refuses a call, and never wants to see one that simply succeeds: its gate is not visited. */
  readonly passive?: boolean
  /** Limits the time of everything inside it, in ms. */
  readonly duration?: number
  /** Wants to know when calls began, to the turn of the event loop. */
  readonly usesTime?: boolean
  /** To the point: it judges by how long calls took. */
  readonly needsExactTime?: boolean
  /** Its slot follows the work: it wants to know of work that goes on after the caller has gone. */
  readonly followsWork?: boolean

  /** Asked when the gate is at its limit. Whoever admits has counted the call into `gate.running`. */
  admit?(call: CallView): Admission
  /**
   * Told of a plain success while the gate asks; as `leave`, without the ceremony. False: it has to go
   * the long way, and nothing has been given back.
   */
  passed?(value: unknown, since: number): boolean
  /**
   * Told how a call ended, unless it simply succeeded and the gate asks for nothing. Gives back what
   * `admit` or the gate took. `late` means that the call was admitted in an earlier era.
   */
  leave?(outcome: Outcome, exit: Exit): void
  /** Decides what runs next. Undefined lets the outcome pass. Never asked after the caller aborted. */
  react?(outcome: Outcome, visit: Visit): Reaction | undefined
}

/** The effects of a step, as far as they matter to its neighbours. */
export interface Traits {
  /** Answers in place of a failed call. */
  readonly recovers?: boolean
  /** Makes a call several times: how often, and how long all pauses take, at most, in ms (if known). */
  readonly repeats?: {
    readonly calls: number
    readonly pauses: number | undefined
    /** The same if a server asks for the longest pauses that are granted, in ms. */
    readonly longestPauses: number | undefined
    readonly maxElapsed: number
  }
  /** Judges the dependency by the outcomes of its calls. */
  readonly judges?: boolean
  /** Holds a slot during the call; and how long it may have to be waited for, in ms. */
  readonly holds?: { readonly maxWait: number }
  /** Ends a call after so long, in ms. */
  readonly limits?: number
  /** Nobody knows what it does: it is the user's own. */
  readonly unknown?: boolean
}

/** What a step may know of a call. */
export interface CallView {
  /** Name of the pipeline it runs in. */
  readonly pipeline: string
  /** How often the function has been called. */
  readonly calls: number
  /** The arguments of a wrapped function. */
  readonly args: readonly unknown[]
  /** What the caller asked for; undefined if nothing. */
  readonly priority: number | undefined
  /** When the nearest limit around this call ends, in ms of the clock. */
  readonly deadline: number
  /** Since the call began, in ms. */
  elapsed(): number
}

/** Undefined: admitted. An error: refused. Otherwise admitted with a permit, or to wait in line. */
export type Admission = undefined | Error | Permit | Waiting

/** A proof of admission, given back in `leave`. */
export interface Permit {
  readonly kind: 'permit'
}

/** A place in line. */
export interface Waiting {
  readonly kind: 'waiting'
  /** Calls `done` once: without argument when granted, with the refusal otherwise. */
  begin(done: (refusal?: ResilienceError) => void): void
  /** Leaves the line; gives the permit back if it was granted meanwhile. */
  cancel(): void
}

/** One passage of a call through a step. */
export interface Exit {
  readonly call: CallView
  readonly permit: Permit | undefined
  readonly late: boolean
  /** When it was admitted, in ms of the clock. */
  readonly since: number
  /** Work of this passage that still runs although nobody waits for it. */
  readonly work: StrayWork | undefined
}

export interface StrayWork {
  whenEnded(callback: () => void): void
}

/** What a deciding step remembers of one call between its reactions. */
export interface Visit {
  readonly call: CallView
  memo: unknown
}

/**
 * Again: everything inside the step once more, after a pause. Instead: this function's answer.
 * Fail: this error in place of the outcome.
 */
export type Reaction =
  | { readonly kind: 'again'; readonly delay: number; readonly before?: (() => void) | undefined }
  | { readonly kind: 'fail'; readonly error: unknown }
  | {
      readonly kind: 'instead'
      readonly source: string
      readonly run: (context: Context) => unknown
    }
