import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/properties/seed.ts'
import { parseHttpDate } from './http-date.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const parse = (text: string): number | undefined => parseHttpDate(text, () => NOW)

describe('a date in a header', () => {
  it.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', Date.UTC(1994, 10, 6, 8, 49, 37)],
    ['Sunday, 06-Nov-94 08:49:37 GMT', Date.UTC(1994, 10, 6, 8, 49, 37)],
    ['Sun Nov  6 08:49:37 1994', Date.UTC(1994, 10, 6, 8, 49, 37)],
    ['Mon Nov 23 12:00:00 2026', NOW],
    ['Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
    ['Tue, 3 Nov 2026 00:00:00 GMT', Date.UTC(2026, 10, 3)],
    ['Saturday, 01-Jan-76 00:00:00 GMT', Date.UTC(2076, 0, 1)],
    ['Saturday, 01-Jan-77 00:00:00 GMT', Date.UTC(1977, 0, 1)],
  ])('is understood in each of its forms: %s', (text, expected) => {
    expect(parse(text)).toBe(expected)
  })

  it.each([
    '',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 EST',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
    'sun, 06 nov 1994 08:49:37 gmt',
    'Foo, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Tue, 29 Feb 2023 00:00:00 GMT',
    'Wed, 31 Apr 2026 00:00:00 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    '1994-11-06T08:49:37Z',
    'Mon, 5 GMT',
    'Jan 1 2100 GMT',
    '120',
  ])('is nothing else: %j', (text) => {
    expect(parse(text)).toBeUndefined()
  })

  it('is every second that is written by the rules', async () => {
    const seconds = fc.integer({ min: 0, max: 253_402_300_799 })
    await holds(
      fc.property(seconds, (second) => {
        expect(parse(new Date(second * 1_000).toUTCString())).toBe(second * 1_000)
      }),
    )
  })

  it('is undefined or a number, whatever strangers write', async () => {
    const words = fc.constantFrom('Sun', ',', ' ', 'Nov', '06', '1994', '08:49:37', 'GMT', '-', '9')
    const texts = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 20 }).map((parts) => parts.join('')),
    )
    await holds(
      fc.property(texts, (text) => {
        const date = parse(text)
        expect(date === undefined || Number.isFinite(date)).toBe(true)
      }),
    )
  })
})
