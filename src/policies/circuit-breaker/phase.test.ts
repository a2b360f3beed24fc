import { describe, expect, it } from 'vitest'
import { openingOf, type Phase, refusalOf, remainingOf, restoredPhase, stateOf } from './phase.ts'
import { Trials } from './trials.ts'

const cause = new Error('down')
const open = { is: 'open', since: 0, until: 500, cause, why: '5 failures in a row' } as const
const trying: Phase = { is: 'trying', trials: new Trials(1, 100), cause }
const ramping: Phase = { is: 'ramping', since: 100, cause }

describe('a Phase', () => {
  it.each<[Phase, string]>([
    [{ is: 'closed' }, 'closed'],
    [open, 'open'],
    [trying, 'half-open'],
    [ramping, 'half-open'],
    [{ is: 'isolated' }, 'isolated'],
  ])('is told as a state: $is', (phase, state) => {
    expect(stateOf(phase)).toBe(state)
  })

  it('refuses in words that help, with what opened it as the cause', () => {
    expect(refusalOf('payment', open, 250)).toMatchObject({
      message:
        'circuit "payment" is open, next trial in 250 ms; opened by 5 failures in a row; not called',
      policy: 'payment',
      state: 'open',
      retryAfter: 250,
      cause,
    })
    expect(refusalOf('payment', trying as never, 40)).toMatchObject({ state: 'half-open', cause })
    expect(refusalOf('payment', ramping as never, 0)).toMatchObject({ state: 'half-open', cause })
    const isolated = refusalOf('payment', { is: 'isolated' }, Number.POSITIVE_INFINITY)
    expect(isolated).toMatchObject({ state: 'isolated', retryAfter: Number.POSITIVE_INFINITY })
    expect('cause' in isolated).toBe(false)
  })

  it('has time left only while it is open', () => {
    expect([remainingOf(open, 100), remainingOf(open, 900), remainingOf(trying, 0)]).toEqual([
      400, 0, 0,
    ])
  })

  it('tells of an opening how long it will last, and why', () => {
    expect(openingOf(open, 100)).toEqual({ cause, resetTimeout: 400 })
    expect(openingOf(open, 900)).toEqual({ cause, resetTimeout: 0 })
  })

  it('is only held open by hand in a breaker that never refuses by itself', () => {
    const snapshot = { version: 1, openings: 1, remaining: 5, takenAt: 0 } as const
    const trip = { consecutiveFailures: 0, window: null }

    expect(restoredPhase({ ...snapshot, trip, state: 'isolated' }, 'disabled', 5).is).toBe(
      'isolated',
    )
    expect(restoredPhase({ ...snapshot, trip, state: 'open' }, 'metrics-only', 5).is).toBe('closed')
    expect(restoredPhase({ ...snapshot, trip, state: 'open' }, 'enabled', 5)).toMatchObject({
      is: 'open',
      until: 5,
    })
  })
})
