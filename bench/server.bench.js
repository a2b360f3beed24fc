/**
 * What an overload guard adds to a server: CPU of the server per request, and requests per second, with 50
 * requests in flight from another process. That client takes less than the server, which is what limits
 * them. The handler does nothing: whatever it did would make the share smaller.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { withSurroundings } from '../dist/adapters/node/index.js'
import { overloadGuard } from '../dist/adapters/server/index.js'

const width = 50
const requests = 2_000

/** @type {import('node:child_process').ChildProcess} */
let client
/** @type {import('node:http').Server[]} */
let servers = []

/** @type {import('node:http').RequestListener} */
const hello = (_request, response) => {
  response.end('{"one":1}')
}

/**
 * @param {string} subject
 * @param {import('node:http').RequestListener} handler
 * @param {string} [variant]
 * @returns {Promise<import('./harness/types.js').Case>}
 */
async function caseOf(subject, handler, variant) {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler)
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const order = { port, requests }
  const burst = async () => {
    client.send(order)
    const [good] = await once(client, 'message')
    return good
  }
  return {
    subject,
    ...(variant === undefined ? {} : { variant }),
    call: 'burst()',
    scope: { burst },
    expect: (good) => good === requests,
  }
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'requests',
    title: 'HTTP server on loopback, 50 in flight, CPU of the server',
    ops: () => requests,
    rounds: 25,
    sample: 200,
    rate: true,
    setup: async () => {
      const path = fileURLToPath(new URL('servers/client.js', import.meta.url))
      client = fork(path, [String(width)], { execArgv: [] })
      await once(client, 'message')
      const guard = overloadGuard()
      const surrounded = overloadGuard()
      return [
        await caseOf('bare', hello),
        await caseOf('bare', hello, 'again: the noise'),
        await caseOf('holdfast', guard.wrap(hello)),
        await caseOf(
          'holdfast',
          surrounded.wrap((request, response) =>
            withSurroundings({ remaining: 1_000 }, () => hello(request, response)),
          ),
          'and a deadline for each request',
        ),
      ]
    },
    teardown: async () => {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
      servers = []
      client.disconnect()
    },
  },
]
