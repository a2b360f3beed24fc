import { describe, expect, it } from 'vitest'
import { CircuitOpenError, TimeoutError } from '../../core/errors.ts'
import { type Outcome, succeeded, unsuccessful } from '../../core/outcome.ts'
import type { CircuitBreakerOptions, Classification } from './options.ts'
import { classify } from './verdicts.ts'

const failed = (error: unknown): Outcome => unsuccessful('failed', error)
const late = unsuccessful('timedOut', new TimeoutError('total', 5))
const rejected = unsuccessful('rejected', new CircuitOpenError('inner', 'open', 5, ''))
const aborted = unsuccessful('aborted', 'enough')

describe('classify', () => {
  it.each<[string, Outcome, string]>([
    ['a result', succeeded('answer'), 'success'],
    ['no result at all', succeeded(undefined), 'success'],
    ['an error', failed(new Error('down')), 'failure'],
    ['a thrown string', failed('down'), 'failure'],
    ['status 500', failed({ status: 500 }), 'failure'],
    ['status 429', failed({ status: 429 }), 'failure'],
    ['status 408', failed({ status: 408 }), 'failure'],
    ['status 404', failed({ status: 404 }), 'success'],
    ['status 401', failed({ response: { status: 401 } }), 'success'],
    ['a programming error', failed(new TypeError('x is not a function')), 'ignored'],
    ['a refusal that was thrown', failed(new CircuitOpenError('other', 'open', 1, '')), 'ignored'],
    ['an AbortError that was thrown', failed(AbortSignal.abort().reason), 'ignored'],
    ['a limit of ours', late, 'failure'],
    ['a limit of ours, thrown', failed(new TimeoutError('inner', 5)), 'failure'],
    ['a refusal', rejected, 'ignored'],
    ['an abort', aborted, 'ignored'],
  ])('takes %s by default', (_what, outcome, verdict) => {
    expect(classify(outcome, {})).toBe(verdict)
  })

  it.each<[Classification, string, string]>([
    [true, 'failure', 'failure'],
    [false, 'success', 'success'],
    ['ignore', 'ignored', 'ignored'],
    [undefined, 'success', 'failure'],
  ])('lets isFailure answer %s for errors', (choice, ofPermanent, ofTransient) => {
    const options: CircuitBreakerOptions = { isFailure: () => choice }

    expect(classify(failed({ status: 404 }), options)).toBe(ofPermanent)
    expect(classify(failed(new Error('down')), options)).toBe(ofTransient)
    expect(classify(late, options)).toBe(ofTransient)
  })

  it.each<[Classification, string]>([
    [true, 'failure'],
    [false, 'success'],
    ['ignore', 'ignored'],
    [undefined, 'success'],
  ])('lets isFailureResult answer %s for results', (choice, verdict) => {
    expect(classify(succeeded('answer'), { isFailureResult: () => choice })).toBe(verdict)
  })

  it('shows the classifiers the very error and the very result', () => {
    const seen: unknown[] = []
    const see = (what: unknown): undefined => void seen.push(what)
    const [error, result] = [new Error('down'), { ok: true }]

    classify(failed(error), { isFailure: see, isFailureResult: see })
    classify(succeeded(result), { isFailure: see, isFailureResult: see })

    expect(seen).toHaveLength(2)
    expect([seen[0] === error, seen[1] === result]).toEqual([true, true])
  })

  it('asks nobody about refusals and aborts', () => {
    const isFailure = (): never => expect.fail('asked')

    expect(classify(rejected, { isFailure })).toBe('ignored')
    expect(classify(aborted, { isFailure })).toBe('ignored')
  })

  it.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new Error('a broken classifier')
      },
    ],
    ['promises', () => Promise.reject(new Error('a broken classifier')) as never],
    ['says nonsense', () => 'yes' as never],
    ['says null', () => null as never],
    ['says 1', () => 1 as never],
  ])('holds on to the default when a classifier %s', (_how, broken) => {
    expect(classify(failed(new Error('down')), { isFailure: broken })).toBe('failure')
    expect(classify(failed({ status: 404 }), { isFailure: broken })).toBe('success')
    expect(classify(succeeded(1), { isFailureResult: broken })).toBe('success')
  })
})
