/**
 * Bodies of clients that hand over Node's streams, or whole bodies: whether they can be sent again, when
 * they have ended, and how to let go of them.
 */
import { finished, Readable } from 'node:stream'
import { linkAll } from '../../core/abort.ts'
import { type Clock, inNextTurn } from '../../core/clock.ts'
import { TimeoutError } from '../../core/errors.ts'
import { stackless } from '../../core/stackless.ts'

/** Whether a body is still there to be sent once more: bytes and text are, a stream until it is read. */
export function canReplay(body: unknown): boolean {
  if (body === undefined || body === null || typeof body === 'string') return true
  if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) return true
  if (body instanceof URLSearchParams || body instanceof Blob) return true
  // A form is written anew each time, with another boundary; what can only be iterated is used up.
  if (!isStream(body) || isForm(body)) return isPlain(body)
  return !Readable.isDisturbed(body) && !body.destroyed
}

/** What ends a stream early. */
export interface StreamLimits {
  readonly name: string
  readonly clock: Clock
  /** When the request must be over, in ms of the clock. */
  readonly deadline: number
  /** The caller's own, and what to do when it aborts. */
  readonly signal: AbortSignal | undefined
  abort(reason: unknown): void
}

/** Settles when a body has been read, rejects if it broke off. A body that is here has ended. */
export function endOf(body: unknown, limits: StreamLimits): Promise<void> {
  if (!isStream(body)) return over
  const { name, clock, deadline, signal, abort } = limits
  const left = deadline - clock.now()
  const late = (): void => {
    const limit = Math.round(left)
    body.destroy(stackless(() => new TimeoutError(`${name} (total)`, limit, 'body not complete')))
  }
  const timer = clock.setTimer(() => inNextTurn(clock, late), left)
  const ended = new Promise<void>((resolve, reject) => {
    const calledOff = (reason: unknown): void => {
      reject(new DOMException('the caller aborted while the body came', 'AbortError'))
      abort(reason)
    }
    const isOff = signal?.aborted === true
    if (isOff) calledOff(signal.reason)
    const forget = linkAll(signal === undefined || isOff ? [] : [signal], calledOff)
    finished(body, (error) => {
      timer.cancel()
      forget()
      // Whoever reads it may stop before its end.
      if (error && !isPremature(error)) reject(error)
      else resolve()
    })
  })
  ended.catch(nothing)
  return ended
}

/** Nobody will read it: closes its connection. */
export function emptied(body: unknown): void {
  if (isStream(body)) body.destroy()
}

function isStream(body: unknown): body is Readable {
  const { pipe, destroy } = (body ?? {}) as Partial<Readable>
  return typeof pipe === 'function' && typeof destroy === 'function'
}

function isPlain(body: unknown): boolean {
  return (
    typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype
  )
}

function isForm(body: unknown): boolean {
  return typeof (body as { getBoundary?: unknown } | null)?.getBoundary === 'function'
}

function isPremature(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE'
}

const over = Promise.resolve()

function nothing(): void {}
