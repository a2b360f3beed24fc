import { describe, expect, it } from 'vitest'
import { type CircuitSnapshot, checkCircuitSnapshot } from './snapshot.ts'

const good: CircuitSnapshot = {
  version: 1,
  state: 'open',
  openings: 2,
  remaining: 500,
  takenAt: 1_700_000_000_000,
  trip: { consecutiveFailures: 5, window: null },
}

describe('checkCircuitSnapshot', () => {
  it.each([
    ['an open circuit', good],
    ['a closed circuit', { ...good, state: 'closed', openings: 0, remaining: 0 }],
    ['an isolated circuit', { ...good, state: 'isolated' }],
    ['the beginning of time', { ...good, takenAt: 0 }],
    ['a window', { ...good, trip: { consecutiveFailures: 0, window: {} } }],
    ['more than it knows', { ...good, since: 'a later release' }],
  ])('believes %s', (_what, snapshot) => {
    expect(checkCircuitSnapshot(snapshot)).toBe(snapshot)
  })

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', JSON.stringify(good)],
    ['a number', 1],
    ['an empty object', {}],
    ['no version', { ...good, version: undefined }],
    ['another version', { ...good, version: 2 }],
    ['a version in words', { ...good, version: '1' }],
    ['a state that cannot be kept', { ...good, state: 'half-open' }],
    ['no state', { ...good, state: undefined }],
    ['fewer openings than none', { ...good, openings: -1 }],
    ['half an opening', { ...good, openings: 0.5 }],
    ['openings in words', { ...good, openings: '1' }],
    ['NaN ms left', { ...good, remaining: Number.NaN }],
    ['more ms left than a clock counts', { ...good, remaining: 1e308 }],
    ['endless ms left', { ...good, remaining: Number.POSITIVE_INFINITY }],
    ['fewer ms left than none', { ...good, remaining: -1 }],
    ['no time', { ...good, takenAt: undefined }],
    ['a time after time', { ...good, takenAt: 1e300 }],
    ['a time before time', { ...good, takenAt: -1 }],
    ['no memory', { ...good, trip: undefined }],
    ['null memory', { ...good, trip: null }],
    ['a memory in words', { ...good, trip: 'much' }],
    ['fewer failures than none', { ...good, trip: { consecutiveFailures: -1, window: null } }],
    ['half a failure', { ...good, trip: { consecutiveFailures: 0.5, window: null } }],
    ['a window in words', { ...good, trip: { consecutiveFailures: 0, window: 'wide' } }],
    ['no window', { ...good, trip: { consecutiveFailures: 0 } }],
  ])('refuses %s', (_what, snapshot) => {
    expect(() => checkCircuitSnapshot(snapshot)).toThrow(TypeError)
    expect(() => checkCircuitSnapshot(snapshot)).toThrow(
      'circuitBreaker: restore needs what snapshot() gave (version 1), but was given',
    )
  })
})
