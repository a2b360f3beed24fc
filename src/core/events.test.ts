import { describe, expect, it } from 'vitest'
import { Emitter, type HoldfastEvent, harmless, quiet } from './events.ts'

const event: HoldfastEvent = {
  type: 'timeout',
  policy: 'total',
  pipeline: 'orders',
  at: 5,
  duration: 3,
}

describe('an Emitter', () => {
  it('hands the very event to every listener, in the order in which they came', () => {
    const emitter = new Emitter()
    const heard: [string, HoldfastEvent][] = []
    emitter.subscribe((given) => heard.push(['first', given]))
    emitter.subscribe((given) => heard.push(['second', given]))

    emitter.emit(event)

    expect(heard.map(([who]) => who)).toEqual(['first', 'second'])
    for (const [, given] of heard) expect(given).toBe(event)
  })

  it('is observed only while somebody listens', () => {
    const emitter = new Emitter()
    expect(emitter.observed).toBe(false)

    const leave = emitter.subscribe(() => undefined)
    const leaveToo = emitter.subscribe(() => undefined)
    expect(emitter.observed).toBe(true)
    leave()
    expect(emitter.observed).toBe(true)
    leaveToo()

    expect(emitter.observed).toBe(false)
  })

  it('calls a function twice that was added twice, and takes them out one by one', () => {
    const emitter = new Emitter()
    let heard = 0
    const listener = (): number => heard++
    const leave = emitter.subscribe(listener)
    const leaveToo = emitter.subscribe(listener)

    emitter.emit(event)
    expect(heard).toBe(2)
    leave()
    leave()
    emitter.emit(event)
    expect(heard).toBe(3)
    leaveToo()
    emitter.emit(event)

    expect(heard).toBe(3)
  })

  it('goes on after a listener that throws', () => {
    const emitter = new Emitter()
    let heard = 0
    emitter.subscribe(() => {
      throw new Error('a broken listener')
    })
    emitter.subscribe(() => heard++)

    emitter.emit(event)

    expect(heard).toBe(1)
  })

  it('tells whoever listened when it began to speak, and nobody else', () => {
    const emitter = new Emitter()
    const heard: string[] = []
    emitter.subscribe(() => {
      heard.push('first')
      leave()
      emitter.subscribe(() => heard.push('newcomer'))
    })
    const leave = emitter.subscribe(() => heard.push('leaving'))

    emitter.emit(event)
    expect(heard).toEqual(['first', 'leaving'])
    emitter.emit(event)

    expect(heard).toEqual(['first', 'leaving', 'first', 'newcomer'])
  })

  it.each([undefined, null, 'listener', {}])('refuses %o as a listener', (listener) => {
    const emitter = new Emitter()

    expect(() => emitter.subscribe(listener as never)).toThrow(TypeError)
    expect(() => emitter.subscribe(listener as never)).toThrow('must be a function')
    expect(emitter.observed).toBe(false)
  })
})

describe('harmless', () => {
  it('hands over its arguments', () => {
    const heard: unknown[] = []

    harmless((...args: number[]) => heard.push(args), 1, 2)

    expect(heard).toEqual([[1, 2]])
  })

  it.each([new Error('broken'), null, undefined])('swallows a throw of %o', (thrown) => {
    expect(() =>
      harmless(() => {
        throw thrown
      }),
    ).not.toThrow()
  })

  it('lets no rejection go unhandled', async () => {
    const unhandled: unknown[] = []
    const hear = (reason: unknown): number => unhandled.push(reason)
    process.on('unhandledRejection', hear)
    try {
      harmless(() => Promise.reject(new Error('broken')))
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      process.off('unhandledRejection', hear)
    }

    expect(unhandled).toEqual([])
  })
})

describe('quiet', () => {
  it('gives back what it was given', () => {
    const promise = Promise.resolve(1)

    expect([quiet(false), quiet(undefined), quiet(promise)]).toEqual([false, undefined, promise])
  })
})
