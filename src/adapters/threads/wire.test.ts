import { BulkheadFullError, RejectedError, ResilienceError, TimeoutError } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { times } from '../../../test/support/calls.ts'
import { fromWire, toWire } from './wire.ts'

/** There and back, as between two threads. */
function sent(thrown: unknown): unknown {
  return fromWire(structuredClone(toWire(thrown)))
}

class PaymentError extends RangeError {
  override name = 'PaymentError'
  readonly code = 'E_DECLINED'
  readonly details = { order: 42, at: new Date(0) }
}

describe('an error that crosses the border', () => {
  it('keeps name, message, code, facts and stack', () => {
    const thrown = new PaymentError('declined')
    const error = sent(thrown) as PaymentError

    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({
      name: 'PaymentError',
      message: 'declined',
      code: 'E_DECLINED',
      details: { order: 42, at: new Date(0) },
    })
    expect(error.stack).toBe(thrown.stack)
    expect(Object.keys(error).sort()).toEqual(['code', 'details'])
  })

  it('keeps its cause, and the cause of that', () => {
    const inner = Object.assign(new TypeError('inner'), { code: 'E_INNER' })
    const error = sent(new Error('outer', { cause: new Error('middle', { cause: inner }) }))

    expect(error).toMatchObject({
      cause: { message: 'middle', cause: { name: 'TypeError', code: 'E_INNER' } },
    })
    expect((error as Error).cause).toBeInstanceOf(Error)
    expect(Object.keys(error as Error)).toEqual([])
  })

  it('keeps the errors of an AggregateError', () => {
    const errors = [Object.assign(new Error('one'), { code: 1 }), 'two', new RangeError('three')]
    const error = sent(
      new AggregateError(errors, 'several', { cause: errors[0] }),
    ) as AggregateError

    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ message: 'several', errors: [{ code: 1 }, 'two', {}] })
    expect(error.errors[2]).toBeInstanceOf(RangeError)
    expect(error.cause).toBe(error.errors[0])
  })

  it.each([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError])(
    'stays an instance of its built-in class: %s',
    (Class) => {
      expect(sent(new Class('x'))).toBeInstanceOf(Class)
      expect((sent(new Class('x')) as Error).name).toBe(Class.name)
    },
  )

  it('keeps its family when it is one of ours', () => {
    const facts = { running: 1, queued: 0, maxConcurrent: 1, maxQueue: 0, waited: 0 }
    const full = sent(new BulkheadFullError('inner', facts))

    expect(full).toBeInstanceOf(RejectedError)
    expect(full).toMatchObject({ code: 'ERR_BULKHEAD_FULL', policy: 'inner', running: 1 })
    const late = sent(new TimeoutError('inner', 5))
    expect(late).toBeInstanceOf(ResilienceError)
    expect(late).not.toBeInstanceOf(RejectedError)
  })

  it('keeps the name and code of a DOMException', () => {
    expect(sent(new DOMException('stop', 'AbortError'))).toMatchObject({
      name: 'AbortError',
      message: 'stop',
      code: 20,
    })
  })

  it('may be its own cause', () => {
    const round = new Error('round')
    round.cause = new Error('other', { cause: round })
    const error = sent(round) as { cause: { cause: unknown } }

    expect(error.cause.cause).toBe(error)
  })

  it('with a chain of causes without end is cut', () => {
    let chain: Error = new Error('0')
    for (let n = 1; n < 20_000; n++) chain = new Error(String(n), { cause: chain })
    let depth = 0
    for (let error: unknown = sent(chain); error instanceof Error; error = error.cause) depth++

    expect(depth).toBeGreaterThan(20)
    expect(depth).toBeLessThan(100)
  })

  it('leaves out what cannot be cloned, and nothing else', () => {
    const error = Object.assign(new Error('m'), {
      code: 'E_X',
      socket: { write: () => {} },
      retry: () => {},
      list: [1, () => {}, new Error('in a list')],
      [Symbol('s')]: 1,
    })

    expect(sent(error)).toMatchObject({
      message: 'm',
      code: 'E_X',
      list: [1, { message: 'in a list' }],
    })
    expect(Object.keys(sent(error) as Error).sort()).toEqual(['code', 'list'])
  })

  it('is looked at without harm, whatever bites', () => {
    const bites = (): never => {
      throw new Error('bite')
    }
    const getters = new Error('getters')
    for (const key of ['facts', 'code', 'cause']) {
      Object.defineProperty(getters, key, { enumerable: true, get: bites })
    }
    const everything = { get: bites, has: bites, ownKeys: bites, getOwnPropertyDescriptor: bites }
    const proxy = new Proxy(new Error('proxy'), everything)
    const noText = Object.assign(new Error(), { message: { not: 'text' }, name: 7, stack: 8 })
    const noClass = new Proxy({}, { ...everything, getPrototypeOf: bites })

    const list = Object.assign(new Error('list'), { list: new Proxy([1], everything) })
    const { proxy: revoked, revoke } = Proxy.revocable([], {})
    revoke()

    expect(sent(list)).toMatchObject({ message: 'list' })
    expect(sent(new Proxy([1], everything))).toBeInstanceOf(Error)
    expect(sent(revoked)).toBeInstanceOf(Error)
    expect(sent(Object.assign(new Error('facts'), { revoked }))).toMatchObject({ message: 'facts' })
    expect(sent(getters)).toMatchObject({ message: 'getters' })
    expect(sent(proxy)).toBeInstanceOf(Error)
    expect(sent(noText)).toMatchObject({ name: 'Error', message: '' })
    expect(sent(noClass)).toBeInstanceOf(Error)
  })

  it('may carry lists that contain themselves, or the same list many times', () => {
    const round: unknown[] = [1]
    round.push(round)
    const open: unknown[] = [2, () => {}]
    open.push(open, new Error('inside'))
    let shared: unknown[] = [() => {}, 3]
    for (let n = 0; n < 40; n++) shared = [shared, shared]
    const error = sent(Object.assign(new Error('m'), { round, open, shared })) as {
      round: unknown[]
      open: unknown[]
      shared: unknown[]
    }

    expect(error.round[1]).toBe(error.round)
    expect(error.open[1]).toBe(error.open)
    expect(error.open[0]).toBe(2)
    expect(error.open[2]).toMatchObject({ message: 'inside' })
    expect(error.shared[0]).toBe(error.shared[1])
    expect((sent(round) as unknown[])[0]).toBe(1)
  })

  it('is cut where its lists go too deep', () => {
    let deep: unknown[] = []
    for (let n = 0; n < 20_000; n++) deep = [deep]

    expect(sent(Object.assign(new Error('m'), { deep, code: 'E_X' }))).toMatchObject({
      message: 'm',
      code: 'E_X',
    })
  })

  it('keeps a long list in one piece', () => {
    const rows = times(100_000, (n) => n)
    const wired = JSON.stringify(toWire(Object.assign(new Error('m'), { rows })))

    expect(wired.length).toBeLessThan(JSON.stringify(rows).length + 10_000)
  })

  it('cannot reach a prototype', () => {
    const error = Object.assign(new Error('m'), JSON.parse('{"__proto__x":1}'))
    Object.defineProperty(error, '__proto__', { value: { polluted: true }, enumerable: true })
    const there = sent(error) as Error

    expect(Object.getPrototypeOf(there)).toBe(Error.prototype)
    expect(there).not.toHaveProperty('polluted')
  })
})

describe('what is thrown without being an error', () => {
  it.each([
    ['text'],
    [7],
    [undefined],
    [null],
    [10n],
    [{ code: 7 }],
    [[1, 'two']],
    [new Map([[1, 2]])],
  ])('arrives as it was: %s', (thrown) => {
    expect(sent(thrown)).toEqual(thrown)
  })

  it.each([[() => {}], [Symbol('s')], [{ fn: () => {} }], [Promise.resolve()]])(
    'becomes an error that says so when it cannot be cloned',
    (thrown) => {
      expect(sent(thrown)).toMatchObject({
        message: expect.stringContaining('a thread threw what cannot be sent'),
      })
    },
  )
})
