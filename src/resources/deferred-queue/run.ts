/** One job in the hands of its handler, from the taking to the stored end. */
import type { Job } from '../../core/deferred-queue.ts'
import { LeaseLostError } from '../../core/queue-errors.ts'
import type { TakenJob } from './store.ts'

export class Run {
  readonly taken: TakenJob
  readonly startedAt: number
  /** When the lease was last known to be ours, in monotonic ms. */
  heldAt: number
  /** Its worker cannot wait any longer; the handler was told by its signal. */
  isStopping = false
  /** The handler has ended, and the store is being told. */
  isEnding = false
  /** The lease is not ours any more: whatever the handler still does is not recorded. */
  isLost = false
  readonly #queue: string
  readonly #controller = new AbortController()

  constructor(queue: string, taken: TakenJob, takenAt: number, now: number) {
    this.#queue = queue
    this.taken = taken
    this.heldAt = takenAt
    this.startedAt = now
  }

  /** What the handler is given. */
  jobOf(payload: unknown, maxAttempts: number, deadline: number): Job {
    const { id, key, context, attempts, enqueuedAt, dueAt, errors } = this.taken
    const stored = { id, payload, key, context, attempt: attempts, maxAttempts, enqueuedAt, dueAt }
    return { ...stored, errors, signal: this.#controller.signal, deadline }
  }

  lose(why: string): void {
    this.isLost = true
    this.#abort(why)
  }

  stop(): void {
    this.isStopping = true
    this.#abort('its worker stops and cannot wait any longer')
  }

  #abort(why: string): void {
    this.#controller.abort(new LeaseLostError(this.#queue, this.taken.id, why))
  }
}
