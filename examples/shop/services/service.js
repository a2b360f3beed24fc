/**
 * One service as a process of its own: a port that serves, and a control port that tells it how
 * to misbehave. Faults are real: connections are refused, reset or left open, by the system. Who says
 * how long it waits (`x-deadline-ms`) is worked for that long, and no longer.
 *
 *     curl -X PUT http://127.0.0.1:CONTROL/admin/fault -d '{"mode":"fail","rate":0.7}'
 */

import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { pipeline } from 'holdfast'
import { healthChecks, overloadGuard } from 'holdfast/server'
import { listen, readJson, ready, sendJson, settings } from '../show/child.js'
import { seededRandom } from '../show/random.js'
import { checkFault } from './faults.js'
import { services } from './trades.js'

/**
 * @typedef {object} Settings
 * @property {string} name
 * @property {number} seed
 * @property {number} [port] - Any free port if absent.
 * @property {number} [controlPort]
 * @property {string} [host] - This machine alone if absent.
 */

/** @type {Settings} */
const { name, seed, host, ...wanted } = settings()
const create = services[name]
if (!create) throw new Error(`There is no service "${name}".`)
const service = create()

/** @type {import('./faults.js').Fault} */
let fault = { mode: 'ok' }
/** @type {Record<string, number>} */
const reached = {}
/** Work that was stopped because its caller had given up. @type {Record<string, number>} */
const cancelled = {}
/** @type {Map<string, import('../show/random.js').Random>} */
const chances = new Map()

const guard = overloadGuard({
  name,
  deadlines: 'enforce',
  // How it fails is for the story to say, not for a machine that is busy.
  maxEventLoopDelay: Number.POSITIVE_INFINITY,
  maxHeapUsed: 1,
})
const server = createServer(
  guard.wrap((request, response) => serve(request, response).catch(() => response.destroy())),
)
// Longer than the story: an idle connection that closes just as it is used is no part of it.
server.keepAliveTimeout = 120_000

// How it has been told to fail is not asked: an orchestrator that stepped in would end the show.
const health = healthChecks({ checks: { listening: () => server.listening } })
const control = createServer((request, response) => {
  if (health.handle(request, response)) return
  administer(request, response).catch((error) =>
    sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) }),
  )
})

const port = await listen(server, wanted.port, host)
const controlPort = await listen(control, wanted.controlPort, host)
ready({ port, controlPort })

/** Whatever runs in it inherits the deadline of the request. */
const working = pipeline(name)

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

  try {
    const time = mode === 'slow' ? (fault.delay ?? 0) : latency
    await working.execute(({ signal }) => sleep(time, undefined, { signal }))
  } catch {
    // Whoever has not said how long it waits may have left as well: nobody knows, and it is done.
    cancelled[shop] = (cancelled[shop] ?? 0) + 1
    return sendJson(response, 504, { error: `${name} stopped: its caller has given up` })
  }

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
    const refused = guard.stats().refused['deadline-passed']
    return sendJson(response, 200, { service: name, fault, reached, cancelled, refused })
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
    await listen(server, port, host)
  } catch (error) {
    if (tries === 0) throw error
    await sleep(50)
    await reopen(tries - 1)
  }
}
