/**
 * The user's side of a request: one controller and one handler, however many attempts there are.
 */
import type { DispatchController, DispatchHandler, Headers } from './handler.ts'

/** What waits for the user to abort. */
interface AbortListener {
  handleEvent(): void
}

export class Caller implements DispatchController {
  readonly #handler: DispatchHandler
  #aborted: { readonly reason: Error } | undefined
  #listener: AbortListener | undefined
  #target: DispatchController | undefined
  #paused = false
  #isOver = false

  constructor(handler: DispatchHandler) {
    this.#handler = handler
  }

  /**
   * Aborted when the user aborts, at any time. A signal of the platform would be the dearest part of a
   * request: this is as much of one as the levels ask for, which hang one listener on it.
   */
  get signal(): AbortSignal {
    return this as unknown as AbortSignal
  }

  get aborted(): boolean {
    return this.#aborted !== undefined
  }

  get reason(): Error | null {
    return this.#aborted === undefined ? null : this.#aborted.reason
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listener = listener
  }

  removeEventListener(): void {
    this.#listener = undefined
  }

  get paused(): boolean {
    return this.#paused
  }

  get rawHeaders(): unknown {
    return this.#target?.rawHeaders ?? null
  }

  get rawTrailers(): unknown {
    return this.#target?.rawTrailers ?? null
  }

  abort(reason: Error): void {
    if (this.#aborted !== undefined) return
    this.#aborted = { reason: reason ?? new DOMException('the request was aborted', 'AbortError') }
    this.#listener?.handleEvent()
    this.#target?.abort(this.#aborted.reason)
  }

  pause(): void {
    this.#paused = true
    this.#target?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#target?.resume()
  }

  /** From now on the user can abort: also while the request waits or pauses. */
  begin(): void {
    this.#handler.onRequestStart?.(this, {})
  }

  preliminary(status: number, headers: Headers, message: string | undefined): void {
    this.#handler.onResponseStart?.(this, status, headers, message)
  }

  /** An answer begins that is the user's. */
  start(
    target: DispatchController,
    status: number,
    headers: Headers,
    message: string | undefined,
  ): void {
    this.#target = target
    this.#handler.onResponseStart?.(this, status, headers, message)
  }

  data(chunk: Uint8Array): void {
    this.#handler.onResponseData?.(this, chunk)
  }

  end(trailers: Headers): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handler.onResponseEnd?.(this, trailers)
  }

  fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handler.onResponseError?.(this, error as Error)
  }
}
