import { describe, expect, it } from 'vitest'
import { Aborter } from './aborter.ts'

describe('an attempt is called off', () => {
  it('with its reason, whether its signal was asked for before or after', () => {
    const [early, late] = [new Aborter(), new Aborter()]
    const { signal } = early.controller
    early.abort('gone')
    late.abort('gone')

    expect([signal.reason, late.controller.signal.reason]).toEqual(['gone', 'gone'])
    expect([early, late].map(({ aborted, reason }) => [aborted, reason])).toEqual([
      [true, 'gone'],
      [true, 'gone'],
    ])
  })

  it('by whoever holds its controller', () => {
    const aborter = new Aborter()
    expect([aborter.aborted, aborter.reason]).toEqual([false, undefined])
    aborter.controller.abort('the body broke off')

    expect([aborter.aborted, aborter.reason]).toEqual([true, 'the body broke off'])
  })

  it('once, and tells whoever listens still', () => {
    const aborter = new Aborter()
    const forgotten = new Aborter()
    const told: unknown[] = []
    aborter.tell((reason) => told.push(reason))
    forgotten.tell((reason) => told.push(reason))
    forgotten.tell(undefined)
    for (const one of [aborter, forgotten]) {
      one.abort('first')
      one.abort('second')
    }

    expect(told).toEqual(['first'])
  })

  it('with a reason, although none was given', () => {
    const aborter = new Aborter()
    aborter.abort(undefined)

    expect(aborter.reason).toMatchObject({ name: 'AbortError' })
    expect(aborter.controller.signal.reason).toBe(aborter.reason)
  })
})
