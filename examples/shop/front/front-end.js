/**
 * A front end of the shop as a process of its own: `bare` or `protected`. Both are this file, with
 * the same routes, the same business and the same limit on requests at work.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hold, listen, onLeave, ready, sendJson, settings } from '../show/child.js'
import { createConnections } from './connections.js'
import { watchLoop } from './loop.js'
import { noQueues, openQueues } from './queues.js'
import { allCompartments, findRoute } from './routes.js'
import { createShop } from './shop.js'
import { createStatements } from './statements.js'
import { countingFetch } from './upstream.js'

/**
 * @typedef {object} Settings
 * @property {'bare' | 'protected'} shop
 * @property {Record<string, string>} urls - Of the services.
 * @property {string} schema - In the database.
 * @property {number} pace - 1 for the full story, 0.25 for the fast one.
 * @property {number} workers - Requests at work at a time.
 * @property {import('./routes.js').Compartment[]} [compartments] - Served here; all if absent.
 * @property {Partial<import('./pipelines.js').Limits>} [limits] - Where they differ from the usual.
 * @property {string} [folder] - For the queues, unless REDIS_URL is given.
 * @property {number} [port] - Any free port if absent.
 * @property {string} [host] - This machine alone if absent.
 *
 * @typedef {object} Means - What `calls` are made of.
 * @property {Record<string, string>} urls - Of the services.
 * @property {(service: string) => import('./upstream.js').Fetch} fetchTo
 * @property {import('./connections.js').Connections} connections
 * @property {import('./statements.js').Statements} statements
 * @property {import('./queues.js').Queues} queues
 * @property {number} pace
 * @property {Partial<import('./pipelines.js').Limits> | undefined} limits
 *
 * @typedef {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) =>
 *   Promise<void>} Handler
 *
 * @typedef {object} Reception - What a front end's server is given to do.
 * @property {Handler} handle - Never rejects.
 * @property {(...parts: Parameters<Handler>) => boolean} aside - Answers whoever need not stand in line.
 * @property {() => boolean} isOpen
 * @property {number} workers - Requests at work at a time.
 * @property {number} lastRespite - For requests under way when it has to leave, in ms.
 * @property {() => unknown} onClosed
 *
 * @typedef {object} FrontServer
 * @property {import('node:http').Server} server
 * @property {() => { busy: number, waiting: number, limit: number }} workers
 * @property {() => unknown} stats
 * @property {() => unknown} leave
 *
 * @typedef {object} FrontEndStats
 * @property {Record<string, number>} sent - Calls that left for each service.
 * @property {Record<string, number>} retries - Those among them that were sent before.
 * @property {Record<string, number>} trials - Those that left while the circuit was half-open.
 * @property {Record<string, string>} circuits
 * @property {{ busy: number, waiting: number, limit: number }} workers
 * @property {import('./connections.js').Traffic & { lookups: number }} database
 * @property {import('./shop.js').Backlog} backlog
 * @property {import('./loop.js').Stalls} stalls - Of the event loop, since it opened.
 * @property {number} importMs - How long it took to open.
 * @property {unknown} server
 * @property {unknown} stats
 */

/** @type {Settings} */
const { shop: name, urls, schema, pace, workers, ...here } = settings()
const { compartments = allCompartments, limits, port, host } = here

/** @type {Record<string, number>} */
const sent = {}
/** @type {Record<string, number>} */
const retries = {}
/** @type {Record<string, number>} */
const trials = {}
const connections = createConnections(process.env['DATABASE_URL'] ?? '')
// In the show everything goes at the end, accepted or not. A container leaves it where it was told.
const inShow = process.send !== undefined
const folder = here.folder ?? (inShow ? temporaryFolder() : undefined)
const takesOrders = name === 'protected' && compartments.includes('orders')
const queues = takesOrders ? await openQueues({ folder, prefix: schema }) : noQueues()
/** @type {Means} */
const means = {
  urls,
  fetchTo: countingFetch(count),
  connections,
  statements: createStatements(schema),
  queues,
  pace,
  limits,
}

const calls =
  name === 'bare'
    ? (await import('./bare.js')).bareCalls(means)
    : (await import('./protected.js')).protectedCalls(means)
const shop = createShop(calls)
let isOpen = false
let stalls = { count: 0, total: 0, longest: 0 }
let importMs = 0

const front = calls.createServer({
  handle: (request, response) => serve(request, response).catch(() => void response.destroy()),
  aside: tellStats,
  isOpen: () => isOpen,
  workers,
  // In the show nobody is missed; a container serves to the end whom it has.
  lastRespite: inShow ? 1_000 : 10_000,
  onClosed: inShow ? disappear : () => Promise.all([queues.charges.close(), queues.mails.close()]),
})
front.server.keepAliveTimeout = 120_000
const listening = await listen(front.server, port, host)
onLeave(front.leave)

const openedAt = performance.now()
await shop.open(compartments)
importMs = performance.now() - openedAt
stalls = watchLoop()
isOpen = true
ready({ port: listening })

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function serve(request, response) {
  try {
    const route = findRoute(compartments, request)
    if (!route) return sendJson(response, 404, { error: `here are only ${compartments}` })
    const answer = await route.serve(shop, request, route.id)
    if ('pdf' in answer) return sendPdf(response, answer)
    const outcome = answer.later ? 'accepted' : answer.degraded ? 'degraded' : 'answered'
    sendJson(response, answer.later ? 202 : 200, answer, { 'x-outcome': outcome })
  } catch (error) {
    if (response.destroyed) return
    const { status, outcome, retryAfter } = calls.explain(error)
    /** @type {Record<string, string>} */
    const headers = { 'x-outcome': outcome }
    if (retryAfter !== undefined) headers['retry-after'] = String(Math.ceil(retryAfter / 1000))
    const message = error instanceof Error ? error.message : String(error)
    sendJson(response, status, { error: message }, headers)
  }
}

/**
 * @param {import('node:http').ServerResponse} response
 * @param {import('./invoice.js').Invoice} invoice
 */
function sendPdf(response, { pdf, seal }) {
  const headers = { 'content-type': 'application/pdf', etag: `"${seal}"`, 'x-outcome': 'answered' }
  response.writeHead(200, headers)
  response.end(pdf)
}

/** @returns {string} Gone at the end, by whatever way it comes. */
function temporaryFolder() {
  const made = mkdtempSync(join(tmpdir(), 'holdfast-shop-'))
  hold({ folder: made })
  return made
}

async function disappear() {
  await queues.discard()
  if (folder) rmSync(folder, { recursive: true, force: true })
}

/**
 * Whoever asks how it goes does not stand in line.
 *
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
function tellStats(request, response) {
  if (request.url !== '/stats') return false
  stats().then(
    (all) => sendJson(response, 200, all),
    () => response.destroy(),
  )
  return true
}

/** @returns {Promise<FrontEndStats>} */
async function stats() {
  return {
    sent,
    retries,
    trials,
    circuits: calls.circuits(),
    workers: front.workers(),
    database: { ...connections.traffic, lookups: shop.lookups() },
    backlog: await calls.backlog(),
    stalls,
    importMs,
    server: front.stats(),
    stats: calls.stats(),
  }
}

/** @param {string} service @param {boolean} isRetry */
function count(service, isRetry) {
  sent[service] = (sent[service] ?? 0) + 1
  if (isRetry) retries[service] = (retries[service] ?? 0) + 1
  if (calls.circuits()[service] === 'half-open') trials[service] = (trials[service] ?? 0) + 1
}
