/**
 * The door `holdfast/ky`: ky takes a `fetch`, and everything else follows from that.
 */

import { type ResilientFetch, resilientFetch } from './fetch/fetch.ts'
import type { ResilientFetchOptions } from './fetch/options.ts'

/** What `ky.create` and `ky.extend` take. */
export interface KyExtension {
  readonly fetch: ResilientFetch
  readonly retry: 0
  readonly timeout: false
}

/**
 * Puts requests of ky under protection: `ky.create(resilientKy())`.
 *
 * A `resilientFetch` with these options, in place of ky's own retries and timeout. Ky's hooks and its
 * `HTTPError` see the last answer.
 *
 * **Use it** in place of ky's `retry` and `timeout`. **Not for** single requests: make one, and keep it.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { resilientKy } from 'holdfast/ky'
 *
 * const { fetch, retry } = resilientKy({ fetch: async () => new Response('hello') })
 * await (await fetch('https://api.example/')).text() // => 'hello'
 * retry // => 0
 * ```
 */
export function resilientKy(options: ResilientFetchOptions = {}): KyExtension {
  return { fetch: resilientFetch(options), retry: 0, timeout: false }
}
