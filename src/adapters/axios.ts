/**
 * The door `holdfast/axios`: an adapter around the user's own axios adapter. Retries run below the user's
 * interceptors, which see one request and one answer.
 */
import { type HoldfastEvent, type Listener, quiet } from '../core/events.ts'
import { checkOption, fn, readOptions } from '../core/options.ts'
import { callerOf } from './http/caller.ts'
import { type HeaderPair, HttpDoor, KEY, type Watchable } from './http/door.ts'
import type { Answer } from './http/exchange.ts'
import { canReplay, emptied, endOf } from './http/node-body.ts'
import {
  checkHttpOptions,
  type Described,
  type HttpOptions,
  httpChecks,
  originOf,
} from './http/options.ts'

/** Options of {@link resilientAdapter}. */
export interface ResilientAdapterOptions extends HttpOptions {}

/** The part of an axios request that is used here. */
export interface AxiosRequest {
  readonly url?: string | undefined
  readonly baseURL?: string | undefined
  readonly method?: string | undefined
  readonly headers: AxiosHeaders
  readonly data?: unknown
  readonly signal?: unknown
  readonly cancelToken?: unknown
  readonly validateStatus?: ((status: number) => boolean) | null | undefined
}

/** The part of axios' headers that is used here. */
export interface AxiosHeaders {
  get(name: string): unknown
  set(name: string, value: string): unknown
}

/** The part of an axios answer that is used here. */
export interface AxiosAnswer {
  readonly status: number
  readonly headers: unknown
  readonly data: unknown
}

/** What axios takes as `adapter`. */
export interface ResilientAdapter<C, R> extends Watchable {
  (config: C): Promise<R>
}

/**
 * Puts an axios adapter under protection: `axios.create({ adapter: resilientAdapter(…) })`.
 *
 * Levels, retries and options are those of `resilientFetch`. A status that `validateStatus` refuses
 * rejects with axios' own error, once, after the last attempt. With `responseType: 'stream'` the total
 * limit and the slot cover the stream.
 *
 * **Use it** in place of `axios-retry`. **Not for** browsers' upload progress: each attempt starts anew.
 *
 * **Watch out:** an abort rejects with axios' `CanceledError`, as axios has it.
 *
 * @param adapter - What sends: `axios.getAdapter('http')`, or `axios.getAdapter(axios.defaults.adapter)`.
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { resilientAdapter } from 'holdfast/axios'
 *
 * let calls = 0
 * const send = async () => ({ status: ++calls < 3 ? 503 : 200, headers: {}, data: 'hello' })
 * const adapter = resilientAdapter(send, { retry: { baseDelay: 1 } })
 * const headers = new Headers()
 * const { data } = await adapter({ url: 'https://api.example/', method: 'get', headers })
 * data // => 'hello'
 * ```
 */
export function resilientAdapter<C extends object, R extends object>(
  adapter: (config: C) => Promise<R>,
  options: ResilientAdapterOptions = {},
): ResilientAdapter<C & AxiosRequest, R> {
  checkOption('resilientAdapter', 'adapter', adapter, fn)
  const given = readOptions('resilientAdapter', options, httpChecks)
  checkHttpOptions('resilientAdapter', given)
  const door = new HttpDoor(given)
  const send = adapter as unknown as Send
  const call = (config: C & AxiosRequest): Promise<R> =>
    run(door, send, config) as Promise<unknown> as Promise<R>
  return Object.assign(call, {
    stats: () => door.stats(),
    circuits: () => door.circuits(),
    describe: (address: string | URL) => door.describe(address),
    subscribe: (listener: Listener<HoldfastEvent>) => door.subscribe(listener),
  })
}

type Send = (config: AxiosRequest) => Promise<AxiosAnswer>

/** An answer, or the error by which axios says that it was one of a bad status. */
type Settled = () => AxiosAnswer

async function run(door: HttpDoor, send: Send, config: AxiosRequest): Promise<AxiosAnswer> {
  const caller = callerOf(config)
  const facts = describeConfig(config, caller.signal)
  const key = door.keyFor(facts, undefined)
  if (key !== undefined) config.headers.set(KEY, key)
  let ended: Promise<unknown> | undefined
  try {
    const settled = await door.send<Settled>({
      facts,
      repeatable: door.isRepeatable(facts, undefined, key),
      replayable: () => canReplay(config.data),
      send: async (attempt, name) => {
        const { controller } = attempt.aborter
        try {
          const told = door.telling(attempt).filter(([header]) => facts.header(header) === null)
          const headers = withHeaders(config.headers, told)
          const { signal } = controller
          const response = await send({ ...config, headers, signal, cancelToken: undefined })
          return answerOf(response, () => response)
        } catch (error) {
          const { response } = error as { response?: AxiosAnswer }
          // With a status that is accepted, it is the body that broke off.
          if (response === undefined || config.validateStatus?.(response.status) !== false)
            throw error
          return answerOf(response, () => {
            throw error
          })
        }

        function answerOf(response: AxiosAnswer, value: Settled): Answer<Settled> {
          const { status, headers, data } = response
          const abort = (reason: unknown): void => controller.abort(reason)
          const limits = { name, clock: door.clock, deadline: attempt.deadline() }
          ended = endOf(data, { ...limits, signal: caller.signal, abort })
          return {
            ...{ value, status, header: (one) => headerOf(headers, one) },
            ended,
            discard: () => emptied(data),
          }
        }
      },
    })
    return settled()
  } finally {
    quiet((ended ?? Promise.resolve()).finally(caller.forget))
  }
}

/** Each attempt has headers of its own: what it tells must not stay in a config that is used again. */
function withHeaders(headers: AxiosHeaders, added: readonly HeaderPair[]): AxiosHeaders {
  if (added.length === 0) return headers
  const Headers = headers.constructor as new (from: AxiosHeaders) => AxiosHeaders
  const copy = new Headers(headers)
  for (const [name, value] of added) copy.set(name, value)
  return copy
}

function describeConfig(
  { baseURL, url = '', method = 'get', headers }: AxiosRequest,
  signal: AbortSignal | undefined,
): Described {
  const isAbsolute = /^(?:[a-z][a-z\d+.-]*:)?\/\//i.test(url)
  const address = parse(
    isAbsolute || !baseURL ? url : `${baseURL.replace(/\/+$/, '')}/${url.replace(/^\/+/, '')}`,
  )
  return {
    origin: originOf(address),
    url: address,
    method: method.toUpperCase(),
    signal,
    header: (name) => headerOf(headers, name) ?? null,
  }
}

/** Axios takes relative addresses in browsers; there the page says what they are relative to. */
function parse(address: string): URL {
  const page = (globalThis as { location?: { href?: string } }).location?.href
  try {
    return new URL(address, page)
  } catch (cause) {
    throw new TypeError(
      `resilientAdapter: ${JSON.stringify(address)} is no absolute address; give it one, or a baseURL`,
      { cause },
    )
  }
}

function headerOf(headers: unknown, name: string): string | undefined {
  const { get } = headers as { get?: (name: string) => unknown }
  const found =
    typeof get === 'function'
      ? get.call(headers, name)
      : (headers as Record<string, unknown>)?.[name]
  return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined
}
