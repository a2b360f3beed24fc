import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type Linked, link, unlink } from './abort.ts'

interface Call extends Linked {
  readonly heard: unknown[]
}

function call(onAbort?: (reason: unknown) => void): Call {
  const heard: unknown[] = []
  return {
    heard,
    hub: undefined,
    previous: undefined,
    next: undefined,
    onAbort(reason) {
      heard.push(reason)
      onAbort?.(reason)
    },
  }
}

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('link', () => {
  it('tells every call of a signal, once, with the very reason', () => {
    const controller = new AbortController()
    const calls = [call(), call(), call()]
    const reason = { why: 'shutdown' }
    for (const one of calls) link(controller.signal, one)

    controller.abort(reason)
    controller.abort('again')

    for (const { heard } of calls) {
      expect(heard).toHaveLength(1)
      expect(heard[0]).toBe(reason)
    }
  })

  it.each([null, false, 0, ''])('hands over the reason %j as it is', (reason) => {
    const controller = new AbortController()
    const one = call()
    link(controller.signal, one)

    controller.abort(reason)

    expect(one.heard).toEqual([reason])
  })

  it('listens once, however many calls there are', () => {
    const { signal } = new AbortController()
    const calls = Array.from({ length: 1_000 }, () => call())

    for (const one of calls) link(signal, one)
    expect(listeners(signal)).toBe(1)
    for (const one of calls) unlink(one)

    expect(listeners(signal)).toBe(0)
  })

  it('keeps the calls of different signals apart', () => {
    const [first, second] = [new AbortController(), new AbortController()]
    const [one, other] = [call(), call()]
    link(first.signal, one)
    link(second.signal, other)

    first.abort('first')

    expect([one.heard, other.heard]).toEqual([['first'], []])
  })

  it('has left the signal when it calls, so that a call may go on to another', () => {
    const [first, second] = [new AbortController(), new AbortController()]
    const one: Call = call(() => link(second.signal, one))
    link(first.signal, one)

    first.abort('first')
    expect([listeners(first.signal), listeners(second.signal)]).toEqual([0, 1])
    unlink(one)

    expect(listeners(second.signal)).toBe(0)
  })

  it('does not tell a call that another one unlinks while being told', () => {
    const controller = new AbortController()
    const calls: Call[] = []
    for (let n = 0; n < 3; n++) {
      calls.push(
        call(() => {
          for (const other of calls) unlink(other)
        }),
      )
    }
    for (const one of calls) link(controller.signal, one)

    controller.abort('why')

    expect(calls.flatMap(({ heard }) => heard)).toEqual(['why'])
    expect(listeners(controller.signal)).toBe(0)
  })

  it('listens anew after the last call has left', () => {
    const controller = new AbortController()
    const [early, late] = [call(), call()]
    link(controller.signal, early)
    unlink(early)
    link(controller.signal, late)

    controller.abort('why')

    expect([early.heard, late.heard]).toEqual([[], ['why']])
  })
})

describe('unlink', () => {
  it.each([
    ['the first', [0, 1, 2]],
    ['one from the middle', [1, 0, 2]],
    ['the last', [2, 1, 0]],
  ])('takes out %s and leaves the others', (_which, order) => {
    const controller = new AbortController()
    const calls = [call(), call(), call()]
    for (const one of calls) link(controller.signal, one)
    const [gone] = order.map((index) => calls[index] as Call)

    unlink(gone as Call)
    expect(listeners(controller.signal)).toBe(1)
    controller.abort('why')

    expect(calls.filter(({ heard }) => heard.length === 1)).toHaveLength(2)
    expect(gone?.heard).toEqual([])
  })

  it('takes out any number in any order', () => {
    const { signal } = new AbortController()
    const calls = Array.from({ length: 6 }, () => call())
    for (const one of calls) link(signal, one)

    for (const index of [3, 0, 5, 1, 4]) unlink(calls[index] as Call)
    expect(listeners(signal)).toBe(1)
    unlink(calls[2] as Call)

    expect(listeners(signal)).toBe(0)
    for (const { hub, previous, next } of calls) {
      expect([hub, previous, next]).toEqual([undefined, undefined, undefined])
    }
  })

  it('is harmless twice, and without a link', () => {
    const { signal } = new AbortController()
    const [one, other] = [call(), call()]
    link(signal, one)
    link(signal, other)

    unlink(one)
    unlink(one)
    unlink(call())

    expect(listeners(signal)).toBe(1)
  })
})
