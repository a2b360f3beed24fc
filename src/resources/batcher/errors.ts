/**
 * The errors of a batcher: not sent, or sent and not answered.
 */
import { RejectedError, ResilienceError } from '../../core/errors.ts'
import { show } from '../../core/options.ts'

/** Too many keys wait already. Not sent. */
export class BatcherFullError extends RejectedError {
  override readonly name = 'BatcherFullError'
  readonly code = 'ERR_BATCHER_FULL'
  /** Keys that waited to be sent. */
  readonly queued: number
  readonly maxQueue: number

  constructor(policy: string, queued: number, maxQueue: number) {
    super(
      policy,
      `batcher "${policy}": ${queued} of ${maxQueue} keys wait already; not sent; shed load, or raise maxQueue or maxConcurrentBatches`,
    )
    this.queued = queued
    this.maxQueue = maxQueue
  }
}

/** The batcher takes nothing any more, since `close()` was called. Not sent. */
export class BatcherClosedError extends RejectedError {
  override readonly name = 'BatcherClosedError'
  readonly code = 'ERR_BATCHER_CLOSED'

  constructor(policy: string) {
    super(policy, `batcher "${policy}" is closed; not sent`)
  }
}

/** The batch was answered by key, without this key. Give `missing` if that is no error. */
export class KeyMissingError extends ResilienceError {
  override readonly name = 'KeyMissingError'
  readonly code = 'ERR_KEY_MISSING'
  readonly key: unknown

  constructor(policy: string, key: unknown) {
    super(policy, `batcher "${policy}": the answer has nothing for the key ${show(key)}`)
    this.key = key
  }
}
