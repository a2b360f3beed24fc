/**
 * What is emitted by the policies that govern how much is sent and how much is taken.
 */
import type { CallEvent, EventBase } from './event-base.ts'

/** A call was made once more beside one that is slow or has failed. */
export interface Hedged extends CallEvent {
  readonly type: 'hedge'
  /** `'sent'`: it is made; `'won'`: its answer was the first; `'refused'`: the budget did not allow it. */
  readonly what: 'sent' | 'won' | 'refused'
  /** Which call, counted from 1; of a refusal the one before. */
  readonly attempt: number
  /** What the call before it failed with; missing when that one was slow. */
  readonly error?: unknown
}

/** An adaptive limit changed. */
export interface LimitChanged extends EventBase {
  readonly type: 'limit'
  readonly from: number
  readonly to: number
  /** `'latency'` or `'overload'`: what calls were like; `'probe'`: lowered to measure, `'probed'`: measured. */
  readonly reason: 'latency' | 'overload' | 'probe' | 'probed'
  /** Mean time of a call in the last window, in ms. */
  readonly rtt: number
  /** Time of a call that waits for nobody, in ms; 0 while unknown. */
  readonly baseline: number
}

/**
 * Why a server refuses: no room, no patience left, somebody more important, a caller that gave up, pressure,
 * a client that asks for too much, the end.
 */
export type ShedReason =
  | 'full'
  | 'waited-too-long'
  | 'displaced'
  | 'deadline-passed'
  | 'pressure'
  | 'client-limit'
  | 'closing'

/** A server refused a request without beginning it. */
export interface Shed extends EventBase {
  readonly type: 'shed'
  readonly reason: ShedReason
  /** How long it waited in the queue, in ms. */
  readonly waited: number
}
