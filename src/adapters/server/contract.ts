/** What the doors and the guard say to each other. */
import type { ShedReason } from '../../core/load-events.ts'
import type { SurroundingsOptions } from '../node/surroundings.ts'
import type { GuardedRequest } from './request.ts'

/** A request at the door. */
export interface Incoming {
  readonly request: GuardedRequest
  /** It is let in: `release` is to be called once when it is answered, or its caller has gone. */
  enter(admission: Admission): void
  refuse(refusal: Refusal): void
  /** Asked for when it has to wait: lets it go on in its own async context. */
  remember(): <T>(fn: () => T) => T
  /** Calls back if its caller goes away; the answer stops that. */
  onGone(callback: () => void): () => void
}

export interface Admission {
  release(): void
  /** What is known of its caller. */
  readonly surroundings: SurroundingsOptions
}

/** The answer to a request that is not worked on. */
export interface Refusal {
  readonly reason: ShedReason
  readonly status: 503 | 429
  readonly headers: Readonly<Record<string, string>>
  /** JSON. */
  readonly body: string
}

/** Why a request was refused. */
export type RefusalReason = Refusal['reason']

/** What a guard has done, and what it does now. */
export interface GuardStats {
  readonly name: string
  /** Requests that are worked on. */
  readonly running: number
  readonly queued: number
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** The line has not been empty for `maxWait`. */
  readonly overloaded: boolean
  readonly admitted: number
  /** Requests that were refused, by reason. */
  readonly refused: Readonly<Record<RefusalReason, number>>
  /** Requests whose caller had given up before they were begun, refused or not. */
  readonly expired: number
  /** Requests whose caller went away while they waited in the queue. */
  readonly disconnected: number
  /** How late the event loop was of late, in ms. */
  readonly eventLoopDelay: number
  /** Share of the heap limit in use. */
  readonly heapUsed: number
}
