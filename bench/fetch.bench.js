/**
 * HTTP clients over loopback with what each has against failures switched on, 50 in flight, nothing
 * failing: what protection costs. Holdfast's doors beside the clients they protect, and beside those
 * that bring retries of their own.
 *
 * The server runs in a process of its own, and takes a fraction of what a client takes: requests per second
 * are as many as the client can send on the core that it has for itself. Connections are kept by all.
 */
import { fork } from 'node:child_process'
import http from 'node:http'
import { fileURLToPath } from 'node:url'
import ky from 'ky'
import { resilientAdapter } from '../dist/adapters/axios.js'
import { resilientFetch } from '../dist/adapters/fetch/index.js'
import { resilientGot } from '../dist/adapters/got.js'
import { resilientKy } from '../dist/adapters/ky.js'
import { resilientInterceptor } from '../dist/adapters/undici/index.js'

const width = 50
const perLane = 4

/** @type {import('node:child_process').ChildProcess} */
let server
let url = ''
/** @type {(() => unknown)[]} */
let closing = []

async function start() {
  server = fork(fileURLToPath(new URL('servers/hello.js', import.meta.url)), { execArgv: [] })
  const port = await new Promise((resolve, reject) => {
    server.once('message', resolve)
    server.once('exit', () => reject(new Error('the server did not start')))
  })
  url = `http://127.0.0.1:${port}/`
}

async function stop() {
  for (const close of closing) await close()
  closing = []
  server.disconnect()
}

/** @param {typeof fetch} get */
const readBy = (get) => async () => (await (await get(url)).json()).one

/**
 * @param {string} subject
 * @param {() => Promise<unknown>} get
 * @param {string} [variant]
 * @returns {import('./harness/types.js').Case}
 */
const caseOf = (subject, get, variant) => ({
  subject,
  ...(variant === undefined ? {} : { variant }),
  call: 'get()',
  scope: { width, perLane, get },
})

const shared = {
  loop: 'lanes',
  rate: true,
  ops: () => width * perLane,
  expect: (/** @type {number} */ sum) => sum === width * perLane,
  rounds: 15,
  sample: 120,
  teardown: stop,
}

/** Imported here: undici would take the place of what the platform's fetch sends with. */
async function clients() {
  const { Agent, RetryAgent, request } = await import('undici')
  const [{ default: axios }, { default: axiosRetry }, { default: got }] = await Promise.all([
    import('axios'),
    import('axios-retry'),
    import('got'),
  ])
  const agent = new http.Agent({ keepAlive: true })
  const dispatcher = new Agent({ connections: width })
  closing.push(
    () => agent.destroy(),
    () => dispatcher.destroy(),
  )
  /** @param {import('undici').Dispatcher} dispatcher */
  const requestBy = (dispatcher) => async () =>
    /** @type {{ one: number }} */ (await (await request(url, { dispatcher })).body.json()).one
  return { agent, dispatcher, requestBy, axios, axiosRetry, got, RetryAgent }
}

/**
 * Passes everything on.
 *
 * @param {any} dispatch
 */
const idle = (dispatch) => (/** @type {any} */ options, /** @type {any} */ handler) =>
  dispatch(options, {
    onRequestStart: (/** @type {any[]} */ ...told) => handler.onRequestStart?.(...told),
    onResponseStart: (/** @type {any[]} */ ...told) => handler.onResponseStart?.(...told),
    onResponseData: (/** @type {any[]} */ ...told) => handler.onResponseData?.(...told),
    onResponseEnd: (/** @type {any[]} */ ...told) => handler.onResponseEnd?.(...told),
    onResponseError: (/** @type {any[]} */ ...told) => handler.onResponseError?.(...told),
  })

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'fetch',
    title: 'fetch on loopback, 50 in flight, CPU of the client',
    ...shared,
    setup: async () => {
      await start()
      const withSignal = async () => {
        const { signal } = new AbortController()
        return (await (await fetch(url, { signal })).json()).one
      }
      const kyRetry = ky.create({ retry: 3, timeout: 10_000 })
      const kyHoldfast = ky.create(resilientKy())
      return [
        caseOf('bare', readBy(fetch)),
        caseOf('bare', readBy(fetch), 'again: the noise'),
        caseOf('floor:a signal that aborts nothing', withSignal),
        caseOf('holdfast', readBy(resilientFetch())),
        caseOf('ky', async () => (await kyRetry(url).json()).one, 'its own retries and timeout'),
        caseOf('holdfast', async () => (await kyHoldfast(url).json()).one, 'around ky'),
      ]
    },
  },
  {
    id: 'clients',
    title: 'other HTTP clients on loopback, 50 in flight, CPU of the client',
    ...shared,
    setup: async () => {
      await start()
      const { agent, dispatcher, requestBy, axios, axiosRetry, got, RetryAgent } = await clients()
      const agentOptions = { httpAgent: agent, proxy: /** @type {const} */ (false) }
      const bareAxios = axios.create(agentOptions)
      const retryAxios = axios.create({ ...agentOptions, timeout: 10_000 })
      axiosRetry(retryAxios, { retries: 3 })
      const heldAxios = axios.create({
        ...agentOptions,
        adapter: resilientAdapter(axios.getAdapter('http')),
      })
      const gotOptions = { agent: { http: agent } }
      const retryGot = got.extend({
        ...gotOptions,
        retry: { limit: 3 },
        timeout: { request: 10_000 },
      })
      const heldGot = got.extend({ ...gotOptions }, resilientGot().extension)
      const retryAgent = new RetryAgent(dispatcher, { maxRetries: 3 })
      return [
        caseOf('bare', requestBy(dispatcher), 'undici request'),
        caseOf('floor:an interceptor that passes on', requestBy(dispatcher.compose(idle))),
        caseOf('undici', requestBy(retryAgent), 'RetryAgent'),
        caseOf('holdfast', requestBy(dispatcher.compose(resilientInterceptor())), 'around undici'),
        caseOf('axios', async () => (await bareAxios.get(url)).data.one),
        caseOf('axios-retry', async () => (await retryAxios.get(url)).data.one),
        caseOf('holdfast', async () => (await heldAxios.get(url)).data.one, 'around axios'),
        caseOf('got', async () => (await retryGot(url).json()).one, 'its own retries and timeout'),
        caseOf('holdfast', async () => (await heldGot(url).json()).one, 'around got'),
      ]
    },
  },
]
