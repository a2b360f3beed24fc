import { describe, expect, it } from 'vitest'
import {
  BulkheadFullError,
  CircuitOpenError,
  describeError,
  FallbackExhaustedError,
  isResilienceError,
  RejectedError,
  ResilienceError,
  TimeoutError,
} from './errors.ts'
import { stackless } from './stackless.ts'

const facts = { running: 3, queued: 2, maxConcurrent: 3, maxQueue: 2, waited: 0 }
const down = new Error('down')
const samples = {
  open: new CircuitOpenError('payment', 'open', 1_234.5, 'opened by 5 failures in a row', down),
  full: new BulkheadFullError('slots', facts),
  late: new TimeoutError('total', 250),
  exhausted: new FallbackExhaustedError('catalogue', [down, 'no replica'], ['replica', 'cache']),
}

describe('the family of errors', () => {
  it.each([
    ['CircuitOpenError', 'ERR_CIRCUIT_OPEN', 'payment', true, samples.open],
    ['BulkheadFullError', 'ERR_BULKHEAD_FULL', 'slots', true, samples.full],
    ['TimeoutError', 'ERR_TIMEOUT', 'total', false, samples.late],
    ['FallbackExhaustedError', 'ERR_FALLBACK_EXHAUSTED', 'catalogue', false, samples.exhausted],
  ])('gives %s its name, its code and its policy', (name, code, policy, rejected, error) => {
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(ResilienceError)
    expect(error instanceof RejectedError).toBe(rejected)
    expect([error.name, error.code, error.policy]).toEqual([name, code, policy])
    expect(isResilienceError(error)).toBe(true)
  })

  it('tells its members apart', () => {
    expect(samples.open).not.toBeInstanceOf(TimeoutError)
    expect(samples.late).not.toBeInstanceOf(CircuitOpenError)
    expect(samples.exhausted).not.toBeInstanceOf(TimeoutError)
    expect(samples.full).not.toBeInstanceOf(CircuitOpenError)
    expect(new Error('down')).not.toBeInstanceOf(ResilienceError)
  })

  it('is recognised across copies of the package, but its subclasses are not mixed up', () => {
    const brand = Symbol.for('holdfast.error')
    const foreign = Object.assign(new Error('from elsewhere'), { [brand]: true })

    expect(isResilienceError(foreign)).toBe(true)
    expect(foreign).toBeInstanceOf(ResilienceError)
    expect(foreign).not.toBeInstanceOf(RejectedError)
    expect(foreign).not.toBeInstanceOf(TimeoutError)
  })

  it.each([undefined, null, 'ERR_TIMEOUT', 42, {}, new Error('down'), () => undefined])(
    'does not claim %o',
    (value) => {
      expect(isResilienceError(value)).toBe(false)
    },
  )

  it('does not claim what cannot even be asked', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()

    expect(isResilienceError(proxy)).toBe(false)
  })
})

describe('the messages', () => {
  it.each([
    [
      'circuit "payment" is open, next trial in 1235 ms; opened by 5 failures in a row; not called',
      samples.open,
    ],
    [
      'circuit "payment" is half-open with its trial calls under way, the next at the latest in 31 ms; not called',
      new CircuitOpenError('payment', 'half-open', 30.2, ''),
    ],
    [
      'circuit "payment" is half-open and lets only a part of the calls through; not called',
      new CircuitOpenError('payment', 'half-open', 0, ''),
    ],
    [
      'circuit "payment" is isolated by hand until close() or reset(); not called',
      new CircuitOpenError('payment', 'isolated', Number.POSITIVE_INFINITY, ''),
    ],
    [
      'bulkhead "slots": no slot and a full queue (3 of 3 running, 2 of 2 queued); not called; shed load, or raise maxConcurrent or maxQueue if the dependency can take more',
      samples.full,
    ],
    [
      'bulkhead "slots": no slot within 100 ms (3 of 3 running, 2 of 2 queued); not called; shed load, or raise maxConcurrent or maxQueue if the dependency can take more',
      new BulkheadFullError('slots', { ...facts, waited: 99.6 }),
    ],
    [
      'timeout "total": no answer within 250 ms; the call may still be running and may yet take effect',
      samples.late,
    ],
    [
      'timeout "total": deadline reached, no answer within 7 ms; the call may still be running and may yet take effect',
      new TimeoutError('total', 7, 'deadline reached, no answer'),
    ],
    [
      'fallback "catalogue": the call failed and so did all 2 alternatives (replica, cache); first cause: Error: down',
      samples.exhausted,
    ],
    [
      'fallback "catalogue": the call failed and so did its alternative (replica); first cause: down',
      new FallbackExhaustedError('catalogue', ['down', 'down too'], ['replica']),
    ],
  ])('carry the numbers: %s', (message, error) => {
    expect(error.message).toBe(message)
  })
})

describe('the facts', () => {
  it('of an open circuit: its state, when to come back, and what opened it', () => {
    expect(samples.open).toMatchObject({ state: 'open', retryAfter: 1_234.5 })
    expect(samples.open.cause).toBe(down)
  })

  it('of a full bulkhead: who is in it', () => {
    expect(samples.full).toMatchObject(facts)
    expect(new BulkheadFullError('slots', { ...facts, waited: 12.5 }).waited).toBe(12.5)
  })

  it('of a timeout: its limit', () => {
    expect(samples.late.duration).toBe(250)
  })

  it('of an exhausted fallback: every cause in order, the first one as its cause', () => {
    expect(samples.exhausted).toBeInstanceOf(AggregateError)
    expect(samples.exhausted.errors).toEqual([down, 'no replica'])
    expect(samples.exhausted.cause).toBe(down)
  })

  it('have no cause where there is none', () => {
    expect('cause' in samples.late).toBe(false)
    expect('cause' in new CircuitOpenError('payment', 'open', 1, '', undefined)).toBe(false)
  })
})

describe('toJSON', () => {
  it.each([
    ['open', { code: 'ERR_CIRCUIT_OPEN', policy: 'payment', state: 'open', retryAfter: 1_234.5 }],
    ['full', { code: 'ERR_BULKHEAD_FULL', policy: 'slots', ...facts }],
    ['late', { code: 'ERR_TIMEOUT', policy: 'total', duration: 250 }],
    ['exhausted', { code: 'ERR_FALLBACK_EXHAUSTED', policy: 'catalogue' }],
  ] as const)('tells the numbers and leaves out the causes: %s', (which, expected) => {
    const error = samples[which]
    const { name, message } = error

    expect(error.toJSON()).toEqual({ name, message, ...expected })
    expect(JSON.parse(JSON.stringify(error))).toEqual({ name, message, ...expected })
  })

  it('leaves out a cause that JSON could not say', () => {
    const cause: { self?: unknown } = {}
    cause.self = cause

    expect(() =>
      JSON.stringify(new CircuitOpenError('payment', 'open', 1, '', cause)),
    ).not.toThrow()
  })
})

describe('describeError', () => {
  it.each([
    [new TypeError('no function'), 'TypeError: no function'],
    ['text', 'text'],
    [null, 'null'],
    [undefined, 'undefined'],
    [42, '42'],
    [{ status: 503 }, '[object Object]'],
    [Object.create(null), 'an error that cannot be shown'],
  ])('shows %o', (error, shown) => {
    expect(describeError(error)).toBe(shown)
  })

  it('never throws, whatever the getters do', () => {
    const hostile = Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('never')
      },
    })

    expect(describeError(hostile)).toBe('an error that cannot be shown')
  })
})

describe('stackless', () => {
  it('makes an error without a trace and leaves the limit as it was', () => {
    const before = Error.stackTraceLimit

    const error = stackless(() => new TimeoutError('total', 5))

    expect(error.stack).toBe(`TimeoutError: ${error.message}`)
    expect(Error.stackTraceLimit).toBe(before)
    expect(before).toBeGreaterThan(0)
  })

  it('leaves the limit as it was when the making throws', () => {
    const before = Error.stackTraceLimit

    expect(() =>
      stackless(() => {
        throw new Error('no error today')
      }),
    ).toThrow('no error today')

    expect(Error.stackTraceLimit).toBe(before)
  })

  it('makes an ordinary error where the limit cannot be changed', () => {
    const before = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') ?? {}
    Object.defineProperty(Error, 'stackTraceLimit', { value: 10, writable: false })
    try {
      const error = stackless(() => new TimeoutError('total', 5))
      expect(error.duration).toBe(5)
      expect(error.stack).toContain('errors.test')
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', before)
    }
  })
})
