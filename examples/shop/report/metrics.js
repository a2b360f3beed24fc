/**
 * From single requests to figures. A story has a few thousand requests, so every percentile here
 * is exact: no buckets, no estimates.
 */

import { serviceNames } from '../show/stage.js'

/**
 * @typedef {import('../show/traffic.js').Request} Request
 * @typedef {import('../show/story.js').ToldPhase} ToldPhase
 *
 * @typedef {{ p50: number, p99: number }} Latency - ms; of all requests, however they ended.
 *
 * @typedef {object} Summary
 * @property {number} requests
 * @property {number} answered - In full.
 * @property {number} accepted - To be done later, and done by the end.
 * @property {number} degraded - With less than in full, and marked so.
 * @property {number} rejected - Turned away at once.
 * @property {number} failed
 * @property {number} gaveUp - Customers who left without an answer.
 * @property {number} answeredShare - Answered, accepted or degraded, 0 to 1.
 * @property {Latency | null} product - Null if nobody asked.
 * @property {Latency | null} order
 * @property {Latency | null} invoice
 */

/**
 * @param {readonly Request[]} requests
 * @returns {Summary}
 */
export function summarise(requests) {
  /** @param {import('../show/traffic.js').Ending} ending */
  const count = (ending) => requests.filter((request) => request.ending === ending).length
  const answered = count('answered')
  const accepted = count('accepted')
  const degraded = count('degraded')
  return {
    requests: requests.length,
    answered,
    accepted,
    degraded,
    rejected: count('rejected'),
    failed: count('failed'),
    gaveUp: count('gave-up'),
    answeredShare: requests.length === 0 ? 1 : (answered + accepted + degraded) / requests.length,
    product: latencyOf(requests, 'product'),
    order: latencyOf(requests, 'order'),
    invoice: latencyOf(requests, 'invoice'),
  }
}

/**
 * @param {readonly Request[]} requests
 * @param {import('../show/traffic.js').Visit['kind']} kind
 * @returns {Latency | null}
 */
function latencyOf(requests, kind) {
  const latencies = requests
    .filter(({ visit }) => visit.kind === kind)
    .map(({ latency }) => latency)
    .sort((a, b) => a - b)
  if (latencies.length === 0) return null
  /** @param {number} share */
  const rank = (share) =>
    tenths(latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)] ?? 0)
  return { p50: rank(0.5), p99: rank(0.99) }
}

/** @param {number} ms */
function tenths(ms) {
  return Math.round(ms * 10) / 10
}

/**
 * The requests that came during a phase.
 *
 * @param {readonly Request[]} requests
 * @param {{ start: number, end: number }} phase
 */
export function during(requests, { start, end }) {
  return requests.filter(({ visit }) => visit.at >= start && visit.at < end)
}

/**
 * @typedef {object} Recovery
 * @property {string} fault - The phase whose fault ended.
 * @property {number | null} ms - Until service was as in healthy days; null if not while watched.
 * @property {number} watched - ms until the next fault for these requests, or the end.
 */

/**
 * How long after the end of each fault the requests that it hurt were still not as in healthy
 * days: answered in full and about as quickly, all of them for a while.
 *
 * @param {readonly Request[]} requests
 * @param {readonly ToldPhase[]} story
 * @param {number} calm - For how long all must be well, in ms.
 * @returns {Recovery[]}
 */
export function recoveries(requests, story, calm) {
  const healthy = summarise(during(requests, story[0] ?? { start: 0, end: 0 }))

  return story.flatMap((phase, index) => {
    const kind = phase.hurts
    if (!kind) return []
    const quick = (healthy[kind]?.p99 ?? 0) * 2 + 50
    const next = story.slice(index + 1).find(({ hurts }) => hurts === kind)
    const end = next?.start ?? story.at(-1)?.end ?? phase.end
    const visits = during(requests, { start: phase.end, end })
      .filter(({ visit }) => visit.kind === kind)
      .sort((a, b) => a.visit.at - b.visit.at)

    let lastBad = phase.end
    let ms = null
    for (const { visit, ending, latency } of visits) {
      if (visit.at - lastBad >= calm) {
        ms = tenths(lastBad - phase.end)
        break
      }
      if (ending !== 'answered' || latency > quick) lastBad = visit.at
    }
    return [{ fault: phase.name, ms, watched: end - phase.end }]
  })
}

/**
 * Calls that left a shop between two snapshots, by service.
 *
 * @param {import('../show/stage.js').ShopName} shop
 * @param {import('../show/stage.js').Snapshot | undefined} from
 * @param {import('../show/stage.js').Snapshot | undefined} to
 * @returns {Record<string, number>}
 */
export function sentBetween(shop, from, to) {
  return between(from, to, ({ shops }, name) => shops[shop].sent[name])
}

/**
 * Of those calls the ones that had been sent before, by service.
 *
 * @param {import('../show/stage.js').ShopName} shop
 * @param {import('../show/stage.js').Snapshot | undefined} from
 * @param {import('../show/stage.js').Snapshot | undefined} to
 * @returns {Record<string, number>}
 */
export function retriesBetween(shop, from, to) {
  return between(from, to, ({ shops }, name) => shops[shop].retries[name])
}

/**
 * Calls that a service stopped working on, or did not begin, because their caller had given up.
 *
 * @param {import('../show/stage.js').ShopName} shop
 * @param {import('../show/stage.js').Snapshot | undefined} from
 * @param {import('../show/stage.js').Snapshot | undefined} to
 * @returns {Record<string, number>}
 */
export function cancelledBetween(shop, from, to) {
  return between(from, to, ({ services }, name) => {
    const { cancelled = {}, refused = 0 } = services[name] ?? {}
    // At the door nobody looks whose call it is; only the protected shop says how long it waits.
    return (cancelled[shop] ?? 0) + (shop === 'protected' ? refused : 0)
  })
}

/**
 * @param {import('../show/stage.js').Snapshot | undefined} from
 * @param {import('../show/stage.js').Snapshot | undefined} to
 * @param {(snapshot: import('../show/stage.js').Snapshot, service: string) => number | undefined} count
 * @returns {Record<string, number>}
 */
function between(from, to, count) {
  return Object.fromEntries(
    serviceNames.map((name) => [
      name,
      ((to && count(to, name)) ?? 0) - ((from && count(from, name)) ?? 0),
    ]),
  )
}

/**
 * The requests that ended in the last `span` ms.
 *
 * @param {readonly Request[]} requests - In the order of their ends.
 * @param {number} now
 * @param {number} span
 */
export function lately(requests, now, span) {
  const from = now - span
  let first = requests.length
  while (first > 0 && endOf(requests[first - 1]) >= from) first--
  return requests.slice(first)
}

/** @param {Request | undefined} request */
function endOf(request) {
  return request ? request.visit.at + request.latency : 0
}
