// Checks the report of `npm start -- --json`: that the story was told to its end, that every promise
// was checked and held, that the protected shop served its customers better than the bare one, that what
// it accepted and what it charged are the same, and that retries and deadlines are told by service.
// Usage: node check-shop-report.mjs FILE
import { readFileSync } from 'node:fs'

const text = readFileSync(process.argv[2], 'utf8')
const report = parse()
const problems = []

if (report.ok !== true) problems.push('ok is not true')
const checks = Array.isArray(report.checks) ? report.checks : []
if (checks.length === 0) problems.push('no promise was checked')
for (const { name, ok, detail } of checks) if (!ok) problems.push(`${name} (${detail})`)

const bare = report.bare?.answeredShare
const safe = report.protected?.answeredShare
if (!Number.isFinite(bare) || !Number.isFinite(safe)) problems.push('a shop has no figures')
else if (safe <= bare) problems.push(`the protected shop answered ${safe}, the bare one ${bare}`)

const orders = report.protected?.orders
if (!(orders?.accepted > 0)) problems.push('no order was accepted')
else if (orders.accepted !== orders.charged || orders.chargedTwice > 0) {
  problems.push(`accepted and charged do not balance: ${JSON.stringify(orders)}`)
}
for (const what of ['sent', 'retries', 'cancelled']) {
  for (const shop of ['bare', 'protected']) {
    const counts = Object.values(report[shop]?.[what] ?? {})
    if (counts.length !== 5 || !counts.every(isCount))
      problems.push(`${shop}: no ${what} by service`)
  }
}
if (!(report.protected?.accepted > 0)) problems.push('no order had to wait for payment')

if (problems.length > 0) {
  console.error(`The shop's report is not as promised: ${problems.join('; ')}.`)
  process.exit(1)
}
for (const { name, detail } of checks) console.log(`held: ${name} (${detail})`)
console.log(`answered: ${percent(safe)} protected, ${percent(bare)} bare`)

/** @param {unknown} value */
function isCount(value) {
  return Number.isInteger(value) && Number(value) >= 0
}

function parse() {
  try {
    return JSON.parse(text)
  } catch (error) {
    console.error(`The shop's report is no JSON (${error.message}):\n${text.slice(0, 2_000)}`)
    process.exit(1)
  }
}

/** @param {number} share */
function percent(share) {
  return `${(share * 100).toFixed(1)} %`
}
