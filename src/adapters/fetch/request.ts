/**
 * A request that may have to be sent several times: what it says, and whether its body can be sent again
 * byte for byte.
 */
import { type Described, originOf } from '../http/options.ts'
import { plainOrigin } from '../http/origin.ts'
import { endingWith, streamOf } from './ending-stream.ts'
import { KeptBody } from './kept-body.ts'

/** What `fetch` takes. A `Request` of any implementation, the user's own undici included. */
export type FetchInput = string | URL | Request

/** The part of a `Request` that is used here, whichever class it is of. */
interface RequestLike {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly signal: AbortSignal | null
  readonly body: ReadableStream<Uint8Array> | null
  readonly bodyUsed: boolean
}

/** A request as it is handed to `fetch`, once for each attempt. */
export interface Outgoing {
  readonly input: FetchInput
  readonly init: RequestInit
  /** Whether the body is still there. */
  replayable(): boolean
  /** Gives the body, where it has to be read before it can be sent; rejects when `signal` aborts meanwhile. */
  readonly body?: ((signal: AbortSignal) => Promise<RequestInit['body']>) | undefined
}

/**
 * @throws TypeError for an address that is not absolute.
 */
export function describeRequest(input: FetchInput, init: RequestInit | undefined): Described {
  return new Description(isRequest(input) ? input : undefined, String(input), init)
}

class Description implements Described {
  readonly origin: string
  readonly method: string
  readonly signal: AbortSignal | undefined
  readonly #address: string
  readonly #headers: RequestInit['headers']
  #url: URL | undefined
  /** Whoever is told of a request may take it apart. */
  readonly header = (name: string): string | null =>
    this.#headers === undefined ? null : new Headers(this.#headers).get(name)

  constructor(request: RequestLike | undefined, input: string, init: RequestInit | undefined) {
    this.#address = request?.url ?? input
    this.#headers = init?.headers ?? request?.headers
    this.method = String(init?.method ?? request?.method ?? 'GET')
    this.signal = (init?.signal === undefined ? request?.signal : init.signal) ?? undefined
    this.origin = plainOrigin(this.#address) ?? originOf(this.url)
  }

  get url(): URL {
    this.#url ??= parseUrl(this.#address)
    return this.#url
  }
}

/**
 * Takes everything as it is now, as `fetch` does: bytes, headers and addresses are copied, forms are written
 * out once, so that a caller who changes them later changes no later attempt. A stream is sent once.
 */
export function prepare(
  input: FetchInput,
  given: RequestInit | undefined,
  added: readonly [name: string, value: string] | undefined,
  repeatable: boolean,
): Outgoing {
  const request = isRequest(input) ? input : undefined
  const init = plainInit(given)
  const headers = init.headers ?? request?.headers
  if (added !== undefined) {
    init.headers = new Headers(headers)
    init.headers.set(...added)
  } else if (headers !== undefined) init.headers = copiedHeaders(headers)
  // An address is a URL that may be changed, or whatever else can be written as one.
  const target = request ?? String(input)
  const { body } = init
  if (body !== undefined && body !== null) return withBody(target, init, body, repeatable)
  if (request === undefined || request.body === null || request.bodyUsed || request.body.locked) {
    return { input: target, init, replayable: always }
  }
  const kept = new KeptBody(request.body)
  return {
    input: request,
    init: { ...init, duplex: 'half' } as RequestInit,
    replayable: () => kept.isThere,
    body: (signal) => kept.read(signal),
  }
}

function copiedHeaders(headers: GivenHeaders): GivenHeaders {
  if (typeof headers !== 'object') return headers
  if (!(Symbol.iterator in headers)) return { ...headers }
  return Array.from(headers, ([...pair]) => pair as [string, string])
}

type GivenHeaders = NonNullable<RequestInit['headers']>

function withBody(
  input: FetchInput,
  init: RequestInit,
  body: NonNullable<RequestInit['body']>,
  repeatable: boolean,
): Outgoing {
  if (isStream(body)) {
    const unread = (): boolean => isUnread(body)
    const current = async (signal: AbortSignal) => (unread() ? endingWith(body, signal) : body)
    return { input, init, replayable: unread, body: current }
  }
  if (typeof body === 'object' && Symbol.asyncIterator in body) {
    const stream = streamOf(body as AsyncIterable<Uint8Array>)
    const once = async (signal: AbortSignal) => (stream ? endingWith(stream, signal) : body)
    return { input, init, replayable: never, body: once }
  }
  if (!(body instanceof FormData)) {
    return { input, init: { ...init, body: copyOf(body) }, replayable: always }
  }
  // What is not repeated after it was sent need not stand in memory.
  if (!repeatable) return { input, init: { ...init, body: copyOfForm(body) }, replayable: always }
  const written = new Response(body)
  const headers = new Headers(init.headers)
  const type = written.headers.get('content-type')
  if (!headers.has('content-type') && type !== null) headers.set('content-type', type)
  let bytes: Promise<ArrayBuffer> | undefined
  return {
    input,
    init: { ...init, headers },
    replayable: always,
    body() {
      bytes ??= written.arrayBuffer()
      return bytes
    },
  }
}

function copyOf(body: NonNullable<RequestInit['body']>): NonNullable<RequestInit['body']> {
  if (body instanceof URLSearchParams) return new URLSearchParams(body)
  if (body instanceof ArrayBuffer) return body.slice(0)
  if (!ArrayBuffer.isView(body)) return body
  return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice()
}

function copyOfForm(form: FormData): FormData {
  const copy = new FormData()
  for (const [name, value] of form) copy.append(name, value)
  return copy
}

/** Getters and inherited options are read here, once, as `fetch` would read them. */
function plainInit(init: RequestInit | undefined): RequestInit {
  if (init === undefined || init === null) return {}
  const copy: Record<string, unknown> = {}
  for (const name in init) {
    if (MISPLACED.has(name)) {
      throw new TypeError(`resilientFetch: ${name} belongs into resilience: { ${name} }`)
    }
    copy[name] = init[name as keyof RequestInit]
  }
  delete copy['resilience']
  return copy
}

/** Options of one request that no `fetch` has: where they stand they would do nothing. */
const MISPLACED: ReadonlySet<string> = new Set([
  'attemptTimeout',
  'idleTimeout',
  'idempotent',
  'idempotencyKey',
])

function parseUrl(address: string): URL {
  const page = (globalThis as { location?: { href?: string } }).location?.href
  try {
    return new URL(address, page)
  } catch (cause) {
    const shown = address.length > 80 ? `${address.slice(0, 80)}...` : address
    throw new TypeError(
      `resilientFetch: ${JSON.stringify(shown)} is no absolute address, and there is no page that it could be relative to; give it with https:// and host`,
      { cause },
    )
  }
}

function isRequest(input: unknown): input is Request & RequestLike {
  if (typeof input !== 'object' || input === null || input instanceof URL) return false
  const { url, method } = input as Partial<RequestLike>
  return typeof url === 'string' && typeof method === 'string'
}

function isStream(body: unknown): body is ReadableStream<Uint8Array> {
  return typeof (body as { getReader?: unknown }).getReader === 'function'
}

/** There is no other way to ask: only a stream that nobody has read from makes a response. */
function isUnread(stream: ReadableStream<Uint8Array>): boolean {
  if (stream.locked) return false
  try {
    new Response(stream)
    return true
  } catch {
    return false
  }
}

function always(): boolean {
  return true
}

function never(): boolean {
  return false
}
