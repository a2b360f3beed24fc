/** What is kept of a run: results.json, and the table in the README that is made from it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { headlineTable, markdownTable } from './tables.js'

const results = new URL('../results.json', import.meta.url)
const readme = new URL('../README.md', import.meta.url)

/**
 * @typedef {object} Report
 * @property {string} node
 * @property {string} cpu
 * @property {string} date
 * @property {boolean} [quick]
 * @property {import('./types.js').Row[]} rows
 * @property {import('./verdicts.js').Verdict[]} bars
 */

/**
 * Keeps a report. One of some suites replaces their rows alone, provided that the other rows come
 * from the same machine.
 *
 * @param {Report} report
 * @param {boolean} all
 * @returns {Report} What the file holds now.
 */
export function keep(report, all) {
  const kept = all || !existsSync(results) ? report : merged(report)
  writeFileSync(results, `${JSON.stringify(kept, null, 2)}\n`)
  return kept
}

/**
 * @param {Report} report
 * @returns {Report}
 */
function merged(report) {
  /** @type {Report} */
  const before = JSON.parse(readFileSync(results, 'utf8'))
  if (before.node !== report.node || before.cpu !== report.cpu || before.quick !== report.quick) {
    throw new Error(
      `results.json is of Node.js ${before.node} on ${before.cpu}: run all suites to replace it`,
    )
  }
  const suites = new Set(report.rows.map(({ suite }) => suite))
  const suiteOf = (/** @type {{ bar: string }} */ { bar }) => bar.split('/')[0]
  const order = [...new Set([...before.rows, ...report.rows].map(({ suite }) => suite))]
  const place = (/** @type {string} */ suite) => order.indexOf(suite)
  return {
    ...report,
    rows: [...before.rows.filter(({ suite }) => !suites.has(suite)), ...report.rows].sort(
      (a, b) => place(a.suite) - place(b.suite),
    ),
    bars: [...before.bars.filter((one) => !suites.has(suiteOf(one))), ...report.bars].sort(
      (a, b) => place(suiteOf(a)) - place(suiteOf(b)),
    ),
  }
}

/** @param {Report} report */
export function writeReadme(report) {
  const { rows, bars, node, cpu, date, quick } = report
  const isHeadline = (/** @type {import('./types.js').Row} */ { suite }) =>
    suite.startsWith('headline-')
  const made = [
    `Node.js ${node}, ${cpu}, ${date.slice(0, 10)}${quick ? ', QUICK RUN' : ''}.`,
    `Versions: ${versions(rows).join(', ')}.`,
    '',
    markdownTable(rows.filter((row) => !isHeadline(row))),
    '',
    ...bars.map(
      ({ bar, measured, met }) => `- ${met ? 'met' : '**missed**'}: ${bar}; measured ${measured}`,
    ),
  ].join('\n')
  const text = readFileSync(readme, 'utf8')
  const headlines = headlineTable(rows.filter(isHeadline))
  writeFileSync(readme, between(between(text, 'headlines', headlines), 'results', made))
}

/**
 * @param {string} text
 * @param {string} name
 * @param {string} made
 */
function between(text, name, made) {
  const begin = `<!-- ${name}: written by \`npm run bench -- --write\` -->`
  const from = text.indexOf(begin)
  const to = text.indexOf(`<!-- /${name} -->`)
  if (from < 0 || to < from) throw new Error(`bench/README.md has lost its marks of ${name}`)
  return `${text.slice(0, from + begin.length)}\n\n${made}\n\n${text.slice(to)}`
}

/** @param {import('./types.js').Row[]} rows */
function versions(rows) {
  const libraries = rows.filter(({ version }) => !version.startsWith('v'))
  return [...new Set(libraries.map(({ subject, version }) => `${subject} ${version}`))]
}
