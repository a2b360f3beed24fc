import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../../test/properties/seed.ts'
import { rateLimitWait, waitOf } from './retry-after.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const wall = (): number => NOW

const headers =
  (given: Record<string, string>) =>
  (name: string): string | undefined =>
    given[name]

describe('waitOf', () => {
  it.each<[string, Record<string, string>, number | undefined]>([
    ['seconds', { 'retry-after': '120' }, 120_000],
    ['no wait at all', { 'retry-after': '0' }, 0],
    ['a date', { 'retry-after': 'Mon, 23 Nov 2026 12:00:30 GMT' }, 30_000],
    ['a date that is past', { 'retry-after': 'Mon, 23 Nov 2026 11:00:00 GMT' }, 0],
    ['half a second, which is none of both', { 'retry-after': '1.5' }, undefined],
    ['a negative number', { 'retry-after': '-5' }, undefined],
    ['a number with a sign', { 'retry-after': '+5' }, undefined],
    ['another notation', { 'retry-after': '1e3' }, undefined],
    ['a year', { 'retry-after': '2026' }, 2_026_000],
    ['words', { 'retry-after': 'soon' }, undefined],
    ['nothing', {}, undefined],
    ['an empty header', { 'retry-after': '' }, undefined],
    ['a limit that is used up', { ratelimit: '"default";r=0;t=30' }, 30_000],
    ['a limit that is not', { ratelimit: '"default";r=5;t=30' }, undefined],
    ['several limits', { ratelimit: '"burst";r=0;t=3, "day";r=0;t=60, "year";r=9;t=999' }, 60_000],
    ['a name with all signs', { ratelimit: '"a,b;c\\"d";r=0;t=7' }, 7_000],
    ['a token for a name', { ratelimit: 'default;r=0;t=8' }, 8_000],
    ['more parameters', { ratelimit: '"p";q=100;r=0;w=60;t=9;pk=:cGs=:' }, 9_000],
    ['a limit without its time', { ratelimit: '"p";r=0' }, undefined],
    ['a limit without what remains', { ratelimit: '"p";t=9' }, undefined],
    ['a limit with no name', { ratelimit: ';r=0;t=9' }, undefined],
    ['a string that does not end', { ratelimit: '"p;r=0;t=9' }, undefined],
    [
      'the headers of older drafts',
      { 'ratelimit-remaining': '0', 'ratelimit-reset': '12' },
      12_000,
    ],
    ['seconds of habit', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '15' }, 15_000],
    ['a date of habit', { 'x-ratelimit-reset': String(NOW / 1000 + 40) }, 40_000],
    ['a date in milliseconds', { 'x-ratelimit-reset': String(NOW + 5_000) }, 5_000],
    ['a date that is past', { 'x-ratelimit-reset': String(NOW / 1000 - 40) }, 0],
    ['parts of seconds', { 'x-ratelimit-reset-after': '0.5' }, 500],
    ['what still remains', { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': '15' }, undefined],
    ['a reset that is no number', { 'x-ratelimit-reset': '1e9' }, undefined],
    ['Retry-After before all others', { 'retry-after': '1', ratelimit: '"p";r=0;t=9' }, 1_000],
    [
      'a structured limit before single headers',
      { ratelimit: '"p";r=0;t=9', 'x-ratelimit-reset': '15' },
      9_000,
    ],
  ])('reads %s', (_what, given, expected) => {
    expect(waitOf(429, headers(given), wall)).toBe(expected)
    expect(waitOf(503, headers(given), wall)).toBe(expected)
  })

  it('believes in rate limits with 429 and 503 alone, in Retry-After always', () => {
    const given = headers({ ratelimit: '"p";r=0;t=9' })
    expect(waitOf(500, given, wall)).toBe(undefined)
    expect(waitOf(500, headers({ 'retry-after': '2' }), wall)).toBe(2_000)
  })

  it('takes whatever strangers write: undefined or a wait, in no time', () => {
    const sign = fc.constantFrom(...'"\\,;=rtq019.- :*azé\u0000')
    const text = fc.oneof(fc.string(), fc.string({ unit: sign, maxLength: 200 }))
    holds(
      fc.property(
        fc.record({
          'retry-after': fc.option(text, { nil: undefined }),
          ratelimit: fc.option(text, { nil: undefined }),
          'ratelimit-remaining': fc.option(text, { nil: undefined }),
          'ratelimit-reset': fc.option(text, { nil: undefined }),
          'x-ratelimit-reset': fc.option(text, { nil: undefined }),
        }),
        (given) => {
          const wait = waitOf(429, headers(given as Record<string, string>), wall)
          expect(wait === undefined || (wait >= 0 && !Number.isNaN(wait))).toBe(true)
        },
      ),
      20_000,
    )
  })

  it('finds every limit that is written by the rules', () => {
    const policy = fc.record({
      name: fc.string().filter((name) => /^[ !#-[\]-~]*$/.test(name)),
      r: fc.nat({ max: 3 }),
      t: fc.nat({ max: 1_000_000 }),
    })
    holds(
      fc.property(fc.array(policy, { minLength: 1, maxLength: 5 }), (policies) => {
        const field = policies.map(({ name, r, t }) => `"${name}";r=${r};t=${t}`).join(', ')
        const waits = policies.filter(({ r }) => r === 0).map(({ t }) => t * 1000)
        const expected = waits.length === 0 ? undefined : Math.max(...waits)
        expect(rateLimitWait(headers({ ratelimit: field }), wall)).toBe(expected)
      }),
      5_000,
    )
  })

  it.each(['"', '\\', ',', ';', '";"', 'a;r=0,', '"\\', ' ', ';r=0;t=1'])(
    'takes time in proportion to the length: many times %s',
    (part) => {
      const time = (length: number): number => {
        const field = part.repeat(length / part.length)
        const began = process.cpuUsage()
        for (let n = 0; n < 5; n++) {
          waitOf(429, headers({ ratelimit: field, 'retry-after': field }), wall)
        }
        const { user, system } = process.cpuUsage(began)
        return user + system
      }
      time(10_000)
      expect(time(200_000)).toBeLessThan(1_000_000)
    },
  )
})
