/**
 * The report: what became of the customers of each shop, and whether the promises held.
 */

import { serviceNames, shops } from '../show/stage.js'
import { orderOf } from '../show/traffic.js'
import { checkPromises, isAnswer } from './checks.js'
import {
  cancelledBetween,
  during,
  recoveries,
  retriesBetween,
  sentBetween,
  summarise,
} from './metrics.js'

/**
 * @typedef {import('../show/play.js').Played} Played
 * @typedef {import('../show/stage.js').ShopName} ShopName
 *
 * @typedef {import('./metrics.js').Summary & { sent: Record<string, number> }} PhaseFigures
 *
 * @typedef {object} PhaseReport
 * @property {string} id
 * @property {string} name
 * @property {number} startMs
 * @property {number} endMs
 * @property {Record<string, import('../services/faults.js').Fault>} faults
 * @property {PhaseFigures} bare
 * @property {PhaseFigures} protected
 *
 * @typedef {object} ShopFacts
 * @property {Record<string, number>} sent - Calls that left for each service.
 * @property {Record<string, number>} reached - Calls that arrived there.
 * @property {Record<string, number>} retries - Calls that left for each service once more.
 * @property {Record<string, number>} cancelled - Calls that each service stopped working on, or did not
 *   begin, because their caller's deadline had passed.
 * @property {number} callsPerRequest
 * @property {number} unconfirmedCharges - Cards charged for orders that the customer never saw confirmed.
 * @property {number} unpaidOrders - Orders confirmed without a charge, stock or record.
 * @property {DatabaseFacts} database
 * @property {import('../front/loop.js').Stalls} stalls - Of the event loop, in all.
 * @property {OrderFacts} orders
 * @property {number | null} recoverMs - The longest recovery after a fault; null if one was not seen to end.
 * @property {import('./metrics.js').Recovery[]} recoveries
 *
 * @typedef {object} OrderFacts - All of them, those before the story included.
 * @property {number} accepted - On record, or confirmed to the customer.
 * @property {number} charged
 * @property {number} chargedTwice
 * @property {number} notCharged - Accepted, but not charged, or without a receipt on record.
 * @property {number} notAccepted - Charged, but not accepted.
 * @property {number} mailed - Of those accepted.
 *
 * @typedef {object} DatabaseFacts
 * @property {number} importMs - How long the catalogue took to import.
 * @property {number} connections - Opened, in all.
 * @property {number} statements - Each is a round trip.
 * @property {number} lookups - How often somebody wanted to know the stock of a product.
 * @property {number} lookupStatements - How many statements that took.
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
 * @property {Played['backlog']} backlog
 * @property {Check[]} checks
 */

/**
 * @param {Played} played
 * @param {{ seed: number, pace: number, left: import('../show/processes.js').Left }} run
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
  const { backlog } = played
  return { ok, seed, durationMs, scene, phases, bare, protected: safe, backlog, checks }
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

  /** @param {string} id */
  const isOurs = (id) => id.startsWith(`${shop}-`)
  const charged = new Set(Object.keys(effects.charged).filter(isOurs))
  const reserved = new Set(effects.reserved)
  const onRecord = new Set(effects.onRecord.map(({ id }) => id).filter(isOurs))
  const confirmed = requests[shop]
    .filter(({ visit, ending }) => visit.kind === 'order' && isAnswer(ending))
    .map(({ visit }) => orderOf(shop, visit).id)
  const paid = confirmed.filter((id) => charged.has(id))

  return {
    ...summarise(told),
    sent,
    reached: Object.fromEntries(
      serviceNames.map((name) => [name, end.services[name]?.reached[shop] ?? 0]),
    ),
    retries: retriesBetween(shop, books[0]?.start, end),
    cancelled: cancelledBetween(shop, books[0]?.start, end),
    callsPerRequest: sum(sent) / told.length,
    unconfirmedCharges: charged.size - paid.length,
    unpaidOrders: confirmed.filter(
      (id) => !charged.has(id) || !reserved.has(id) || !onRecord.has(id),
    ).length,
    stalls: end.shops[shop].stalls,
    orders: orderFacts(new Set([...confirmed, ...onRecord]), charged, effects),
    database: databaseFacts(books[0]?.start.shops[shop], end.shops[shop]),
    recoverMs: recovered.some(({ ms }) => ms === null)
      ? null
      : Math.max(...recovered.map(({ ms }) => ms ?? 0)),
    recoveries: recovered,
  }
}

/**
 * @param {ReadonlySet<string>} accepted
 * @param {ReadonlySet<string>} charged
 * @param {Played['effects']} effects
 * @returns {OrderFacts}
 */
function orderFacts(accepted, charged, effects) {
  const mailed = new Set(effects.mailed)
  const receipts = new Map(effects.onRecord.map(({ id, receipt }) => [id, receipt]))
  const notCharged = [...accepted].filter((id) => !charged.has(id) || !receipts.get(id))
  return {
    accepted: accepted.size,
    charged: charged.size,
    chargedTwice: [...charged].filter((id) => effects.charged[id] !== 1).length,
    notCharged: notCharged.length,
    notAccepted: [...charged].filter((id) => !accepted.has(id)).length,
    mailed: [...accepted].filter((id) => mailed.has(id)).length,
  }
}

/**
 * @param {import('../front/front-end.js').FrontEndStats | undefined} start
 * @param {import('../front/front-end.js').FrontEndStats} end
 * @returns {DatabaseFacts}
 */
function databaseFacts(start, { importMs, database }) {
  const { lookups = 0, statements = {} } = start?.database ?? {}
  return {
    importMs: Math.round(importMs),
    connections: database.connections,
    statements: sum(database.statements) - sum(statements),
    lookups: database.lookups - lookups,
    lookupStatements: (database.statements['units'] ?? 0) - (statements['units'] ?? 0),
  }
}

/** @param {Record<string, number>} counts */
function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
