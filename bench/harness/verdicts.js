/** Holds the bars against the rows of a run. A missed bar is reported; it never fails a run. */
import { bars } from '../bars.js'
import { median, ratios } from './statistics.js'
import { label } from './types.js'

/**
 * @typedef {{ bar: string, measured: number, met: boolean }} Verdict
 * @typedef {import('./play.js').Played} Played
 */

/**
 * @param {Played[]} rows
 * @returns {Verdict[]} One for each bar whose work was measured.
 */
export function verdicts(rows) {
  return bars.flatMap((bar) => {
    const work = rows.filter((row) => `${row.suite}/${row.work}` === bar.work)
    if (work.length === 0) return []
    const own = work.find((row) => row.subject === 'holdfast' && row.variant === bar.row)
    if (!own) throw new Error(`${bar.work} has no row for holdfast ${bar.row ?? ''}`)
    const measured = measure(bar, own, work)
    const met = bar.atLeast === undefined ? measured <= limitOf(bar) : measured >= bar.atLeast
    return [{ bar: named(bar), measured: Number(measured.toPrecision(4)), met }]
  })
}

/**
 * @param {import('../bars.js').Bar} bar
 * @param {Played} own
 * @param {Played[]} work
 */
function measure(bar, own, work) {
  if (bar.bytes !== undefined) return own.bytesPerOp ?? Number.NaN
  const name = bar.of ?? bar.fasterThan ?? bar.rateOf
  const other = work.find((row) => label(row) === name)
  if (!other) throw new Error(`${bar.work} has no row ${name}`)
  if (bar.rateOf !== undefined) return median(ratios(other.wall, own.wall))
  return median(bar.of === undefined ? ratios(other.cpu, own.cpu) : ratios(own.cpu, other.cpu))
}

/** @param {import('../bars.js').Bar} bar */
const limitOf = (bar) => bar.bytes ?? bar.atMost ?? Number.NaN

/** @param {import('../bars.js').Bar} bar */
function named(bar) {
  if (bar.bytes !== undefined) return `${bar.work}: at most ${bar.bytes} bytes`
  if (bar.of !== undefined) return `${bar.work}: at most ${bar.atMost}x ${bar.of}`
  if (bar.rateOf !== undefined) {
    return `${bar.work}: at least ${bar.atLeast} of the requests/s of ${bar.rateOf}`
  }
  return `${bar.work}: at least ${bar.atLeast}x faster than ${bar.fasterThan}`
}

/** @param {Verdict[]} all */
export function verdictLines(all) {
  const met = all.filter((verdict) => verdict.met).length
  return [
    ...all.map(({ bar, measured, met }) => `  ${met ? 'met   ' : 'MISSED'}  ${bar}; ${measured}`),
    `  ${met} of ${all.length} bars met`,
  ].join('\n')
}
