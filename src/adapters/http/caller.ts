/**
 * How the caller of axios calls a request off: by a signal, by one that is no `AbortSignal` of this realm, or
 * by a token of axios' own.
 */

/** What axios takes. */
interface Cancels {
  readonly signal?: unknown
  readonly cancelToken?: unknown
}

/** One signal for all of it. */
interface Caller {
  readonly signal: AbortSignal | undefined
  /** Listens no longer. */
  forget(): void
}

interface SignalLike {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

interface Token {
  subscribe(listener: (reason: unknown) => void): void
  unsubscribe(listener: (reason: unknown) => void): void
}

export function callerOf({ signal, cancelToken }: Cancels): Caller {
  const token = isToken(cancelToken) ? cancelToken : undefined
  if (token === undefined && !isForeign(signal)) {
    return { signal: signal instanceof AbortSignal ? signal : undefined, forget: nothing }
  }
  const controller = new AbortController()
  const cancel = (reason: unknown): void => controller.abort(reason)
  const given = isSignal(signal) ? signal : undefined
  const onAbort = (): void => controller.abort(given?.reason)
  if (given?.aborted) onAbort()
  given?.addEventListener('abort', onAbort)
  token?.subscribe(cancel)
  return {
    signal: controller.signal,
    forget() {
      given?.removeEventListener('abort', onAbort)
      token?.unsubscribe(cancel)
    },
  }
}

function isForeign(signal: unknown): boolean {
  return isSignal(signal) && !(signal instanceof AbortSignal)
}

function isSignal(value: unknown): value is SignalLike {
  const { addEventListener, removeEventListener } = (value ?? {}) as Partial<SignalLike>
  return typeof addEventListener === 'function' && typeof removeEventListener === 'function'
}

function isToken(value: unknown): value is Token {
  const { subscribe, unsubscribe } = (value ?? {}) as Partial<Token>
  return typeof subscribe === 'function' && typeof unsubscribe === 'function'
}

function nothing(): void {}
