/**
 * What is worth another try, and what may be tried again: two questions, kept apart.
 * The first is about the failure, the second about the request.
 */

/** Server errors but 501, and the two client errors that ask for patience (RFC 9110 §15). */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

/** Methods that may be repeated without changing what they do (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Unknown methods are not: nobody knows what they do. */
export function isIdempotentMethod(method: string): boolean {
  return IDEMPOTENT.has(method.toUpperCase())
}

/** The request cannot have been sent: there was no connection to send it on. */
export function isConnectFailure(error: unknown): boolean {
  return anyCause(error, ({ code, syscall }) => {
    if (syscall === 'connect' || syscall === 'getaddrinfo') return true
    return typeof code === 'string' && NO_CONNECTION.has(code)
  })
}

/** A certificate that was not accepted will not be the next time. */
export function isCertificateFailure(error: unknown): boolean {
  return anyCause(error, ({ code }) => typeof code === 'string' && CERTIFICATE.test(code))
}

const NO_CONNECTION = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

const CERTIFICATE =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(?:GET|VERIFY)_|HOSTNAME_MISMATCH)/

interface Failure {
  readonly code?: unknown
  readonly syscall?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
}

/** How deep clients wrap what went wrong. */
const DEPTH = 4

/** Looks at an error, its causes, and all attempts of a connection that tried several addresses. */
function anyCause(error: unknown, holds: (failure: Failure) => boolean, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > DEPTH) return false
  try {
    const failure = error as Failure
    if (holds(failure)) return true
    const { errors, cause } = failure
    if (Array.isArray(errors) && errors.length > 0) {
      return errors.every((one) => anyCause(one, holds, depth + 1))
    }
    return anyCause(cause, holds, depth + 1)
  } catch {
    return false
  }
}
