/**
 * The part of undici's handler contract (7 and 8) that is used here.
 */

/** Steers one exchange. */
export interface DispatchController {
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: Error | null
  rawHeaders?: unknown
  rawTrailers?: unknown
  abort(reason: Error): void
  pause(): void
  resume(): void
}

export type Headers = Record<string, string | string[] | undefined>

/** Hears what becomes of a request. */
export interface DispatchHandler {
  onRequestStart?(controller: DispatchController, context: unknown): void
  onRequestUpgrade?(
    controller: DispatchController,
    status: number,
    headers: Headers,
    socket: unknown,
  ): void
  onResponseStart?(
    controller: DispatchController,
    status: number,
    headers: Headers,
    message?: string,
  ): void
  onResponseData?(controller: DispatchController, chunk: Uint8Array): void
  onResponseEnd?(controller: DispatchController, trailers: Headers): void
  onResponseError?(controller: DispatchController, error: Error): void
}
