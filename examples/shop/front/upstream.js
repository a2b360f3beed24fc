/**
 * How both front ends call a service: JSON in, JSON out, an error for a bad status. What sends the
 * request is where the two differ: `fetch` as it is, or `fetch` behind Holdfast.
 */

/** A service answered, but not with what was asked for. */
export class HttpError extends Error {
  /**
   * @param {string} service
   * @param {number} status
   */
  constructor(service, status) {
    super(`${service} answered ${status}`)
    this.name = 'HttpError'
    this.status = status
  }
}

/**
 * @typedef {object} CallOptions
 * @property {string} [method]
 * @property {unknown} [body]
 * @property {string} [key] - Idempotency key: the same key is carried out once.
 * @property {AbortSignal | undefined} [signal]
 *
 * @typedef {(service: string, path: string, options?: CallOptions) => Promise<any>} Call
 * @typedef {(url: string, init: RequestInit) => Promise<Response>} Fetch
 */

/**
 * @param {object} options
 * @param {string} options.shop - Who calls, for the services' books.
 * @param {Record<string, string>} options.urls - Where each service is.
 * @param {(service: string) => Fetch} options.fetchTo - What sends the requests to a service.
 * @returns {Call}
 */
export function createCall({ shop, urls, fetchTo }) {
  return async (service, path, { method = 'GET', body, key, signal } = {}) => {
    /** @type {Record<string, string>} */
    const headers = { 'x-shop': shop }
    if (key !== undefined) headers['idempotency-key'] = key
    if (body !== undefined) headers['content-type'] = 'application/json'

    const response = await fetchTo(service)(`${urls[service]}${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    })
    // Read it even if it is bad news: a connection with an unread answer cannot be used again.
    const answer = await response.json()
    if (!response.ok) throw new HttpError(service, response.status)
    return answer
  }
}

/**
 * `fetch`, and a book of what leaves: both front ends send through it.
 *
 * @param {(service: string, isRetry: boolean) => void} onSend
 * @returns {(service: string) => Fetch}
 */
export function countingFetch(onSend) {
  return (service) => (url, init) => {
    // `2/3` is the second of at most three attempts.
    const attempt = new Headers(init.headers).get('x-attempt') ?? '1'
    onSend(service, Number.parseInt(attempt, 10) > 1)
    return fetch(url, init)
  }
}
