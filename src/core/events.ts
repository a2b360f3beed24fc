/**
 * Everything that can be observed, as one union of plain objects, and the emitter that hands it out.
 * Telemetry is outbound only: a listener that throws or rejects changes nothing.
 */

import type { CallEvent, Ending, EventBase } from './event-base.ts'
import type { Hedged, LimitChanged, Shed } from './load-events.ts'

export type { Ending } from './event-base.ts'
export type { Hedged, LimitChanged, Shed } from './load-events.ts'

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
  readonly reason:
    | 'not-retryable'
    | 'max-retries'
    | 'max-elapsed'
    | 'deadline'
    | 'budget'
    | 'retried-above'
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

/** Something happened to a job of a durable queue. */
export interface JobChanged extends EventBase {
  readonly type: 'job'
  /**
   * What happened: `'postponed'` says that it could not be begun now and did not count, `'handed-back'`
   * that its worker stopped, `'lease-lost'` that another worker may have it, `'dead'` that it was set aside.
   */
  readonly change:
    | 'enqueued'
    | 'duplicate'
    | 'started'
    | 'completed'
    | 'retry'
    | 'postponed'
    | 'dead'
    | 'handed-back'
    | 'lease-lost'
    | 'requeued'
    | 'removed'
  /** The job. */
  readonly id: string
  /** Which attempt it is about, from 1. */
  readonly attempt?: number
  /** How long the attempt took, in ms. */
  readonly duration?: number
  /** Pause before the next attempt, in ms. */
  readonly delay?: number
  /** Why it was set aside, postponed or handed back. */
  readonly reason?: string
  /** What the attempt failed with. */
  readonly error?: unknown
}

/** The store behind a durable queue failed, or works again. Work goes on by itself when it does. */
export interface QueueStoreChanged extends EventBase {
  readonly type: 'queue-store'
  readonly change: 'failed' | 'recovered'
  readonly error?: unknown
}

/** A call waits for another one with the same key instead of calling the function. */
export interface Joined extends EventBase {
  readonly type: 'join'
  readonly key: string
  /** How many wait for that call now. */
  readonly waiting: number
}

/** A cache answered a call with a value that it had kept. */
export interface CacheAnswered extends EventBase {
  readonly type: 'cache'
  readonly key: string
  /** `'stale'`: older than `freshFor`, and what would be newer could not be had in time. */
  readonly answer: 'fresh' | 'stale'
  /** How old the value is, in ms. */
  readonly age: number
  /** Why a stale value was the answer. */
  readonly reason?: 'failed' | 'slow' | 'paused'
  /** The failure, when that is the reason. */
  readonly cause?: unknown
}

/** A call that fills a cache has ended. */
export interface CacheFilled extends EventBase {
  readonly type: 'refresh'
  readonly key: string
  /** Whether a value was kept. */
  readonly kept: boolean
  /** Whether it was made in the background: its caller had already been answered. */
  readonly background: boolean
  /** How long it took, in ms. */
  readonly duration: number
  /** What it failed with, if it did. */
  readonly error?: unknown
}

/** The store of a cache failed, works again, or gave back what no cache has written. */
export interface CacheStoreChanged extends EventBase {
  readonly type: 'cache-store'
  /** `'failed'`: it is left alone for a while, and nothing is found in it. */
  readonly change: 'failed' | 'recovered' | 'unreadable'
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
  | Joined
  | CacheAnswered
  | CacheFilled
  | CacheStoreChanged
  | CallEnded
  | StateChanged
  | RetryScheduled
  | GaveUp
  | TimedOut
  | Rejected
  | FellBack
  | Hedged
  | Abandoned
  | LimitChanged
  | PoolChanged
  | BatchEnded
  | JobChanged
  | Shed
  | QueueStoreChanged
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
