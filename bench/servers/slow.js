/**
 * An HTTP server in a process of its own: `slow.js [certificate in PEM] [key in PEM]` for TLS. It answers
 * `/` at once, and `/slow` after 5 to 10 ms, as a backend that asks its own database.
 */
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'

const [cert, key] = process.argv.slice(2)

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
const answer = (request, response) => {
  response.setHeader('content-type', 'application/json')
  const end = () => response.end('{"one":1}')
  if (request.url === '/') end()
  else setTimeout(end, 5 + Math.random() * 5)
}

const server = cert ? createSecureServer({ cert, key }, answer) : createServer(answer)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address && typeof address === 'object') process.send?.(address.port)
})

process.on('disconnect', () => process.exit(0))
