/**
 * Real requests over loopback, 50 in flight on 50 kept connections: CPU of the client per request.
 * The client is undici's `request`, the lightest there is, which makes every layer show most.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Pool } from 'undici'
import * as cockatiel from './subjects/cockatiel.js'
import { asyncLayer } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

const width = 50
const perLane = 8
/** The bulkheads have room: queueing is measured elsewhere. */
const maxConcurrent = 64

/** @type {import('node:child_process').ChildProcess} */
let server
/** @type {Pool} */
let pool

async function start() {
  server = fork(fileURLToPath(new URL('servers/hello.js', import.meta.url)), { execArgv: [] })
  const port = await new Promise((resolve, reject) => {
    server.once('message', resolve)
    server.once('exit', () => reject(new Error('the server did not start')))
  })
  pool = new Pool(`http://127.0.0.1:${port}`, { connections: width, pipelining: 1 })
}

async function stop() {
  await pool.close()
  server.disconnect()
}

const get = async () => {
  const { body } = await pool.request({ path: '/', method: 'GET' })
  const { one } = /** @type {{ one: number }} */ (await body.json())
  return one
}

/**
 * @param {string} subject
 * @param {string} call
 * @param {Record<string, unknown>} scope
 * @param {string} [variant]
 * @returns {import('./harness/types.js').Case}
 */
const caseOf = (subject, call, scope, variant) => ({
  subject,
  ...(variant === undefined ? {} : { variant }),
  call,
  scope: { width, perLane, get, ...scope },
})

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'requests',
    title: 'HTTP request on loopback, 50 in flight, CPU of the client',
    loop: 'lanes',
    ops: () => width * perLane,
    expect: (sum) => sum === width * perLane,
    rounds: 25,
    sample: 60,
    setup: async () => {
      await start()
      const breaker = opossum.breakerWithFallback(get, { capacity: maxConcurrent })
      const run = 'policy.execute(get)'
      return [
        caseOf('bare', 'get()', {}),
        caseOf('bare', 'get()', {}, 'again: the noise'),
        caseOf('floor:async layer', 'layer(get)', { layer: asyncLayer }),
        caseOf('holdfast', run, { policy: holdfast.fivePolicies({ maxConcurrent }) }),
        caseOf(
          'cockatiel',
          run,
          { policy: cockatiel.fivePolicies({ maxConcurrent }) },
          'default wrap',
        ),
        caseOf(
          'cockatiel',
          run,
          { policy: cockatiel.fivePolicies({ maxConcurrent, timeout: 'cheapest options' }) },
          'cheapest options',
        ),
        { ...caseOf('opossum', 'breaker.fire()', { breaker }), close: () => breaker.shutdown() },
      ]
    },
    teardown: stop,
  },
]
