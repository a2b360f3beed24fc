/** A request over a connection of its own, and over one that is kept. Wall time, on loopback. */
import { Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { Pool } from 'undici'
import { available, http } from './servers/start.js'
import * as holdfast from './subjects/holdfast.js'

/** @type {{ port: number, certificate: string, stop: () => void }} */
let server

/**
 * @param {boolean} tls
 * @returns {Promise<import('./harness/types.js').Case[]>}
 */
async function cases(tls) {
  server = await http({ tls })
  const { port, certificate: ca } = server
  const Agent = tls ? SecureAgent : PlainAgent
  const request = tls ? secureRequest : plainRequest
  // Sessions are not resumed either: each handshake is whole.
  const fresh = new Agent({ keepAlive: false, ...(tls ? { maxCachedSessions: 0 } : {}) })
  const kept = new Agent({ keepAlive: true })
  const get = (/** @type {any} */ agent) =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path: '/', agent, ca }, (response) => {
        let text = ''
        response.on('data', (data) => {
          text += data
        })
        response.on('end', () => resolve(JSON.parse(text).one))
      })
      sent.on('error', reject)
      sent.end()
    })
  const pool = new Pool(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, { connect: { ca } })
  const undici = async () => {
    const { body } = await pool.request({ path: '/', method: 'GET' })
    return /** @type {{ one: number }} */ (await body.json()).one
  }
  const policy = holdfast.fivePolicies()
  return [
    {
      subject: 'bare',
      variant: 'a new connection each',
      call: 'get(fresh)',
      scope: { get, fresh },
    },
    {
      subject: 'floor:http.Agent',
      variant: 'keepAlive',
      call: 'get(kept)',
      scope: { get, kept },
      close: () => kept.destroy(),
    },
    {
      subject: 'undici',
      variant: 'a pool of kept connections',
      call: 'undici()',
      scope: { undici },
    },
    {
      subject: 'holdfast',
      variant: 'five policies over the same pool',
      call: 'policy.execute(undici)',
      scope: { policy, undici },
      close: () => pool.close(),
    },
  ]
}

/** @type {(tls: boolean) => import('./harness/types.js').Work} */
const work = (tls) => ({
  id: tls ? 'tls' : 'plain',
  title: `HTTP${tls ? 'S' : ''} request on loopback, one after the other, wall time`,
  clock: 'wall',
  sample: 60,
  setup: () => cases(tls),
  teardown: () => server.stop(),
})

/** @type {import('./harness/types.js').Work[]} */
export const works = available ? [work(false), work(true)] : []
