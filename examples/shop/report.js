/**
 * The report: what became of the customers of each shop, and whether the promises held.
 */

import { checkPromises } from './checks.js'
import { during, recoveries, sentBetween, summarise } from './metrics.js'
import { serviceNames, shops } from './stage.js'
import { orderOf } from './traffic.js'

/**
 * @typedef {import('./play.js').Played} Played
 * @typedef {import('./stage.js').ShopName} ShopName
 *
 * @typedef {import('./metrics.js').Summary & { sent: Record<string, number> }} PhaseFigures
 *
 * @typedef {object} PhaseReport
 * @property {string} id
 * @property {string} name
 * @property {number} startMs
 * @property {number} endMs
 * @property {Record<string, import('./faults.js').Fault>} faults
 * @property {PhaseFigures} bare
 * @property {PhaseFigures} protected
 *
 * @typedef {object} ShopFacts
 * @property {Record<string, number>} sent - Calls that left for each service.
 * @property {Record<string, number>} reached - Calls that arrived there.
 * @property {number} callsPerRequest
 * @property {number} unconfirmedCharges - Cards charged for orders that the customer never saw confirmed.
 * @property {number} unpaidOrders - Orders confirmed without a charge or without stock.
 * @property {number | null} recoverMs - The longest recovery after a fault; null if one was not seen to end.
 * @property {import('./metrics.js').Recovery[]} recoveries
 *
 * @typedef {import('./metrics.js').Summary & ShopFacts} ShopReport
 *
 * @typedef {import('./checks.js').Check} Check
 *
 * @typedef {object} Report
 * @property {boolean} ok - Whether every check holds.
 * @property {number} seed
 * @property {number} durationMs
 * @property {Played['scene']} scene
 * @property {PhaseReport[]} phases
 * @property {ShopReport} bare
 * @property {ShopReport} protected
 * @property {Check[]} checks
 */

/**
 * @param {Played} played
 * @param {{ seed: number, pace: number, left: { processes: number[], ports: number[] } }} run
 * @returns {Report}
 */
export function buildReport(played, { seed, pace, left }) {
  const { story, books, requests, scene } = played
  const phases = story.map((phase, index) => {
    /** @param {ShopName} shop */
    const figures = (shop) => ({
      ...summarise(during(requests[shop], phase)),
      sent: sentBetween(shop, books[index]?.start, books[index]?.end),
    })
    const { id, name, start, end, faults } = phase
    const both = { bare: figures('bare'), protected: figures('protected') }
    return { id, name, startMs: start, endMs: end, faults, ...both }
  })
  const [bare, safe] = shops.map((shop) => reportOf(shop, played, pace))
  if (!bare || !safe) throw new Error('both shops have a report')

  const checks = checkPromises({ phases, bare, safe, played, pace, left })
  const ok = checks.every((each) => each.ok)
  const durationMs = story.at(-1)?.end ?? 0
  return { ok, seed, durationMs, scene, phases, bare, protected: safe, checks }
}

/**
 * @param {ShopName} shop
 * @param {Played} played
 * @param {number} pace
 * @returns {ShopReport}
 */
function reportOf(shop, { story, books, end, effects, requests }, pace) {
  const told = during(requests[shop], { start: 0, end: story.at(-1)?.end ?? 0 })
  const sent = sentBetween(shop, books[0]?.start, end)
  const recovered = recoveries(requests[shop], story, 1_000 * pace)

  const charged = new Set(effects.charged.filter((id) => id.startsWith(`${shop}-`)))
  const reserved = new Set(effects.reserved)
  const confirmed = requests[shop]
    .filter(({ visit, ending }) => visit.kind === 'order' && /answered|degraded/.test(ending))
    .map(({ visit }) => orderOf(shop, visit).id)
  const paid = confirmed.filter((id) => charged.has(id))

  return {
    ...summarise(told),
    sent,
    reached: Object.fromEntries(
      serviceNames.map((name) => [name, end.services[name]?.reached[shop] ?? 0]),
    ),
    callsPerRequest: sum(sent) / told.length,
    unconfirmedCharges: charged.size - paid.length,
    unpaidOrders: confirmed.filter((id) => !charged.has(id) || !reserved.has(id)).length,
    recoverMs: recovered.some(({ ms }) => ms === null)
      ? null
      : Math.max(...recovered.map(({ ms }) => ms ?? 0)),
    recoveries: recovered,
  }
}

/** @param {Record<string, number>} counts */
function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
