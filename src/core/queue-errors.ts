/** The errors of durable queues: not accepted, perhaps accepted, or no longer in these hands. */
import { describeError, RejectedError, ResilienceError } from './errors.ts'

/** What takes the places of a queue. */
export interface QueueFacts {
  /** Jobs that take a place, the dead among them. */
  readonly size: number
  readonly maxSize: number
  /** Jobs that were set aside. */
  readonly dead: number
}

/** All places of the queue are taken. The job was not stored. */
export class QueueFullError extends RejectedError {
  override readonly name = 'QueueFullError'
  readonly code = 'ERR_QUEUE_FULL'
  /** Jobs that took a place, the dead among them. */
  readonly size: number
  readonly maxSize: number
  /** Jobs that were set aside and wait for somebody to look at them. */
  readonly dead: number

  constructor(queue: string, { size, maxSize, dead }: QueueFacts) {
    super(
      queue,
      `queue "${queue}" is full (${size} of ${maxSize} places taken, ${dead} by dead jobs); not accepted; shed load, see to its workers and its dead letters, or raise maxSize`,
    )
    this.size = size
    this.maxSize = maxSize
    this.dead = dead
  }
}

/** The payload is larger than the queue takes. The job was not stored. */
export class PayloadTooLargeError extends RejectedError {
  override readonly name = 'PayloadTooLargeError'
  readonly code = 'ERR_PAYLOAD_TOO_LARGE'
  /** Its size as JSON in UTF-8; where it was not counted to the end, the size that was reached. */
  readonly bytes: number
  readonly maxBytes: number

  constructor(queue: string, bytes: number, maxBytes: number) {
    super(
      queue,
      `queue "${queue}": the payload takes ${bytes} bytes or more, and ${maxBytes} are allowed; not accepted; store it elsewhere and enqueue where to find it, or raise maxPayloadBytes`,
    )
    this.bytes = bytes
    this.maxBytes = maxBytes
  }
}

/** The payload would not come out of the queue as it went in. The job was not stored. */
export class PayloadNotSerialisableError extends RejectedError {
  override readonly name = 'PayloadNotSerialisableError'
  readonly code = 'ERR_PAYLOAD_NOT_SERIALISABLE'
  /** Where in the payload: `payload.items[2].price`. */
  readonly path: string

  constructor(queue: string, path: string, fault: string, cause?: unknown) {
    super(
      queue,
      `queue "${queue}": ${path} ${fault}; not accepted; enqueue plain JSON (text, finite numbers, true, false, null, arrays, plain objects)`,
      cause,
    )
    this.path = path
  }
}

/** The queue takes nothing any more, since `close()` was called. The job was not stored. */
export class QueueClosedError extends RejectedError {
  override readonly name = 'QueueClosedError'
  readonly code = 'ERR_QUEUE_CLOSED'

  constructor(queue: string) {
    super(queue, `queue "${queue}" is closed or closing and takes nothing any more; not accepted`)
  }
}

/** The store behind the queue failed. `cause` is its own error. */
export class QueueStoreError extends ResilienceError {
  override readonly name = 'QueueStoreError'
  readonly code = 'ERR_QUEUE_STORE'
  /** Whether what was asked for may have been stored all the same. With an `id` it is safe to ask again. */
  readonly stored: 'no' | 'unknown'

  constructor(queue: string, what: string, stored: 'no' | 'unknown', cause: unknown, advice = '') {
    const outcome = stored === 'no' ? 'nothing was stored' : 'it may have been stored'
    super(
      queue,
      `queue "${queue}": ${what} failed: ${describeError(cause)}; ${outcome}${advice && `; ${advice}`}`,
      cause,
    )
    this.stored = stored
  }
}

/** The job is no longer in these hands: another worker may have it. What this run still does is not recorded. */
export class LeaseLostError extends ResilienceError {
  override readonly name = 'LeaseLostError'
  readonly code = 'ERR_LEASE_LOST'
  readonly id: string

  constructor(queue: string, id: string, why: string) {
    super(
      queue,
      `queue "${queue}": job "${id}" was taken from this worker: ${why}; it runs again, and what this run still does is not recorded`,
    )
    this.id = id
  }
}
