/** The smallest HTTP server, in a process of its own so that its CPU time is nobody else's. */
import { createServer } from 'node:http'

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{"one":1}')
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address && typeof address === 'object') process.send?.(address.port)
})

process.on('disconnect', () => process.exit(0))
