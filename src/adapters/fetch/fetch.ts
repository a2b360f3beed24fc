/**
 * `fetch` with everything around it that a call over a network needs: limits, retries of what may be
 * retried, a circuit and slots for each server. It is called as `fetch` is called, and answers alike.
 */
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { type HeaderPair, HttpDoor, KEY, type Watchable } from '../http/door.ts'
import type { Answer, Attempted } from '../http/exchange.ts'
import type { RouteLevels } from '../http/levels.ts'
import type { BodyLimits } from './body.ts'
import {
  type CallFetch,
  type RequestOverrides,
  type ResilientFetchOptions,
  readFetchOptions,
  readOverrides,
} from './options.ts'
import { describeRequest, type FetchInput, type Outgoing, prepare } from './request.ts'
import { watch } from './response.ts'

/** What `fetch` takes besides the address, and what one request has otherwise. */
export interface ResilientRequestInit extends RequestInit {
  /** What this request has otherwise. */
  readonly resilience?: RequestOverrides | undefined
}

/** `fetch` under protection. */
export interface ResilientFetch extends Watchable {
  (input: string | URL | Request, init?: ResilientRequestInit): Promise<Response>
}

/**
 * Makes a `fetch` that is safe to use for calls to other services.
 *
 * Each origin has a compartment of its own: at most 1,000 requests at a time, 30 s in total, three
 * retries with growing pauses, a circuit breaker, 10 s for each attempt. Retried are connection errors,
 * timeouts, 5xx but 501, 408 and 429; only for idempotent methods, for requests with an `Idempotency-Key`
 * or when you say so, and for any request that could not even be sent. `Retry-After` and rate limit
 * headers are waited for. The total limit and the slot cover the body. The last answer is returned as
 * `fetch` would return it, whatever its status.
 *
 * **Use it** in place of `fetch`, or as the custom `fetch` of an SDK whose own retries are off.
 * **Not for** WebSockets.
 *
 * **Watch out:** a POST that timed out may have taken effect; give it an idempotency key to have it retried.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range. Calls reject with what
 * `fetch` rejects with, with the caller's `signal.reason`, with `TimeoutError` (it may have been sent), or
 * with a `RejectedError` (the last try was not sent).
 *
 * @example
 * ```ts
 * import { resilientFetch } from 'holdfast/fetch'
 *
 * let calls = 0
 * const server = async () => new Response('hello', { status: ++calls < 3 ? 503 : 200 })
 * const fetch = resilientFetch({ fetch: server, retry: { baseDelay: 1 } })
 *
 * const response = await fetch('https://api.example/greeting')
 * await response.text() // => 'hello'
 * calls // => 3
 * ```
 */
export function resilientFetch(options: ResilientFetchOptions = {}): ResilientFetch {
  const door = new FetchDoor(readFetchOptions(options))
  const call = (input: FetchInput, init?: ResilientRequestInit): Promise<Response> => {
    try {
      return door.fetch(input, init)
    } catch (error) {
      return Promise.reject(error)
    }
  }
  Object.defineProperty(call, 'name', { value: 'fetch' })
  return Object.assign(call, {
    stats: () => door.stats(),
    circuits: () => door.circuits(),
    describe: (address: string | URL) => door.describe(address),
    subscribe: (listener: Listener<HoldfastEvent>) => door.subscribe(listener),
  })
}

const IDLE_TIMEOUT = 60_000

class FetchDoor extends HttpDoor {
  readonly #own: ResilientFetchOptions

  constructor(options: ResilientFetchOptions) {
    super(options)
    this.#own = options
  }

  fetch(input: FetchInput, init: ResilientRequestInit | undefined): Promise<Response> {
    const began = this.clock.now()
    const facts = describeRequest(input, init)
    const asked = init?.resilience === undefined ? this.#own.override?.(facts) : init.resilience
    const over = readOverrides(asked, this.#own)
    const key = this.keyFor(facts, over)
    const repeatable = this.isRepeatable(facts, over, key)
    const added = key === undefined ? undefined : ([KEY, key] as const)
    const outgoing = prepare(input, init, added, repeatable)
    const idle = over?.idleTimeout ?? this.#own.idleTimeout ?? IDLE_TIMEOUT
    const { signal } = facts
    return this.send({
      facts,
      route: routeIn(over),
      call: over,
      repeatable,
      replayable: outgoing.replayable,
      send: (attempt, name) => this.#send(outgoing, attempt, { name, began, idle, signal }),
    })
  }

  async #send(
    outgoing: Outgoing,
    attempt: Attempted,
    { name, began, idle, signal: callers }: Pick<BodyLimits, 'name' | 'began' | 'idle' | 'signal'>,
  ): Promise<Answer<Response>> {
    const { controller } = attempt.aborter
    const { signal } = controller
    const fetch = (this.#own.fetch ?? globalThis.fetch) as CallFetch
    const { input } = outgoing
    const init = { ...outgoing.init, signal }
    const told = this.telling(attempt)
    if (told.length > 0) init.headers = toldTo(init.headers, told)
    if (outgoing.body !== undefined) init.body = (await outgoing.body(signal)) ?? null
    const response = await fetch(input, init)
    // What a test puts in the place of fetch may be anything.
    const { status = 200, headers } = response ?? {}
    const header = (name: string): string | null | undefined => headers?.get?.(name)
    // An event stream has no end: its head is what the total limit is for.
    const endless = /^text\/event-stream\b/i.test(header('content-type') ?? '')
    const deadline = endless ? Number.POSITIVE_INFINITY : attempt.deadline()
    const limits = { name, clock: this.clock, began, deadline, idle, signal: callers }
    const watched = watch(response, limits, controller)
    return { value: response, status, header, ...watched }
  }
}

/** The levels of its own that one request asks for, by the object that says so. */
function routeIn(over: RequestOverrides | undefined): RouteLevels | undefined {
  const isOther =
    over?.timeout !== undefined || over?.retry !== undefined || over?.attemptTimeout !== undefined
  return isOther ? over : undefined
}

/** What the request says already is not said anew. */
function toldTo(given: RequestInit['headers'], told: readonly HeaderPair[]): Headers {
  const headers = new Headers(given)
  for (const [name, value] of told) {
    if (!headers.has(name)) headers.set(name, value)
  }
  return headers
}
