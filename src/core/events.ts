/**
 * Everything that can be observed, as one union of plain objects, and the emitter that hands it out.
 * Telemetry is outbound only: a listener that throws or rejects changes nothing.
 */

/** Four ways in which a call can go wrong; never mixed in names, messages, events or metrics. */
export type Ending = 'succeeded' | 'failed' | 'timedOut' | 'rejected' | 'aborted'

/** What every event says. */
interface EventBase {
  /** Name of the policy or pipeline that speaks. */
  readonly policy: string
  /** When it happened, in monotonic ms of the policy's clock. */
  readonly at: number
}

/** What an event about one call adds. */
interface CallEvent extends EventBase {
  /** The pipeline that the call ran in; the policy's own name when it ran alone. */
  readonly pipeline: string
}

/** A call ended, as seen by its pipeline (or by a policy that was executed on its own). */
export interface CallEnded extends CallEvent {
  readonly type: 'call'
  readonly ending: Ending
  /** From call to answer, in ms. */
  readonly duration: number
  /** How often the function was called. */
  readonly attempts: number
  /** What the caller got, unless it got a result. */
  readonly error?: unknown
}

/** A circuit changed its state. */
export interface StateChanged extends EventBase {
  readonly type: 'state-change'
  readonly from: 'closed' | 'open' | 'half-open' | 'isolated'
  readonly to: 'closed' | 'open' | 'half-open' | 'isolated'
  /** Why, in words. */
  readonly reason: string
  /** The failure that opened it, if one did. */
  readonly cause?: unknown
  /** Time until the first trial call, in ms, when `to` is `'open'`. */
  readonly resetTimeout?: number
}

/** Another attempt was scheduled. */
export interface RetryScheduled extends CallEvent {
  readonly type: 'retry'
  /** The attempt that is about to come, 2 for the first retry. */
  readonly attempt: number
  /** Pause before it, in ms. */
  readonly delay: number
  /** Time since the call began, in ms. */
  readonly elapsed: number
  /** What the attempt before it threw, or undefined when its result was refused. */
  readonly error?: unknown
}

/** Retrying stopped without success. */
export interface GaveUp extends CallEvent {
  readonly type: 'give-up'
  readonly attempts: number
  readonly elapsed: number
  readonly reason: 'not-retryable' | 'max-retries' | 'max-elapsed' | 'deadline' | 'budget'
  readonly error?: unknown
}

/** A time limit was reached. */
export interface TimedOut extends CallEvent {
  readonly type: 'timeout'
  readonly duration: number
}

/** A call was refused without being made. */
export interface Rejected extends CallEvent {
  readonly type: 'reject'
  readonly error: unknown
}

/** An alternative answered, or was tried and failed. */
export interface FellBack extends CallEvent {
  readonly type: 'fallback'
  /** Name of the step. */
  readonly source: string
  readonly ok: boolean
  /** The failure that made it necessary. */
  readonly cause: unknown
  /** What the step itself threw. */
  readonly error?: unknown
}

/** Work went on after its caller had gone; it keeps its slot. `slot` tells the end of it. */
export interface Abandoned extends EventBase {
  readonly type: 'abandon'
  /** `'held'`: the slot is kept for it; `'ended'`: the work ended; `'forgotten'`: `abandonAfter` passed. */
  readonly slot: 'held' | 'ended' | 'forgotten'
  /** Slots held by abandoned work now. */
  readonly abandoned: number
}

/** Something happened to a resource of a pool. */
export interface PoolChanged extends EventBase {
  readonly type: 'pool'
  /** What happened: `'leaked'` says that a loan lasts longer than `leakTimeout`. */
  readonly change: 'created' | 'create-failed' | 'destroyed' | 'destroy-failed' | 'leaked'
  /** Why it was destroyed, in words. */
  readonly reason?: string
  /** What a hook threw, or what the resource was broken by. */
  readonly error?: unknown
  /** Where the leaked resource was borrowed. */
  readonly stack?: string
}

/** A batch was answered, or failed as a whole. */
export interface BatchEnded extends EventBase {
  readonly type: 'batch'
  /** Keys in it. */
  readonly size: number
  /** From sending it to its answer, in ms. */
  readonly duration: number
  /** What it failed with, if it did. */
  readonly error?: unknown
}

/** Something in the order of a pipeline cannot work or was probably not meant. */
export interface Warned extends EventBase {
  readonly type: 'warning'
  readonly code: string
  readonly message: string
}

/** Everything that can be observed. */
export type HoldfastEvent =
  | CallEnded
  | StateChanged
  | RetryScheduled
  | GaveUp
  | TimedOut
  | Rejected
  | FellBack
  | Abandoned
  | PoolChanged
  | BatchEnded
  | Warned

/** Called with each event; what it returns or throws changes nothing. */
export type Listener<E> = (event: E) => unknown

/** A list of listeners. `observed` lets the speaker skip making an event that nobody hears. */
export class Emitter {
  observed = false
  #listeners: readonly Listener<HoldfastEvent>[] = []

  /** Adds a listener; the same function may be added twice and is then called twice. */
  subscribe(listener: Listener<HoldfastEvent>): () => void {
    if (typeof listener !== 'function') {
      throw new TypeError(`subscribe: listener must be a function, but was ${typeof listener}`)
    }
    // A list of its own per change: whoever is being called now is not disturbed by it.
    const entry: Listener<HoldfastEvent> = (event) => listener(event)
    this.#listeners = [...this.#listeners, entry]
    this.observed = true
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== entry)
      this.observed = this.#listeners.length > 0
    }
  }

  emit(event: HoldfastEvent): void {
    for (const listener of this.#listeners) harmless(listener, event)
  }
}

/** Calls a user's hook so that neither its throw nor its rejected promise reaches anybody. */
export function harmless<A extends readonly unknown[]>(
  hook: (...args: A) => unknown,
  ...args: A
): void {
  try {
    quiet(hook(...args))
  } catch {
    // A broken observer must not become a broken call.
  }
}

/** What a user's function returned. Nobody will wait for a promise among it: let it not go unhandled. */
export function quiet<T>(returned: T): T {
  if (returned instanceof Promise) returned.catch(ignore)
  return returned
}

function ignore(): void {}
