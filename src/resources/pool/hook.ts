/**
 * Calls a user's hook under a time limit. A hook that is synchronous stays so; one that throws, hangs or
 * answers late ends exactly once, in time, and what comes afterwards is nobody's error.
 */

import { adopt, isPlain } from '../../core/begin.ts'
import { type Clock, inNextTurn, type Timer } from '../../core/clock.ts'
import { TimeoutError } from '../../core/errors.ts'
import { LazySignal } from '../../core/lazy-signal.ts'
import { stackless } from '../../core/stackless.ts'

/** How a hook ended. */
export type Ended<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown; readonly late?: true }

/** What a hook is given besides the resource. */
export interface HookContext {
  /** Aborted when the hook has taken too long, or is a `create` of a pool that closes. Made when first read. */
  readonly signal: AbortSignal
}

/** What bounds a hook. */
export interface Bounds {
  readonly clock: Clock
  /** In ms. */
  readonly limit: number
  /** Who says so: name of the pool. */
  readonly pool: string
  /** What takes too long, as the error names it. */
  readonly what: string
}

export function bounded<T>(
  bounds: Bounds,
  hook: (context: HookContext) => T | PromiseLike<T>,
  done: (ended: Ended<T>) => void,
): void {
  const context = new LazySignal()
  let returned: T | PromiseLike<T>
  let later: boolean
  try {
    returned = hook(context)
    later = isThenable(returned)
  } catch (error) {
    return done({ ok: false, error })
  }
  if (!later) return done({ ok: true, value: returned as T })
  let timer: Timer | undefined
  let ended = false
  const end = (how: Ended<T>): void => {
    if (ended) return
    ended = true
    timer?.cancel()
    done(how)
  }
  const expire = (): void => {
    if (ended) return
    const error = tooLong(bounds)
    context.abort(error)
    end({ ok: false, error, late: true })
  }
  // After a blocked loop timers run first: an answer that is there already gets one turn to be seen.
  timer = bounds.clock.setTimer(() => inNextTurn(bounds.clock, expire), bounds.limit)
  // Whoever waits for a resource keeps the process alive; the care of idle ones does not.
  timer.unref()
  follow(returned).then(
    (value) => end({ ok: true, value }),
    (error: unknown) => end({ ok: false, error }),
  )
}

/** Calls a function and gives a promise, whatever it does. */
export function begin<T>(run: () => T | PromiseLike<T>): Promise<T> {
  try {
    return follow(run())
  } catch (error) {
    return Promise.reject(error)
  }
}

/** One native promise for whatever a function handed out. */
export function follow<T>(work: T | PromiseLike<T>): Promise<T> {
  return isPlain(work) ? work : adopt(work)
}

export function tooLong({ pool, limit, what }: Bounds): TimeoutError {
  return stackless(() => new TimeoutError(pool, limit, `${what} did not end`))
}

function isThenable(value: unknown): boolean {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
