/** Tables for people: plain text in the terminal, Markdown in the README. */
import { label } from './types.js'

/** @typedef {import('./types.js').Row} Row */

/** @param {number | undefined} value */
const figure = (value) => {
  if (value === undefined) return ''
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US')
  if (value >= 100) return value.toFixed(0)
  return value.toFixed(value >= 10 ? 1 : 2)
}

/** @param {Row} row */
const cells = (row) => [
  figure(row.nsPerOp),
  figure(row.ratioToBare),
  figure(row.ratioToHoldfast),
  row.bytesPerOp === undefined ? '' : row.bytesPerOp.toLocaleString('en-US'),
  row.perSecond === undefined ? '' : row.perSecond.toLocaleString('en-US'),
]

const heads = ['ns/op', 'x bare', 'x holdfast', 'bytes/op', 'per s']

/**
 * One work as plain text.
 *
 * @param {Row[]} rows
 */
export function plainTable(rows) {
  const [{ suite, work, title }] = rows
  const lines = [
    ['', ...heads],
    ...rows.map((row) => [`${label(row)} ${shownVersion(row)}`.trimEnd(), ...cells(row)]),
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? `  ${cell.padEnd(widths[0])}` : cell.padStart(widths[column] + 2),
      )
      .join('')
      .trimEnd(),
  )
  return `${suite}/${work}: ${title}\n${text.join('\n')}\n`
}

/** @param {Row} row */
const shownVersion = (row) =>
  row.subject === 'bare' || row.subject.startsWith('floor:') ? '' : row.version

/**
 * All works as one Markdown table.
 *
 * @param {Row[]} rows
 */
export function markdownTable(rows) {
  const lines = rows.map((row, at) => {
    const first = at === 0 || rows[at - 1].work !== row.work || rows[at - 1].suite !== row.suite
    const subject = row.subject === 'holdfast' ? `**${label(row)}**` : label(row)
    return `| ${[first ? row.title : '', subject, ...cells(row)].join(' | ')} |`
  })
  return [
    `| work | subject | ${heads.join(' | ')} |`,
    '|---|---|---:|---:|---:|---:|---:|',
    ...lines,
  ].join('\n')
}

/**
 * What waiting costs, and what is saved, as one Markdown table: wall time in ms.
 *
 * @param {Row[]} rows
 */
export function headlineTable(rows) {
  const lines = rows.map((row, at) => {
    const first = at === 0 || rows[at - 1].title !== row.title
    const subject = row.subject === 'holdfast' ? `**${label(row)}**` : label(row)
    const faster = row.ratioToBare === undefined ? undefined : 1 / row.ratioToBare
    const title = row.title
      .replace(' on loopback', '')
      .replace(', wall time', ',')
      .replace(/,$/, '')
    return `| ${[first ? title : '', subject, significant(row.nsPerOp / 1e6), significant(faster)].join(' | ')} |`
  })
  return [
    '| work | subject | ms | x faster than the first |',
    '|---|---|---:|---:|',
    ...lines,
  ].join('\n')
}

/** @param {number | undefined} value */
const significant = (value) => (value === undefined ? '' : String(Number(value.toPrecision(3))))
