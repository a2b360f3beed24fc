/**
 * How both front ends call a service: plain `fetch`, JSON in, JSON out, an error for a bad status.
 * What is done about the error is where the two differ.
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
 */

/**
 * @param {object} options
 * @param {string} options.shop - Who calls, for the services' books.
 * @param {Record<string, string>} options.urls - Where each service is.
 * @param {(service: string) => void} options.onSend - Told of every call that leaves.
 * @returns {Call}
 */
export function createCall({ shop, urls, onSend }) {
  return async (service, path, { method = 'GET', body, key, signal } = {}) => {
    /** @type {Record<string, string>} */
    const headers = { 'x-shop': shop }
    if (key !== undefined) headers['idempotency-key'] = key
    if (body !== undefined) headers['content-type'] = 'application/json'

    onSend(service)
    const response = await fetch(`${urls[service]}${path}`, {
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
