/**
 * One service as a process of its own: a port that serves, and a control port that tells it how
 * to misbehave. Faults are real: connections are refused, reset or left open, by the system.
 *
 *     curl -X PUT http://127.0.0.1:CONTROL/admin/fault -d '{"mode":"fail","rate":0.7}'
 */

import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen, readJson, ready, sendJson, settings } from './child.js'
import { checkFault } from './faults.js'
import { seededRandom } from './random.js'
import { services } from './services.js'

/** @type {{ name: string, seed: number }} */
const { name, seed } = settings()
const create = services[name]
if (!create) throw new Error(`There is no service "${name}".`)
const service = create()

/** @type {import('./faults.js').Fault} */
let fault = { mode: 'ok' }
/** @type {Record<string, number>} */
const reached = {}
/** @type {Map<string, import('./random.js').Random>} */
const chances = new Map()

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy())
})
// Longer than the story: an idle connection that closes just as it is used is no part of it.
server.keepAliveTimeout = 120_000

const control = createServer((request, response) => {
  administer(request, response).catch((error) =>
    sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) }),
  )
})

const port = await listen(server)
const controlPort = await listen(control)
ready({ port, controlPort })

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function serve(request, response) {
  const shop = String(request.headers['x-shop'] ?? 'other')
  reached[shop] = (reached[shop] ?? 0) + 1

  const body = await readJson(request)
  const chance = chanceOf(shop)
  const [quickest, slowest] = service.latency
  const latency = quickest + chance() * (slowest - quickest)
  const mode = chance() < (fault.rate ?? 1) ? fault.mode : 'ok'

  // Taken and forgotten, for good: neither an answer nor a reset will come.
  if (mode === 'hang') return

  await sleep(mode === 'slow' ? (fault.delay ?? 0) : latency)

  // The caller has left: nobody would learn of the work, so do not do it.
  if (response.destroyed) return
  if (mode === 'fail') return sendJson(response, 503, { error: `${name} is told to fail` })

  const reply = service.handle({
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    key: String(request.headers['idempotency-key'] ?? ''),
    body,
  })
  // The work is done and the answer is lost: what idempotency keys are for.
  if (mode === 'reset') return request.socket.resetAndDestroy()
  sendJson(response, reply.status, reply.body)
}

/**
 * A stream of chance for each front end: one that calls more often does not change the luck of
 * the other.
 *
 * @param {string} shop
 */
function chanceOf(shop) {
  const chance = chances.get(shop) ?? seededRandom(`${seed} ${name}`)
  chances.set(shop, chance)
  return chance
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function administer(request, response) {
  if (request.method === 'PUT' && request.url === '/admin/fault') {
    await become(checkFault(await readJson(request)))
    return sendJson(response, 200, { service: name, fault })
  }
  if (request.method === 'GET' && request.url === '/admin/stats') {
    return sendJson(response, 200, { service: name, fault, reached })
  }
  if (request.method === 'GET' && request.url === '/admin/effects') {
    return sendJson(response, 200, service.effects())
  }
  sendJson(response, 404, { error: 'PUT /admin/fault, GET /admin/stats or GET /admin/effects' })
}

/**
 * @param {import('./faults.js').Fault} next
 */
async function become(next) {
  fault = next
  if (next.mode === 'down' && server.listening) {
    server.close()
    server.closeAllConnections()
  }
  if (next.mode !== 'down' && !server.listening) await reopen(20)
}

/**
 * Takes the port back. While it was free the system may have lent it to an outgoing connection.
 *
 * @param {number} tries
 */
async function reopen(tries) {
  try {
    await listen(server, port)
  } catch (error) {
    if (tries === 0) throw error
    await sleep(50)
    await reopen(tries - 1)
  }
}
