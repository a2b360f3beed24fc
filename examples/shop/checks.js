/**
 * What the protected shop promises, and whether this run kept it.
 */

import { percent } from './format.js'
import { during, sentBetween } from './metrics.js'

/**
 * @typedef {{ name: string, ok: boolean, detail: string }} Check
 *
 * @typedef {object} Run
 * @property {import('./report.js').PhaseReport[]} phases
 * @property {import('./report.js').ShopReport} bare
 * @property {import('./report.js').ShopReport} safe
 * @property {import('./play.js').Played} played
 * @property {number} pace
 * @property {{ processes: number[], ports: number[] }} left
 */

/**
 * @param {Run} run
 * @returns {Check[]}
 */
export function checkPromises(run) {
  return [
    pagesStayQuick(run),
    pagesAreAnswered(run),
    onlyTrialCalls(run),
    ...books(run),
    clean(run),
  ]
}

/** @param {Run} run */
function pagesStayQuick({ phases, played }) {
  const healthy = find(phases, 'healthy').found
  const { found: hanging, index } = find(phases, 'payment-hanging')
  // Twice, and a little, and what a busy machine adds in each of the three processes on the way.
  const hiccup = played.books[index]?.hiccup ?? 0
  const limit = Math.round(p99(healthy.protected) * 2 + 50 + hiccup * 3)
  return {
    name: 'while payment hangs, product pages keep their healthy p99',
    ok: p99(hanging.protected) <= limit && p99(hanging.protected) < p99(hanging.bare) / 2,
    detail: `p99 ${p99(hanging.protected)} ms, healthy ${p99(healthy.protected)} ms, limit ${limit} ms; bare ${p99(hanging.bare)} ms`,
  }
}

/** @param {Run} run */
function pagesAreAnswered({ played }) {
  const { found } = find(played.story, 'catalogue-failing')
  /** @param {import('./stage.js').ShopName} shop */
  const share = (shop) => {
    const pages = during(played.requests[shop], found).filter(
      ({ visit }) => visit.kind === 'product',
    )
    return { all: pages.length, answered: pages.filter(({ ending }) => isAnswer(ending)).length }
  }
  const [safe, bare] = [share('protected'), share('bare')]
  return {
    name: 'while the catalogue fails, every product page is answered',
    ok: safe.all > 0 && safe.answered === safe.all,
    detail: `${safe.answered} of ${safe.all}; bare ${bare.answered} of ${bare.all}`,
  }
}

/** @param {Run} run */
function onlyTrialCalls({ played, pace }) {
  const { found, index } = find(played.story, 'inventory-down')
  const book = played.books[index]
  /** @param {import('./stage.js').ShopName} shop */
  const calls = (shop) => sentBetween(shop, book?.settled, book?.end).inventory ?? 0
  const trials =
    (book?.end.shops.protected.trials['inventory'] ?? 0) -
    (book?.settled.shops.protected.trials['inventory'] ?? 0)
  // The resetTimeout of protected.js, and one for the edge.
  const most = Math.floor((found.end - found.start - played.settling) / (1_000 * pace)) + 1
  return {
    name: 'calls sent to a service that is down fall to its trial calls',
    ok: calls('protected') === trials && trials <= most,
    detail: `${calls('protected')} calls to inventory, ${trials} of them trials, at most ${most}; bare ${calls('bare')}`,
  }
}

/** @param {Run} run */
function books({ bare, safe }) {
  return [
    {
      name: 'every confirmed order is paid and has its stock',
      ok: safe.unpaidOrders === 0,
      detail: `${safe.unpaidOrders} are not; bare ${bare.unpaidOrders}`,
    },
    {
      name: 'more customers are answered than without protection',
      ok: safe.answeredShare > bare.answeredShare,
      detail: `${percent(safe.answeredShare)}; bare ${percent(bare.answeredShare)}`,
    },
  ]
}

/** @param {Run} run */
function clean({ left }) {
  return {
    name: 'no process and no port is left behind',
    ok: left.processes.length === 0 && left.ports.length === 0,
    detail: `${left.processes.length} processes, ${left.ports.length} ports`,
  }
}

/** @param {import('./metrics.js').Summary} figures */
function p99(figures) {
  return Math.round(figures.product?.p99 ?? Number.POSITIVE_INFINITY)
}

/** @param {import('./traffic.js').Ending} ending */
export function isAnswer(ending) {
  return ending === 'answered' || ending === 'degraded'
}

/**
 * @template {{ id: string }} T
 * @param {readonly T[]} phases
 * @param {string} id
 */
function find(phases, id) {
  const index = phases.findIndex((phase) => phase.id === id)
  const found = phases[index]
  if (!found) throw new Error(`the story has no phase "${id}"`)
  return { found, index }
}
