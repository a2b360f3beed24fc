import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { bulkheadFull, revokedProxy } from '../../test/support/thrown.ts'
import { CircuitOpenError, TimeoutError } from './errors.ts'
import { judge, retryAfterOf, statusOf, succeeded, unsuccessful, unwrap } from './outcome.ts'

const full = bulkheadFull('slots')
const named = (name: string, message = 'boom'): Error =>
  Object.defineProperty(new Error(message), 'name', { value: name })
const hostile = (property: string): object =>
  Object.defineProperty({}, property, {
    get() {
      throw new Error('a getter that throws')
    },
  })

describe('an Outcome', () => {
  it('holds a result, whatever it is', () => {
    expect(succeeded(undefined)).toEqual({
      ending: 'succeeded',
      value: undefined,
      error: undefined,
    })
    expect(unwrap(succeeded(null))).toBe(null)
  })

  it.each(['failed', 'timedOut', 'rejected', 'aborted'] as const)(
    'throws what made it one that %s, as it came',
    (ending) => {
      const outcome = unsuccessful(ending, undefined)

      expect(outcome).toEqual({ ending, value: undefined, error: undefined })
      let thrown: unknown = 'nothing'
      try {
        unwrap(outcome)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBe(undefined)
    },
  )
})

describe('judge', () => {
  it.each<[string, unknown, string]>([
    ['an unknown error', new Error('down'), 'transient'],
    ['a string', 'down', 'transient'],
    ['null', null, 'transient'],
    ['undefined', undefined, 'transient'],
    ['an object without a status', {}, 'transient'],
    ['our own timeout', new TimeoutError('total', 5), 'transient'],
    ['a connection error', Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'transient'],
    ['an open circuit', new CircuitOpenError('c', 'open', 1, ''), 'rejected'],
    ['a full bulkhead', full, 'rejected'],
    ['an abort', named('AbortError'), 'aborted'],
    ['the default reason of an abort', AbortSignal.abort().reason, 'aborted'],
    ['a TimeoutError of the platform', named('TimeoutError'), 'transient'],
    ['a TypeError', new TypeError('x is not a function'), 'bug'],
    ['a ReferenceError', new ReferenceError('x'), 'bug'],
    ['a SyntaxError', new SyntaxError('x'), 'bug'],
    ['a RangeError', new RangeError('x'), 'bug'],
    ['an EvalError', new EvalError('x'), 'bug'],
    ['a URIError', new URIError('x'), 'bug'],
    ['an AssertionError', new AssertionError({ message: 'x' }), 'bug'],
    ['an AssertionError by name', named('AssertionError'), 'bug'],
    ['an assertion by code', Object.assign(new Error('x'), { code: 'ERR_ASSERTION' }), 'bug'],
    ['a subclass of TypeError', new (class Wrong extends TypeError {})('x'), 'bug'],
    ['a TypeError of another realm, by name', named('TypeError'), 'bug'],
    ['a plain object that is called TypeError', { name: 'TypeError' }, 'transient'],
    ['a failed fetch of undici', new TypeError('fetch failed'), 'transient'],
    ['a failed fetch of Chrome', new TypeError('Failed to fetch'), 'transient'],
    ['a failed fetch of Firefox', new TypeError('NetworkError when attempting'), 'transient'],
    ['a failed fetch of Safari', new TypeError('Load failed'), 'transient'],
    ['a broken body of undici', new TypeError('terminated'), 'transient'],
    ['a failed fetch of Deno', new TypeError('error sending request for url'), 'transient'],
    [
      'a TypeError with a cause that has a code',
      new TypeError('whatever', { cause: { code: 'ECONNREFUSED' } }),
      'transient',
    ],
    [
      'a fetch of what is no URL',
      new TypeError('fetch failed', { cause: { code: 'ERR_INVALID_URL' } }),
      'bug',
    ],
    [
      'a fetch by an unknown scheme',
      new TypeError('fetch failed', { cause: new Error('unknown scheme') }),
      'bug',
    ],
    [
      'a fetch that was sent in circles',
      new TypeError('fetch failed', { cause: new Error('redirect count exceeded') }),
      'bug',
    ],
    [
      'a fetch that lost its connection',
      new TypeError('fetch failed', { cause: new Error('other side closed') }),
      'transient',
    ],
    [
      'a fetch whose answer was no HTTP, to an undici that gives it no code',
      new TypeError('terminated', {
        cause: Object.assign(new Error('Invalid character in chunk size'), {
          name: 'HTTPParserError',
        }),
      }),
      'transient',
    ],
    [
      'a fetch with a cause whose code is no text',
      new TypeError('fetch failed', { cause: { code: 5 } }),
      'transient',
    ],
    [
      'a TypeError that is no fetch, caused by a lost connection',
      new TypeError('x', { cause: new Error('other side closed') }),
      'bug',
    ],
    ['a TypeError with a cause without a code', new TypeError('x', { cause: {} }), 'bug'],
    ['a TypeError caused by null', new TypeError('x', { cause: null }), 'bug'],
    ['a TypeError caused by a string', new TypeError('x', { cause: 'y' }), 'bug'],
    ['a RangeError with the words of fetch', new RangeError('fetch failed'), 'bug'],
    ['words of fetch further in', new TypeError('the fetch failed'), 'bug'],
  ])('calls %s %s', (_what, error, verdict) => {
    expect(judge(error)).toBe(verdict)
  })

  it.each([
    [399, 'transient'],
    [400, 'permanent'],
    [401, 'permanent'],
    [404, 'permanent'],
    [407, 'permanent'],
    [408, 'transient'],
    [409, 'permanent'],
    [428, 'permanent'],
    [429, 'transient'],
    [430, 'permanent'],
    [499, 'permanent'],
    [500, 'transient'],
    [503, 'transient'],
    [200, 'transient'],
  ])('judges the status %d', (status, verdict) => {
    expect(judge({ status })).toBe(verdict)
    expect(judge(Object.assign(new Error('http'), { statusCode: status }))).toBe(verdict)
  })

  it('does not throw over what cannot even be looked at', () => {
    for (const error of [
      revokedProxy(),
      hostile('status'),
      hostile('headers'),
      hostile('response'),
    ]) {
      expect(judge(error)).toBe('transient')
      expect(retryAfterOf(error, () => 0)).toBeUndefined()
    }
  })

  it('calls a programming error a bug whatever status it carries', () => {
    expect(judge(Object.assign(new TypeError('x'), { status: 503 }))).toBe('bug')
  })
})

describe('statusOf', () => {
  it.each<[object, number | undefined]>([
    [{ status: 404 }, 404],
    [{ statusCode: 500 }, 500],
    [{ response: { status: 429 } }, 429],
    [{ response: { statusCode: 502 } }, 502],
    [{ status: 0 }, 0],
    [{ status: 400, statusCode: 500, response: { status: 502 } }, 400],
    [{ statusCode: 500, response: { status: 502 } }, 500],
    [{ response: { status: 502, statusCode: 503 } }, 502],
    [{ status: 'failed', statusCode: 500 }, 500],
    [{ status: '404' }, undefined],
    [{ response: null }, undefined],
    [{ response: 'text' }, undefined],
    [{}, undefined],
  ])('reads %j as %s', (error, status) => {
    expect(statusOf(error)).toBe(status)
  })
})

describe('retryAfterOf', () => {
  const now = Date.UTC(2026, 2, 1, 12, 0, 0)
  const read = (header: unknown): number | undefined =>
    retryAfterOf({ headers: { 'retry-after': header } }, () => now)

  it.each<[unknown, number | undefined]>([
    ['0', 0],
    ['1', 1_000],
    ['120', 120_000],
    [' 120 ', 120_000],
    ['007', 7_000],
    [3, 3_000],
    ['9999999999', 9_999_999_999_000],
    ['Sun, 01 Mar 2026 12:00:30 GMT', 30_000],
    ['Sunday, 01-Mar-26 12:00:30 GMT', 30_000],
    ['Sun Mar  1 12:00:30 2026', 30_000],
    ['Sun, 01 Mar 2026 11:00:00 GMT', 0],
    ['Sun, 01 Mar 2026 12:00:00 GMT', 0],
    ['Xyz, 99 Foo 2026 12:00:00 GMT', undefined],
    ['-5', undefined],
    ['+5', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['Infinity', undefined],
    ['soon', undefined],
    ['2026-03-01T12:00:30Z', undefined],
    ['', undefined],
    ['   ', undefined],
    [undefined, undefined],
    [null, undefined],
    [true, undefined],
    [['5'], undefined],
    [1.5, undefined],
    [-5, undefined],
    [Number.NaN, undefined],
  ])('reads the header %j as %s ms', (header, ms) => {
    expect(read(header)).toBe(ms)
  })

  it('finds the header wherever clients put it', () => {
    const headers = new Headers({ 'Retry-After': '2' })
    const found = [
      { headers },
      { response: { headers } },
      { response: { headers: { 'retry-after': '2' } } },
      { headers: {}, response: { headers } },
      { headers: null, response: { headers } },
    ].map((error) => retryAfterOf(error, () => now))

    expect(found).toEqual([2_000, 2_000, 2_000, 2_000, 2_000])
  })

  it('prefers the header of the error itself', () => {
    const error = { headers: { 'retry-after': '1' }, response: { headers: { 'retry-after': '2' } } }

    expect(retryAfterOf(error, () => now)).toBe(1_000)
  })

  it('reads the ms of our own errors, and of nobody else', () => {
    const open = new CircuitOpenError('c', 'open', 1_500, '')

    expect(retryAfterOf(open, () => now)).toBe(1_500)
    expect(retryAfterOf({ retryAfter: 30 }, () => now)).toBeUndefined()
    expect(retryAfterOf(new TimeoutError('total', 5), () => now)).toBeUndefined()
    expect(retryAfterOf(Object.assign(full, { retryAfter: '5' }), () => now)).toBeUndefined()
  })

  it.each([
    undefined,
    null,
    'retry-after: 5',
    42,
    {},
    { headers: 'retry-after: 5' },
    { headers: null },
    { response: null },
    { response: { headers: null } },
    {
      headers: {
        get() {
          throw new Error('a get that throws')
        },
      },
    },
  ])('finds nothing in %o, and does not throw', (error) => {
    expect(retryAfterOf(error, () => now)).toBeUndefined()
  })
})
