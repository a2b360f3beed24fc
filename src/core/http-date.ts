/**
 * The three forms of a date in an HTTP header (RFC 9110 §5.6.7), and nothing else: what engines parse
 * besides would make dates of anything.
 */
import { parseDate } from './clock.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<time>(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d)'

const FORMS: readonly RegExp[] = [
  new RegExp(`^${DAY}, (?<day>\\d{1,2}) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^${LONG_DAY}, (?<day>\\d{2})-${MONTH}-(?<year>\\d{2}) ${TIME} GMT$`),
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
]

const YEAR = 31_556_952_000

/** In ms since 1970; undefined for everything that is no date. */
export function parseHttpDate(text: string, wallTime: () => number): number | undefined {
  for (const form of FORMS) {
    const found = form.exec(text)?.groups
    if (found === undefined) continue
    const { day = '', month = '', year = '', time = '' } = found
    const full = year.length === 2 ? fullYear(Number(year), wallTime()) : Number(year)
    const number = MONTHS.indexOf(month) + 1
    if (Number(day) < 1 || Number(day) > daysIn(number, full)) return undefined
    return parseDate(`${String(full).padStart(4, '0')}-${two(number)}-${two(Number(day))}T${time}Z`)
  }
  return undefined
}

/** Of two digits, the year that is not more than 50 years ahead. */
function fullYear(digits: number, now: number): number {
  const present = 1970 + Math.floor(now / YEAR)
  const same = present - (present % 100) + digits
  return same > present + 50 ? same - 100 : same
}

function daysIn(month: number, year: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

function two(number: number): string {
  return String(number).padStart(2, '0')
}
