/**
 * The child's half of the bargain with processes.js: read the settings, report when ready, and
 * never outlive the parent.
 */

import { readFileSync } from 'node:fs'

/** @type {() => unknown} */
let farewell = () => {}
let leaving = false

if (process.send) {
  // Ctrl-C in a terminal reaches the whole process group. The parent decides what it means; a child
  // that died of it on its own would look like a crash.
  process.on('SIGINT', () => {})
  // However the parent ends, SIGKILL included, its end of the channel closes. Without a listener
  // the event is lost, so look once in case the parent left while this file was being loaded.
  process.on('disconnect', () => leave())
  if (!process.connected) leave()
} else {
  // On its own, as in a container.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => leave())
}

/**
 * Ends this process in good order.
 *
 * @param {number} [exitCode]
 */
export async function leave(exitCode = 0) {
  if (leaving) return
  leaving = true
  try {
    await farewell()
  } finally {
    process.exit(exitCode)
  }
}

/**
 * @param {() => unknown} work - What is left to do before this process ends.
 */
export function onLeave(work) {
  farewell = work
}

/**
 * What is wanted of this process: JSON, or a file of it.
 *
 * @returns {any}
 */
export function settings() {
  const given = process.argv[2] ?? '{}'
  return JSON.parse(given.startsWith('{') ? given : readFileSync(given, 'utf8'))
}

/**
 * Tells the parent what stays behind should this process be killed.
 *
 * @param {import('../services/postgres.js').Held} held
 */
export function hold(held) {
  process.send?.({ held })
}

/**
 * Tells the parent that this process serves now, and where.
 *
 * @param {Record<string, unknown>} details
 */
export function ready(details) {
  process.send?.({ ready: details })
}

/**
 * @param {import('node:http').Server} server
 * @param {number} [port] - Any free port if absent.
 * @param {string} [host] - This machine alone if absent.
 * @returns {Promise<number>} The port.
 */
export function listen(server, port = 0, host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}

/**
 * Reads a small JSON body.
 *
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<any>} `{}` if the body is empty.
 */
export async function readJson(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return text === '' ? {} : JSON.parse(text)
}

/**
 * Answers with JSON.
 *
 * @param {import('node:http').ServerResponse} response
 * @param {number} status
 * @param {unknown} body
 * @param {Record<string, string>} [headers]
 */
export function sendJson(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}
