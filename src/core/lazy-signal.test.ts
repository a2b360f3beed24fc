import { describe, expect, it } from 'vitest'
import { LazySignal } from './lazy-signal.ts'

describe('a signal that is made when it is read', () => {
  it('is one, and aborts with the reason', () => {
    const lazy = new LazySignal()
    const { signal } = lazy
    const reasons: unknown[] = []
    signal.addEventListener('abort', () => reasons.push(signal.reason))

    lazy.abort('late')

    expect(lazy.signal).toBe(signal)
    expect(reasons).toEqual(['late'])
  })

  it.each([undefined, 'late'])('is born aborted when it is read afterwards (%s)', (reason) => {
    const lazy = new LazySignal()

    lazy.abort(reason)
    lazy.abort('later')

    expect(lazy.signal.aborted).toBe(true)
    if (reason !== undefined) expect(lazy.signal.reason).toBe(reason)
  })
})
