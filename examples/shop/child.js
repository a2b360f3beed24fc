/**
 * The child's half of the bargain with processes.js: read the settings, report when ready, and
 * never outlive the parent.
 */

// Ctrl-C in a terminal reaches the whole process group. The parent decides what it means; a child
// that died of it on its own would look like a crash.
process.on('SIGINT', () => {})

// However the parent ends, SIGKILL included, its end of the channel closes. Without a listener the
// event is lost, so look once in case the parent left while this file was being loaded.
process.on('disconnect', () => process.exit(0))
if (process.send && !process.connected) process.exit(0)

/**
 * What the parent wants of this process.
 *
 * @returns {any}
 */
export function settings() {
  return JSON.parse(process.argv[2] ?? '{}')
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
 * Listens on a port of this machine alone.
 *
 * @param {import('node:http').Server} server
 * @param {number} [port] - Any free port if absent.
 * @returns {Promise<number>} The port.
 */
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
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
