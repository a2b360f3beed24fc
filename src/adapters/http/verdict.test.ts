import { describe, expect, it } from 'vitest'
import {
  isCertificateFailure,
  isConnectFailure,
  isIdempotentMethod,
  isTransientStatus,
} from './verdict.ts'

const failed = (code: string, syscall?: string): Error =>
  Object.assign(new Error(code), { code, syscall })
const fetchFailed = (cause: unknown): TypeError => new TypeError('fetch failed', { cause })

describe('isTransientStatus', () => {
  it('is true for 408, 429 and every 5xx but 501, and for nothing else', () => {
    const transient = Array.from({ length: 600 }, (_, status) => status).filter(isTransientStatus)
    const expected = Array.from({ length: 100 }, (_, n) => 500 + n).filter((n) => n !== 501)
    expect(transient).toEqual([408, 429, ...expected])
  })
})

describe('isIdempotentMethod', () => {
  it.each(['GET', 'head', 'Options', 'TRACE', 'PUT', 'delete'])('knows %s', (method) => {
    expect(isIdempotentMethod(method)).toBe(true)
  })
  it.each(['POST', 'patch', 'CONNECT', 'PROPFIND', 'QUERY', '', 'GETTING'])(
    'trusts no %s',
    (method) => {
      expect(isIdempotentMethod(method)).toBe(false)
    },
  )
})

describe('isConnectFailure', () => {
  it.each([
    ['a refusal', fetchFailed(failed('ECONNREFUSED', 'connect'))],
    ['an unknown host', fetchFailed(failed('ENOTFOUND', 'getaddrinfo'))],
    ['a name server that is busy', failed('EAI_AGAIN')],
    ['a timeout of the connection', fetchFailed(failed('UND_ERR_CONNECT_TIMEOUT'))],
    ['a timeout of the system', failed('ETIMEDOUT', 'connect')],
    [
      'all addresses of a host',
      new AggregateError([failed('x', 'connect'), failed('y', 'connect')]),
    ],
    ['a refusal far down', fetchFailed(new Error('a', { cause: failed('ECONNREFUSED') }))],
  ])('is %s', (_what, error) => {
    expect(isConnectFailure(error)).toBe(true)
  })

  it.each([
    ['a reset', fetchFailed(failed('ECONNRESET', 'read'))],
    ['a broken pipe', failed('EPIPE', 'write')],
    ['a socket that was closed', fetchFailed(failed('UND_ERR_SOCKET'))],
    ['a timeout of the answer', failed('ETIMEDOUT', 'read')],
    [
      'one address of two',
      new AggregateError([failed('x', 'connect'), failed('ECONNRESET', 'read')]),
    ],
    ['no error', undefined],
    ['text', 'ECONNREFUSED'],
    ['an error that is its own cause', circular()],
    ['an error whose getters throw', hostile()],
  ])('is not %s', (_what, error) => {
    expect(isConnectFailure(error)).toBe(false)
  })
})

describe('isCertificateFailure', () => {
  it.each([
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ])('is %s', (code) => {
    expect(isCertificateFailure(fetchFailed(failed(code)))).toBe(true)
  })

  it('is no reset', () => {
    expect(isCertificateFailure(fetchFailed(failed('ECONNRESET')))).toBe(false)
  })
})

function circular(): Error {
  const error = new Error('round')
  error.cause = error
  return error
}

function hostile(): object {
  return Object.defineProperty({}, 'code', {
    get: () => {
      throw new Error('no')
    },
  })
}
