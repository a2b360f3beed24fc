import { overloadGuard } from 'holdfast/server'
import { describe, expect, it } from 'vitest'
import { readGuardOptions } from './options.ts'

describe('the options of an overload guard', () => {
  it.each([
    ['maxConcurrent', 0, RangeError],
    ['maxConcurrent', 1.5, RangeError],
    ['maxConcurrent', '5', TypeError],
    ['maxQueue', -1, RangeError],
    ['maxWait', 0, RangeError],
    ['maxWait', Number.POSITIVE_INFINITY, RangeError],
    ['targetWait', Number.NaN, RangeError],
    ['maxTime', 0, RangeError],
    ['maxTime', '5', TypeError],
    ['priority', 5, TypeError],
    ['exempt', '/health', TypeError],
    ['deadlines', 'enforced', RangeError],
    ['maxDeadlineRefusals', 20, RangeError],
    ['deadlineHeader', '', RangeError],
    ['deadlineHeader', 'x deadline', RangeError],
    ['deadlineHeader', 'x-a\r\nx-b', RangeError],
    ['deadlineHeader', 1, TypeError],
    ['callerRetries', true, TypeError],
    ['maxEventLoopDelay', 0, RangeError],
    ['maxHeapUsed', 95, RangeError],
    ['retryAfter', -1, RangeError],
    ['random', 0.5, TypeError],
    ['name', '', RangeError],
    ['maxConcurent', 5, TypeError],
  ])('refuse %s: %o, naming it', (name, value, kind) => {
    const make = () => overloadGuard({ [name]: value } as never)

    expect(make).toThrow(kind)
    expect(make).toThrow(name)
  })

  it.each([null, [], 'full', Object.create({ maxConcurrent: 5 })])(
    'must be plain: %o',
    (options) => {
      expect(() => overloadGuard(options as never)).toThrow(TypeError)
    },
  )

  it('are not read from a prototype', () => {
    const options = JSON.parse('{"__proto__": {"maxConcurrent": 5}}')

    expect(() => overloadGuard(options)).toThrow(/__proto__/)
    expect(readGuardOptions({}).maxConcurrent).toBe(100)
  })

  it('contradict each other only when both are given', () => {
    expect(() => overloadGuard({ maxWait: 10, targetWait: 11 })).toThrow(RangeError)
    expect(readGuardOptions({ maxWait: 10 }).targetWait).toBe(10)
  })

  it('are copied', () => {
    const options = { maxConcurrent: 5 }
    const guard = overloadGuard(options)
    options.maxConcurrent = 9

    expect(guard.stats().maxConcurrent).toBe(5)
    expect(() => guard.resize(0)).toThrow(RangeError)
    expect(() => guard.wrap('handler' as never)).toThrow(TypeError)
    expect(guard.stats().maxConcurrent).toBe(5)
  })

  it('name the header in any case', () => {
    expect(readGuardOptions({ deadlineHeader: 'X-Budget' }).deadlineHeader).toBe('x-budget')
  })
})
