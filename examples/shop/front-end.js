/**
 * A front end of the shop as a process of its own: `bare` or `protected`. Both are this file, with
 * the same routes, the same business and the same limit on requests at work.
 */

import { createServer } from 'node:http'
import { listen, readJson, ready, sendJson, settings } from './child.js'
import { createShop } from './shop.js'
import { createCall } from './upstream.js'
import { createWorkers } from './workers.js'

/**
 * @typedef {object} FrontEndStats
 * @property {Record<string, number>} sent - Calls that left for each service.
 * @property {Record<string, number>} trials - Those that left while the circuit was half-open.
 * @property {Record<string, string>} circuits
 * @property {{ busy: number, waiting: number, limit: number }} workers
 * @property {unknown} stats
 */

/** @type {{ shop: 'bare' | 'protected', urls: Record<string, string>, pace: number, workers: number }} */
const { shop: name, urls, pace, workers: limit } = settings()

/** @type {Record<string, number>} */
const sent = {}
/** @type {Record<string, number>} */
const trials = {}
const call = createCall({ shop: name, urls, onSend: count })

const calls =
  name === 'bare'
    ? (await import('./bare.js')).bareCalls({ call })
    : (await import('./protected.js')).protectedCalls({ call, pace })
const shop = createShop(calls)
const workers = createWorkers(limit)

const server = createServer((request, response) => {
  if (request.url === '/stats') return sendJson(response, 200, stats())
  workers.run(() => serve(request, response)).catch(() => response.destroy())
})
server.keepAliveTimeout = 120_000
ready({ port: await listen(server) })

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function serve(request, response) {
  const customer = new AbortController()
  const leave = () => customer.abort()
  response.on('close', leave)
  // While this request stood in line.
  if (response.destroyed) leave()

  try {
    const answer = await route(request, { signal: customer.signal })
    if (!answer) return sendJson(response, 404, { error: 'GET /products/1 or POST /orders' })
    sendJson(response, 200, answer, { 'x-outcome': answer.degraded ? 'degraded' : 'answered' })
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
 * @param {import('node:http').IncomingMessage} request
 * @param {import('./shop.js').Caller} caller
 */
async function route(request, caller) {
  const { method, url = '/' } = request
  if (method === 'GET' && url.startsWith('/products/')) {
    return shop.viewProduct(Number(url.slice('/products/'.length)), caller)
  }
  if (method === 'POST' && url === '/orders') {
    return shop.placeOrder(await readJson(request), caller)
  }
  return undefined
}

/** @returns {FrontEndStats} */
function stats() {
  return {
    sent,
    trials,
    circuits: calls.circuits(),
    workers: workers.state(),
    stats: calls.stats(),
  }
}

/** @param {string} service */
function count(service) {
  sent[service] = (sent[service] ?? 0) + 1
  if (calls.circuits()[service] === 'half-open') trials[service] = (trials[service] ?? 0) + 1
}
