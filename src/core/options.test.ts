import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { virtualClock } from '../testing/virtual-clock.ts'
import { systemClock } from './clock.ts'
import * as check from './options.ts'
import { type Check, checkOption, readOptions, show } from './options.ts'

interface Sample {
  readonly size: number
  readonly wait?: number | undefined
  readonly label?: string | undefined
}

const sample = {
  size: check.positiveInteger,
  wait: check.optional(check.duration()),
  label: check.optional(check.string),
}

/** What a check says of a value: nothing, or the error with its message. */
function verdict(of: Check, value: unknown): string {
  try {
    checkOption('policy', 'option', value, of)
    return 'good'
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
}

function faultsOf(of: Check, values: readonly unknown[]): (string | undefined)[] {
  return values.map((value) => of.fault(value))
}

describe('readOptions', () => {
  afterEach(() => {
    Reflect.deleteProperty(Object.prototype, 'wait')
  })

  it('returns the given values, and nothing for those left out or undefined', () => {
    const read = readOptions<Sample>('policy', { size: 2, wait: undefined }, sample)

    expect({ ...read }).toEqual({ size: 2 })
    expect('wait' in read).toBe(false)
  })

  it('keeps 0 and empty-looking values as values', () => {
    const checks = { wait: check.duration(), live: check.boolean }

    expect({ ...readOptions('policy', { wait: 0, live: false }, checks) }).toEqual({
      wait: 0,
      live: false,
    })
  })

  it('takes no options at all where all may be left out', () => {
    expect({ ...readOptions('policy', undefined, { wait: sample.wait }) }).toEqual({})
  })

  it('is a copy: changing the given object later changes nothing', () => {
    const given: { size: number } = { size: 2 }

    const read = readOptions<Sample>('policy', given, sample)
    given.size = 99

    expect(read.size).toBe(2)
  })

  it('reads a frozen object, one without prototype and one of another realm', () => {
    const bare = Object.assign(Object.create(null), { size: 2 })
    const foreign = runInNewContext('({ size: 3 })')

    expect(readOptions<Sample>('policy', Object.freeze({ size: 1 }), sample).size).toBe(1)
    expect(readOptions<Sample>('policy', bare, sample).size).toBe(2)
    expect(readOptions<Sample>('policy', foreign, sample).size).toBe(3)
  })

  it('asks a getter once, and lets its error pass', () => {
    let asked = 0
    const counting = {
      get size() {
        asked++
        return 2
      },
    }
    const broken = new Error('no size today')
    const throwing = {
      get size(): number {
        throw broken
      },
    }

    readOptions<Sample>('policy', counting, sample)

    expect(asked).toBe(1)
    expect(() => readOptions<Sample>('policy', throwing, sample)).toThrow(broken)
  })

  it('does not honour what the prototype of all objects says', () => {
    Object.defineProperty(Object.prototype, 'wait', { value: 5, configurable: true })

    const { wait = 'default' } = readOptions<Sample>('policy', { size: 1 }, sample)

    expect(wait).toBe('default')
  })

  it.each([
    ['null', null, 'null'],
    ['an array', [], 'an array'],
    ['a function', () => {}, 'a function'],
    ['a string', 'fast', '"fast"'],
    ['a number', 5, '5'],
    ['a promise', Promise.resolve({}), 'a promise'],
  ])('refuses %s instead of an object', (_, options, shown) => {
    const read = () => readOptions('policy', options as unknown as Sample, sample)

    expect(read).toThrow(new TypeError(`policy: options must be a plain object, but were ${shown}`))
  })

  it.each([
    [
      'an instance',
      new (class {
        size = 1
      })(),
    ],
    ['a map', new Map([['size', 1]])],
    ['an object with inherited options', Object.create({ size: 1 })],
  ])('refuses %s, whose inherited options would be lost in silence', (_, options) => {
    expect(() => readOptions('policy', options, sample)).toThrow(TypeError)
    expect(() => readOptions('policy', options, sample)).toThrow('copy them: { ...options }')
  })

  it('names an unknown option and the one that was probably meant', () => {
    const checks = { maxRetries: check.optional(check.count()), maxDelay: sample.wait }
    const read = (options: object) => () => readOptions('retry', options, checks)

    expect(read({ maxAttempts: 3 })).toThrow(
      new TypeError('retry: unknown option "maxAttempts" (did you mean "maxRetries"?)'),
    )
    expect(read({ maxdealy: 3 })).toThrow('unknown option "maxdealy" (did you mean "maxDelay"?)')
  })

  it('lists the known options where none is near', () => {
    const read = () => readOptions('policy', { colour: 'red' } as unknown as Sample, sample)

    expect(read).toThrow('policy: unknown option "colour" (known: size, wait, label)')
  })

  it.each(['__proto__', 'constructor', 'toString'])(
    'refuses %s as any unknown option, and pollutes nothing',
    (name) => {
      const options = JSON.parse(`{"size": 1, "${name}": {"wait": 5}}`)

      expect(() => readOptions('policy', options, sample)).toThrow(
        `policy: unknown option "${name}"`,
      )
      expect(({} as { wait?: number }).wait).toBeUndefined()
    },
  )

  it('refuses an unknown option even when it is undefined', () => {
    const options: Sample = Object.assign({ size: 1 }, { sise: undefined })

    expect(() => readOptions('policy', options, sample)).toThrow('did you mean "size"?')
  })

  it('demands what may not be left out', () => {
    const read = (options: object) => () => readOptions('policy', options as Sample, sample)

    const message = 'policy: size is required and must be a whole number from 1 up'
    expect(read({})).toThrow(new TypeError(message))
    expect(read({ size: undefined })).toThrow(new TypeError(message))
  })
})

describe('a message', () => {
  it('names policy, option, range and value', () => {
    expect(verdict(check.duration(), -1)).toBe(
      'RangeError: policy: option must be a number of milliseconds from 0 up, but was -1',
    )
    expect(verdict(check.duration(), '5')).toBe(
      'TypeError: policy: option must be a number of milliseconds from 0 up, but was "5"',
    )
  })

  it('asks whether a rate was meant as a percentage', () => {
    expect(() =>
      checkOption('circuitBreaker', 'failureRate', 50, check.rate({ zero: false })),
    ).toThrow(
      new RangeError(
        'circuitBreaker: failureRate must be a rate above 0 and up to 1, but was 50 ' +
          '(a share, not a percentage: did you mean 0.5?)',
      ),
    )
    expect(verdict(check.rate(), 100)).toContain('did you mean 1?')
    expect(verdict(check.rate(), 101)).not.toContain('did you mean')
    expect(verdict(check.rate(), -1)).not.toContain('did you mean')
  })

  it('asks whether a literal that is near was meant', () => {
    const mode = check.oneOf(['enabled', 'disabled', 7])

    expect(verdict(mode, 'enabeld')).toBe(
      'RangeError: policy: option must be one of "enabled", "disabled", 7, ' +
        'but was "enabeld" (did you mean "enabled"?)',
    )
    expect(verdict(mode, 'x')).not.toContain('did you mean')
    expect(verdict(mode, 8)).toMatch(/^RangeError.*but was 8$/)
  })
})

describe('duration', () => {
  const odd = ['5', null, undefined, 5n, [], {}, () => 5]

  it('is a finite number from 0', () => {
    const values = [0, -0, 0.5, 1e9, Number.MAX_SAFE_INTEGER]
    const outside = [-1, -0.001, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]

    expect(faultsOf(check.duration(), values)).toEqual(values.map(() => undefined))
    expect(faultsOf(check.duration(), outside)).toEqual(outside.map(() => 'range'))
    expect(faultsOf(check.duration(), odd)).toEqual(odd.map(() => 'type'))
  })

  it('keeps to its limits, the limits included', () => {
    const limited = check.duration({ min: 10, max: 20 })

    expect(faultsOf(limited, [9.9, 10, 20, 20.1])).toEqual(['range', undefined, undefined, 'range'])
    expect(limited.expected).toBe('a number of milliseconds from 10 up to 20')
  })

  it('may leave out 0', () => {
    const above = check.duration({ zero: false })

    expect(faultsOf(above, [0, 0.1])).toEqual(['range', undefined])
    expect(above.expected).toBe('a number of milliseconds above 0')
    expect(check.duration({ zero: false, max: 9 }).expected).toBe(
      'a number of milliseconds above 0 up to 9',
    )
  })

  it('may allow Infinity, but not minus Infinity nor NaN', () => {
    const endless = check.duration({ infinite: true })
    const values = [Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, Number.NaN]

    expect(faultsOf(endless, values)).toEqual([undefined, undefined, 'range', 'range'])
    expect(endless.expected).toBe('a number of milliseconds from 0 up, or Infinity')
  })
})

describe('count', () => {
  it('is a whole number from its least to its most', () => {
    const few = check.count(1, 3)
    const values = [1, 3, 0, 4, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2']

    expect(faultsOf(few, values)).toEqual([
      undefined,
      undefined,
      'range',
      'range',
      'range',
      'range',
      'range',
      'type',
    ])
    expect(few.expected).toBe('a whole number from 1 to 3')
  })

  it('takes any size and Infinity where no most is given', () => {
    const any = check.count()

    expect(faultsOf(any, [0, 2 ** 40, Number.POSITIVE_INFINITY])).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(faultsOf(any, [-1, 2 ** 53, Number.NEGATIVE_INFINITY])).toEqual([
      'range',
      'range',
      'range',
    ])
    expect(any.expected).toBe('a whole number from 0 up, or Infinity')
  })
})

describe('positiveInteger', () => {
  it('is a whole number from 1, and finite', () => {
    const values = [1, Number.MAX_SAFE_INTEGER, 0, Number.POSITIVE_INFINITY]

    expect(faultsOf(check.positiveInteger, values)).toEqual([
      undefined,
      undefined,
      'range',
      'range',
    ])
  })
})

describe('number', () => {
  it('is finite and within its limits', () => {
    const values = [1, 1e300, 0.9, Number.POSITIVE_INFINITY, Number.NaN, '1']

    expect(faultsOf(check.number(1), values)).toEqual([
      undefined,
      undefined,
      'range',
      'range',
      'range',
      'type',
    ])
    expect(check.number(1).expected).toBe('a number from 1 up')
    expect(check.number(0, 1).expected).toBe('a number from 0 to 1')
  })
})

describe('rate', () => {
  it.each([
    [{}, [undefined, undefined], 'a rate from 0 to 1'],
    [{ zero: false }, ['range', undefined], 'a rate above 0 and up to 1'],
    [{ one: false }, [undefined, 'range'], 'a rate from 0 and below 1'],
    [{ zero: false, one: false }, ['range', 'range'], 'a rate above 0 and below 1'],
  ])('with %o has the ends that it should', (ends, faults, expected) => {
    const share = check.rate(ends)

    expect(faultsOf(share, [0, 1])).toEqual(faults)
    expect(faultsOf(share, [0.001, 0.999, -0.001, 1.001, Number.NaN, '0.5'])).toEqual([
      undefined,
      undefined,
      'range',
      'range',
      'range',
      'type',
    ])
    expect(share.expected).toBe(expected)
  })
})

describe('simple kinds', () => {
  it('are told apart', () => {
    const values = [() => {}, true, 'text', '', 1, null]

    expect(faultsOf(check.fn, values)).toEqual([undefined, ...Array(5).fill('type')])
    expect(faultsOf(check.boolean, values)).toEqual(['type', undefined, ...Array(4).fill('type')])
    expect(faultsOf(check.string, values)).toEqual([
      'type',
      'type',
      undefined,
      'range',
      'type',
      'type',
    ])
    expect(verdict(check.fn, 1)).toContain('must be a function')
    expect(verdict(check.boolean, 1)).toContain('must be true or false')
    expect(verdict(check.string, '')).toContain('must be a string that is not empty, but was ""')
  })
})

describe('oneOf', () => {
  it('compares by identity and tells a wrong kind from a wrong value', () => {
    const mode = check.oneOf(['on', 1])

    expect(faultsOf(mode, ['on', 1, 'off', 2, true, ['on'], undefined])).toEqual([
      undefined,
      undefined,
      'range',
      'range',
      'type',
      'type',
      'type',
    ])
  })
})

describe('anyOf', () => {
  const either = check.anyOf(check.rate(), check.oneOf(['none', 'full']))

  it('is good when one check is', () => {
    expect(faultsOf(either, [0.5, 'none'])).toEqual([undefined, undefined])
  })

  it('blames the range when the type fits one check, and the type when it fits none', () => {
    expect(faultsOf(either, [2, 'half', true])).toEqual(['range', 'range', 'type'])
  })

  it('names all and hints at what was nearest', () => {
    expect(either.expected).toBe('a rate from 0 to 1, or one of "none", "full"')
    expect(verdict(either, 50)).toContain('did you mean 0.5?')
    expect(verdict(either, 'ful')).toContain('did you mean "full"?')
    expect(verdict(either, true)).not.toContain('did you mean')
    expect(verdict(check.anyOf(check.fn, check.duration()), -1)).toMatch(/but was -1$/)
  })
})

describe('withMethods', () => {
  it('looks at methods alone, own or inherited, of an object or a function', () => {
    const sink = check.withMethods('a sink', 'write')
    class Sink {
      write(): void {}
    }

    expect(faultsOf(sink, [{ write() {} }, new Sink()])).toEqual([undefined, undefined])
    expect(sink.fault(Object.assign(() => {}, { write() {} }))).toBeUndefined()
    expect(faultsOf(sink, [{}, { write: 1 }, null, 'write', undefined])).toEqual(
      Array(5).fill('type'),
    )
    expect(verdict(sink, {})).toContain('must be a sink (with write), but was an object')
  })
})

describe('clock', () => {
  it('knows a clock', () => {
    expect(check.clock.fault(systemClock)).toBeUndefined()
    expect(check.clock.fault(virtualClock())).toBeUndefined()
    expect(check.clock.fault(Date)).toBe('type')
    expect(check.clock.fault({ now: () => 0, wallTime: () => 0 })).toBe('type')
  })
})

describe('optional', () => {
  it('changes what may be left out and nothing else', () => {
    const late = check.optional(check.rate())

    expect(late.isOptional).toBe(true)
    expect(check.rate().isOptional).toBeUndefined()
    expect(verdict(late, 50)).toBe(verdict(check.rate(), 50))
  })
})

describe('show', () => {
  it.each([
    ['text', '"text"'],
    ['say "no"', '"say \\"no\\""'],
    ['x'.repeat(61), `"${'x'.repeat(60)}..."`],
    ['x'.repeat(60), `"${'x'.repeat(60)}"`],
    [Number.NaN, 'NaN'],
    [-0.5, '-0.5'],
    [10n, '10n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [Symbol('mark'), 'Symbol(mark)'],
    [() => 1, 'a function'],
    [[1, 2], 'an array'],
    [Promise.resolve(), 'a promise'],
    [{ a: 1 }, 'an object'],
    [Object.create(null), 'an object'],
  ])('puts %o as %s', (value, shown) => {
    expect(show(value)).toBe(shown)
  })
})
