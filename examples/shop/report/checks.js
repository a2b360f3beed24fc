/**
 * What the protected shop promises, and whether this run kept it.
 */

import { percent, seconds } from './format.js'
import { during, sentBetween } from './metrics.js'

/**
 * @typedef {{ name: string, ok: boolean, detail: string }} Check
 *
 * @typedef {object} Run
 * @property {import('./report.js').PhaseReport[]} phases
 * @property {import('./report.js').ShopReport} bare
 * @property {import('./report.js').ShopReport} safe
 * @property {import('../show/play.js').Played} played
 * @property {number} pace
 * @property {import('../show/processes.js').Left} left
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
    ...travelled(run),
    ...books(run),
    ...queued(run),
    ...database(run),
    loopGoesRound(run),
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
  /** @param {import('../show/stage.js').ShopName} shop */
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
  /** @param {import('../show/stage.js').ShopName} shop */
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
function travelled({ bare, safe }) {
  const [calls, retries] = [total(safe.sent), total(safe.retries)]
  const { payment = 0 } = safe.cancelled
  return [
    {
      name: 'retries are few beside the calls',
      ok: retries > 0 && retries * 5 <= calls,
      detail: `${retries} of ${calls} calls were sent once more`,
    },
    {
      name: 'payment does no work for callers who have given up',
      ok: payment > 0 && total(bare.cancelled) === 0,
      detail: `${payment} calls were cut when their time was up; the bare shop does not say how long it waits`,
    },
  ]
}

/** @param {Run} run */
function books({ bare, safe }) {
  return [
    {
      name: 'every confirmed order is paid, has its stock, and is on record',
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
function queued({ bare, safe, played }) {
  const { accepted, charged, chargedTwice, notCharged, notAccepted, mailed } = safe.orders
  const { peak, emptyAt } = played.backlog
  const { charges, mails } = played.end.shops.protected.backlog
  const { repeats } = played.effects
  return [
    {
      name: 'orders are accepted while payment is down, and the backlog is worked off',
      ok: safe.accepted > 0 && charges + mails === 0,
      detail: `${safe.accepted} to be charged later, ${peak} at most at a time, none after ${seconds(emptyAt ?? 0)}, ${charges + mails} left; bare ${bare.accepted}`,
    },
    {
      name: 'every order accepted is charged, exactly once, and nothing else is',
      ok: accepted > 0 && notCharged + notAccepted + chargedTwice === 0,
      detail: `${accepted} accepted = ${charged} charged, ${chargedTwice} twice; ${repeats} that were made already came once more`,
    },
    {
      name: 'every order accepted is confirmed by mail',
      ok: mailed === accepted,
      detail: `${mailed} of ${accepted}`,
    },
  ]
}

/** @param {Run} run */
function database({ bare, safe }) {
  return [
    {
      name: 'lookups of stock share their round trips',
      ok: safe.database.lookupStatements * 4 <= safe.database.lookups,
      detail: `${safe.database.lookups} lookups in ${safe.database.lookupStatements} statements; bare ${bare.database.lookups} in ${bare.database.lookupStatements}`,
    },
    {
      name: 'a few connections to the database serve everybody',
      // Four at a time; now and then one is replaced, or one more is opened to cancel a statement.
      ok: safe.database.connections * 20 <= safe.database.statements,
      detail: `${safe.database.connections} connections for ${safe.database.statements} statements; bare ${bare.database.connections} for ${bare.database.statements}`,
    },
    {
      name: 'the catalogue is imported in less than half the time, ten calls at once',
      ok: safe.database.importMs < bare.database.importMs / 2,
      detail: `${safe.database.importMs} ms; bare ${bare.database.importMs} ms, one after the other`,
    },
  ]
}

/** @param {Run} run */
function loopGoesRound({ bare, safe }) {
  /** @param {import('../front/loop.js').Stalls} stalls */
  const told = ({ total, longest }) =>
    `${Math.round(total)} ms in all, ${Math.round(longest)} ms at worst`
  return {
    name: 'while invoices are made, the event loop goes round',
    ok: safe.stalls.total < bare.stalls.total / 2,
    detail: `stood still for ${told(safe.stalls)}; bare ${told(bare.stalls)}`,
  }
}

/** @param {Run} run */
function clean({ left }) {
  const { processes, ports, folders } = left
  return {
    name: 'no process, port or folder is left behind',
    ok: processes.length + ports.length + folders.length === 0,
    detail: `${processes.length} processes, ${ports.length} ports, ${folders.length} folders`,
  }
}

/** @param {import('./metrics.js').Summary} figures */
function p99(figures) {
  return Math.round(figures.product?.p99 ?? Number.POSITIVE_INFINITY)
}

/** @param {Record<string, number>} counts */
function total(counts) {
  return Object.values(counts).reduce((all, count) => all + count, 0)
}

/** @param {import('../show/traffic.js').Ending} ending */
export function isAnswer(ending) {
  return ending === 'answered' || ending === 'accepted' || ending === 'degraded'
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
