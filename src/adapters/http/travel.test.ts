import { describe, expect, it } from 'vitest'
import { readTravelled, travelHeaders } from './travel.ts'

const read = (headers: Record<string, unknown>) =>
  readTravelled({ header: (name) => headers[name] })

describe('the headers that travel', () => {
  it.each([
    { remaining: 1_500, attempt: 2, maxAttempts: 4 },
    { remaining: 0, attempt: 1, maxAttempts: 2 },
    { remaining: Number.POSITIVE_INFINITY, attempt: 1, maxAttempts: 1 },
    { remaining: 86_400_000, attempt: 999, maxAttempts: 999 },
  ])('are read as they were sent: %o', (travelled) => {
    expect(read(travelHeaders(travelled))).toEqual(travelled)
  })

  it('are sent as whole numbers within bounds', () => {
    expect(travelHeaders({ remaining: 12.9 })).toEqual({ 'x-deadline-ms': '12' })
    expect(travelHeaders({ remaining: -5 })).toEqual({ 'x-deadline-ms': '0' })
    expect(travelHeaders({ remaining: 1e12 })).toEqual({})
    expect(travelHeaders({ attempt: 5_000, maxAttempts: 5_000 })).toEqual({
      'x-attempt': '999/999',
    })
  })

  it.each([
    '',
    ' 5',
    '5 ',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '1.5',
    '9999999999',
    'NaN',
    '५',
    5,
    ['5'],
    null,
  ])('say nothing of the time when they say %j', (value) => {
    expect(read({ 'x-deadline-ms': value }).remaining).toBe(Number.POSITIVE_INFINITY)
  })

  it.each([
    '',
    '1',
    '0/3',
    '4/3',
    '1/0',
    '-1/3',
    '1/3/5',
    ' 1/3',
    '1/3 ',
    '1/9999',
    '०/३',
    1,
    ['1/3'],
  ])('say nothing of attempts when they say %j', (value) => {
    expect(read({ 'x-attempt': value })).toMatchObject({ attempt: 1, maxAttempts: 1 })
  })
})
