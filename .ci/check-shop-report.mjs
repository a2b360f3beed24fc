// Checks the report of `npm start -- --json`: that the story was told to its end, and that
// the protected shop came out of it better than the bare one. Usage: node check-shop-report.mjs FILE
import { readFileSync } from 'node:fs'

const text = readFileSync(process.argv[2], 'utf8')
// Without --silent npm prints a banner first.
const report = JSON.parse(text.slice(text.search(/^\{/m)))
const problems = []

if (report.ok !== true) problems.push('ok is not true')
for (const side of ['bare', 'protected']) {
  const figures = report[side]
  if (typeof figures !== 'object' || figures === null) problems.push(`${side} is missing`)
  else if (!hasNumber(figures)) problems.push(`${side} has no figures`)
}

if (problems.length > 0) {
  console.error(`The shop's report is not as promised: ${problems.join('; ')}.`)
  console.error(text.slice(0, 2_000))
  process.exit(1)
}
console.log('The shop told its story to the end, and its report holds.')

/** @param {unknown} value @returns {boolean} */
function hasNumber(value) {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasNumber)
}
