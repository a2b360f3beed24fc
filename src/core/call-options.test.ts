import { describe, expect, it } from 'vitest'
import { readCallOptions } from './call-options.ts'
import { systemClock } from './clock.ts'

const read = (options: unknown): unknown => readCallOptions('stack', options as never, systemClock)

describe('readCallOptions', () => {
  it('has no limit and nothing else where nothing is said', () => {
    const nothing = {
      signal: undefined,
      deadline: Number.POSITIVE_INFINITY,
      priority: undefined,
      args: undefined,
    }

    expect(read({})).toEqual(nothing)
    expect(read({ deadline: undefined, signal: undefined, else: 5 })).toEqual(nothing)
  })

  it('takes what is given as it is', () => {
    const { signal } = new AbortController()
    const args = ['id']

    const given = { signal, deadline: -5, priority: 3, args }
    const found = readCallOptions('stack', given, systemClock)

    expect(found).toEqual({ signal, deadline: -5, priority: 3, args })
    expect(found.signal).toBe(signal)
    expect(found.args).toBe(args)
  })

  it('takes a signal of another realm or library for what it can do', () => {
    const foreign = {
      aborted: false,
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
    }

    expect(read({ signal: foreign })).toMatchObject({ signal: foreign })
  })

  it('refuses a date as its deadline, which would limit nothing, and no other moment', () => {
    const date = Date.now() + 500

    expect(() => read({ deadline: date })).toThrow(TypeError)
    expect(() => read({ deadline: date })).toThrow(`"stack": deadline must be in ms of the clock`)
    for (const deadline of [performance.now() + 500, 0, 1e12, Number.MAX_SAFE_INTEGER]) {
      expect(read({ deadline })).toMatchObject({ deadline })
    }
  })

  it('takes a date where the clock is one', () => {
    const clock = { ...systemClock, now: () => Date.now() }
    const deadline = Date.now() + 500

    expect(readCallOptions('stack', { deadline }, clock)).toMatchObject({ deadline })
  })

  it.each([
    [AbortSignal.abort(), 'options must be { signal }, no bare signal, but was an object'],
    [null, 'options must be an object, but was null'],
    [5, 'options must be an object, but was 5'],
    [{ signal: null }, 'signal must be an AbortSignal, but was null'],
    [{ signal: 'abort' }, 'signal must be an AbortSignal, but was "abort"'],
    [{ signal: {} }, 'signal must be an AbortSignal, but was an object'],
    [{ signal: { aborted: false } }, 'signal must be an AbortSignal, but was an object'],
    [
      { signal: { aborted: false, addEventListener: () => undefined } },
      'signal must be an AbortSignal, but was an object',
    ],
    [{ deadline: '5' }, 'deadline must be a number, but was "5"'],
    [{ deadline: Number.NaN }, 'deadline must be a number, but was NaN'],
    [{ deadline: null }, 'deadline must be a number, but was null'],
    [{ args: 'id' }, 'args must be a list, but was "id"'],
    [{ args: { length: 1 } }, 'args must be a list, but was an object'],
  ])('refuses %o', (options, message) => {
    expect(() => read(options)).toThrow(TypeError)
    expect(() => read(options)).toThrow(`"stack": ${message}`)
  })

  it('passes on what a getter throws', () => {
    const broken = new Error('no deadline for you')
    const options = Object.defineProperty({}, 'deadline', {
      get() {
        throw broken
      },
    })

    expect(() => read(options)).toThrow(broken)
  })
})
