/** What a guard knows of a request. */
import type { IncomingMessage } from 'node:http'

/** A request as far as a guard looks at it. */
export interface GuardedRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** The value of a header, by its lower-case name. */
  header(name: string): string | undefined
}

export class NodeRequest implements GuardedRequest {
  readonly #request: IncomingMessage
  /** Whoever is told of a request may take it apart. */
  readonly header = (name: string): string | undefined => headerOf(this.#request.rawHeaders, name)

  constructor(request: IncomingMessage) {
    this.#request = request
  }

  get method(): string {
    return this.#request.method ?? 'GET'
  }

  get url(): string {
    // Express takes off the path that it is mounted at.
    const { originalUrl } = this.#request as { readonly originalUrl?: string }
    return pathOf(originalUrl ?? this.#request.url ?? '/')
  }
}

/** Path and query, where the whole address is given too. */
export function pathOf(url: string): string {
  if (url.startsWith('/')) return url
  const [, path] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^#]*)/i.exec(url) ?? []
  if (path === undefined) return url
  return path.startsWith('/') ? path : `/${path}`
}

/** `request.headers` is made when it is first read, and costs more than all that a guard does. */
function headerOf(raw: readonly string[], name: string): string | undefined {
  const wanted = name.toLowerCase()
  let value: string | undefined
  for (let at = 0; at < raw.length; at += 2) {
    const found = raw[at] as string
    if (found.length !== wanted.length || found.toLowerCase() !== wanted) continue
    value = value === undefined ? raw[at + 1] : `${value}, ${raw[at + 1]}`
  }
  return value
}
