/**
 * Many addresses, so many at a time. A response is whatever the server said; nothing is dropped.
 */
import { quiet } from '../../core/events.ts'
import { type Check, fn, optional, readOptions, withMethods } from '../../core/options.ts'
import type { AlternativeOf, PolicyLike } from '../../core/policy.ts'
import { runMap } from './map.ts'
import { type AnyPolicy, type ItemContext, type MapOptions, mapChecks } from './options.ts'
import type { Items } from './source.ts'

/** What `fetchAll` calls: `fetch`, or anything that is called the same way. */
export type Fetch = (url: string | URL, init: RequestInit) => PromiseLike<Response>

/** Options of {@link fetchAll}. */
export interface FetchAllOptions<T = Response, P extends AnyPolicy = PolicyLike>
  extends MapOptions<P> {
  /** What is called. @default globalThis.fetch, as it is at the time of the call */
  readonly fetch?: Fetch | undefined
  /** For every request: method, headers and so on. Its `signal` is replaced. @default none */
  readonly init?: RequestInit | undefined
  /** Makes the result of a response while it still holds its place, such as its JSON. @default the response itself */
  readonly read?: ((response: Response, context: ItemContext) => T | PromiseLike<T>) | undefined
}

/**
 * Fetches every address, at most `concurrency` at a time, and gives the responses in order.
 *
 * Everything that `mapConcurrent` can do holds here. Each request gets a signal that is aborted when
 * nobody waits for it any more. A response is a result whatever its status, as with `fetch`; only a
 * request that failed is an error. With `read`, reading the body is part of the work: it counts for
 * `concurrency`, and is repeated and limited by `policy`. If it stops early, bodies that nobody will
 * get are cancelled, so that their connections are free, unless `onStop` is there to take them; so is
 * what a `read` that fails has left unread.
 *
 * **Use it** for a list of addresses. **Not for** crawling one host without asking: its limit is not yours.
 *
 * **Watch out:** without `read` all responses hold their connections until you have read them.
 *
 * @throws TypeError or RangeError (as a rejection) on wrong arguments; nothing was called.
 *
 * @example
 * ```ts
 * import { fetchAll } from 'holdfast'
 *
 * const fetch = async (url: string | URL) => new Response(`page of ${url}`)
 * await fetchAll(['/a', '/b'], { fetch, concurrency: 10, read: (response) => response.text() })
 * // => ['page of /a', 'page of /b']
 * ```
 */
export function fetchAll<T = Response, P extends AnyPolicy = PolicyLike>(
  urls: Items<string | URL>,
  options: FetchAllOptions<T, P> & { readonly settle: true },
): Promise<PromiseSettledResult<T | AlternativeOf<P>>[]>
export function fetchAll<T = Response, P extends AnyPolicy = PolicyLike>(
  urls: Items<string | URL>,
  options?: FetchAllOptions<T, P>,
): Promise<(T | AlternativeOf<P>)[]>
export async function fetchAll(
  urls: Items<string | URL>,
  options: FetchAllOptions<unknown, AnyPolicy> = {},
): Promise<unknown[]> {
  if (typeof urls === 'string') {
    throw new TypeError('fetchAll: urls must be a list of addresses, but was one; give [url]')
  }
  const given = readOptions<FetchAllOptions<unknown, AnyPolicy>>('fetchAll', options, checks)
  const { read, init, fetch = globalThis.fetch } = given
  const get = async (url: string | URL, context: ItemContext): Promise<unknown> => {
    const response = await fetch(url, { ...init, signal: context.signal })
    if (read === undefined) return response
    try {
      return await read(response, context)
    } catch (error) {
      // What it did not read is nobody's: the next try needs the connection.
      cancelBody(response)
      throw error
    }
  }
  const isHeld = read !== undefined || given.onStop !== undefined
  return runMap(urls, get, given, isHeld ? undefined : cancelBody)
}

const checks: Readonly<Record<keyof FetchAllOptions, Check>> = {
  ...mapChecks,
  fetch: optional(fn),
  init: optional({ ...withMethods('a RequestInit'), expected: 'a RequestInit' }),
  read: optional(fn),
}

/** Frees the connection of a response that nobody will read. */
function cancelBody(result: unknown): void {
  try {
    const { body } = (result as { value?: Response }).value ?? (result as Response)
    if (!body?.locked) quiet(body?.cancel())
  } catch {
    // What it stopped for is what the caller needs to hear.
  }
}
