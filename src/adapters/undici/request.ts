/**
 * What stands in the options of a dispatch.
 */
import type { HeaderPair } from '../http/door.ts'
import { type Described, originOf } from '../http/options.ts'
import { plainOrigin } from '../http/origin.ts'

/** The part of the options of a dispatch that is used here. */
export interface DispatchOptions {
  readonly origin?: string | URL | undefined
  readonly path: string
  readonly method: string
  readonly headers?: unknown
  readonly body?: unknown
  readonly upgrade?: unknown
}

export function describeDispatch(options: DispatchOptions, signal: AbortSignal): Described {
  return new Description(options, signal)
}

class Description implements Described {
  readonly origin: string
  readonly method: string
  readonly signal: AbortSignal
  readonly #options: DispatchOptions
  #url: URL | undefined
  /** Whoever is told of a request may take it apart. */
  readonly header = (name: string): string | null => {
    const { headers } = this.#options
    if (headers === undefined || headers === null) return null
    return entriesOf(headers).find(([found]) => found.toLowerCase() === name)?.[1] ?? null
  }

  constructor(options: DispatchOptions, signal: AbortSignal) {
    this.#options = options
    this.method = options.method
    this.signal = signal
    const { origin } = options
    this.origin = (typeof origin === 'string' && plainOrigin(origin)) || originOf(this.url)
  }

  get url(): URL {
    const { origin = '', path } = this.#options
    this.#url ??= new URL(path, origin)
    return this.#url
  }
}

/** The request with further headers; what it had of these is replaced. */
export function withHeaders(
  options: DispatchOptions,
  added: readonly HeaderPair[],
): DispatchOptions {
  if (added.length === 0) return options
  const names = new Set(added.map(([name]) => name))
  const kept = entriesOf(options.headers).filter(([name]) => !names.has(name.toLowerCase()))
  return { ...options, headers: [...kept, ...added].flat() }
}

/** Undici takes a flat list, pairs of anything that can be iterated, or an object. */
function entriesOf(headers: unknown): [string, string][] {
  if (typeof headers !== 'object' || headers === null) return []
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    const pairs: [string, string][] = []
    for (let at = 0; at + 1 < headers.length; at += 2) {
      pairs.push([String(headers[at]), String(headers[at + 1])])
    }
    return pairs
  }
  const entries =
    Symbol.iterator in headers ? (headers as Iterable<unknown[]>) : Object.entries(headers)
  return [...entries].flatMap(([name, value]): [string, string][] =>
    value === undefined || value === null
      ? []
      : (Array.isArray(value) ? value : [value]).map((one) => [String(name), String(one)]),
  )
}
