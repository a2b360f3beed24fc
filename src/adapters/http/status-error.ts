/**
 * An answer that asks for another try, as an error: what retry, breaker, hooks and events see of it.
 * The caller gets the response itself.
 */
import { ResilienceError } from '../../core/errors.ts'

/** The server answered with a status that may get better: 5xx but 501, 408, 429. */
export class HttpStatusError extends ResilienceError {
  override readonly name = 'HttpStatusError'
  readonly code = 'ERR_HTTP_STATUS'
  readonly status: number
  /** How long the server asked to be left alone, in ms; undefined if it did not. */
  readonly retryAfter: number | undefined

  constructor(policy: string, status: number, request: string, retryAfter: number | undefined) {
    const asked = retryAfter === undefined ? '' : `; it asks for ${Math.round(retryAfter)} ms`
    super(policy, `${request}: answered with status ${status}${asked}`)
    this.status = status
    this.retryAfter = retryAfter
  }
}
