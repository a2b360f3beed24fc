/**
 * The report for people: one table, bare against protected, and the promises.
 */

import { serviceNames } from '../show/stage.js'
import { duration, left, percent, right, seconds } from './format.js'

/**
 * @typedef {import('./report.js').Report} Report
 * @typedef {import('./report.js').ShopReport} ShopReport
 * @typedef {import('./format.js').Paint} Paint
 */

/**
 * @param {Report} report
 * @param {Paint} paint
 */
export function renderReport(report, paint) {
  return [
    '',
    ...overall(report, paint),
    '',
    ...byPhase(report, paint),
    '',
    ...byService(report, paint),
    '',
    ...promises(report, paint),
    '',
  ].join('\n')
}

/**
 * @param {Report} report
 * @param {Paint} paint
 */
function overall(report, paint) {
  /** @type {Array<[string, (shop: ShopReport) => string]>} */
  const rows = [
    ['customer requests', (shop) => String(shop.requests)],
    ['answered', (shop) => percent(shop.answeredShare)],
    ['  in full', (shop) => String(shop.answered)],
    ['  accepted, and charged later', (shop) => String(shop.accepted)],
    ['  degraded (replica, last known, default)', (shop) => String(shop.degraded)],
    ['rejected at once', (shop) => String(shop.rejected)],
    ['failed', (shop) => String(shop.failed)],
    ['customer gave up waiting', (shop) => String(shop.gaveUp)],
    ['product page, p50', (shop) => duration(shop.product?.p50)],
    ['product page, p99', (shop) => duration(shop.product?.p99)],
    ['order, p50', (shop) => duration(shop.order?.p50)],
    ['order, p99', (shop) => duration(shop.order?.p99)],
    ['invoice, p50', (shop) => duration(shop.invoice?.p50)],
    ['event loop stood still, in all', ({ stalls }) => duration(stalls.total)],
    ['  at worst', ({ stalls }) => duration(stalls.longest)],
    ['calls sent per customer request', (shop) => shop.callsPerRequest.toFixed(2)],
    ['calls sent per answered request', (shop) => perAnswer(shop)],
    ['cards charged, order never confirmed', (shop) => String(shop.unconfirmedCharges)],
    ['time to recover, at worst', (shop) => recovery(shop)],
    ['import of the catalogue', ({ database }) => duration(database.importMs)],
    ['lookups of stock', ({ database }) => String(database.lookups)],
    ['  statements for them', ({ database }) => String(database.lookupStatements)],
    ['statements to the database, in all', ({ database }) => String(database.statements)],
    ['connections opened for them', ({ database }) => String(database.connections)],
  ]
  const head = left('', 42) + right('bare', 12) + right('protected', 12)
  return [
    paint('bold', head),
    ...rows.map(
      ([name, cell]) =>
        left(name, 42) + right(cell(report.bare), 12) + right(cell(report.protected), 12),
    ),
  ]
}

/** @param {ShopReport} shop */
function perAnswer({ sent, answered, accepted, degraded }) {
  return (total(sent) / (answered + accepted + degraded)).toFixed(2)
}

/** @param {ShopReport} shop */
function recovery({ recoverMs, recoveries }) {
  if (recoverMs !== null) return seconds(recoverMs)
  const longest = Math.max(...recoveries.map(({ ms, watched }) => ms ?? watched))
  return `> ${seconds(longest)}`
}

/**
 * @param {Report} report
 * @param {Paint} paint
 */
function byPhase({ phases }, paint) {
  /** @param {string} title */
  const pair = (title) => right(title, 21)
  const head = left('phase', 19) + pair('answered') + pair('page p99') + pair('calls sent')
  const under = left('', 19) + (right('bare', 10) + right('protected', 11)).repeat(3)
  return [
    paint('bold', head),
    paint('dim', under),
    ...phases.map(({ name, bare, protected: safe }) =>
      [
        left(name, 19),
        right(percent(bare.answeredShare), 10),
        right(percent(safe.answeredShare), 11),
        right(duration(bare.product?.p99), 10),
        right(duration(safe.product?.p99), 11),
        right(String(total(bare.sent)), 10),
        right(String(total(safe.sent)), 11),
      ].join(''),
    ),
  ]
}

/**
 * @param {Report} report
 * @param {Paint} paint
 */
function byService({ bare, protected: safe }, paint) {
  const columns = /** @type {const} */ (['sent', 'retries', 'cancelled'])
  const titles = ['calls sent', 'retries among them', 'cut by deadline']
  const head = left('service', 19) + titles.map((title) => right(title, 21)).join('')
  const under = left('', 19) + (right('bare', 10) + right('protected', 11)).repeat(3)
  return [
    paint('bold', head),
    paint('dim', under),
    ...serviceNames.map((name) => {
      const cells = columns.map(
        (column) => right(String(bare[column][name]), 10) + right(String(safe[column][name]), 11),
      )
      return left(name, 19) + cells.join('')
    }),
  ]
}

/** @param {Record<string, number>} counts */
function total(counts) {
  return Object.values(counts).reduce((all, count) => all + count, 0)
}

/**
 * @param {Report} report
 * @param {Paint} paint
 */
function promises({ checks }, paint) {
  return checks.map(({ name, ok, detail }) => {
    const mark = ok ? paint('green', 'kept  ') : paint('red', 'BROKEN')
    return `${mark}  ${name} ${paint('dim', `(${detail})`)}`
  })
}
