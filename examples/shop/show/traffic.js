/**
 * Virtual customers. They come when they come, whether or not the shop has answered the ones
 * before (an open loop): a slow shop gets no mercy, as in life. Both shops get the very same ones.
 */

import { Agent, request as httpRequest } from 'node:http'
import { products } from '../services/trades.js'
import { seededRandom } from './random.js'

/**
 * @typedef {object} Visit
 * @property {number} at - ms after the doors open.
 * @property {'product' | 'order' | 'invoice'} kind
 * @property {number} product - Which one; of an invoice, which customer's.
 * @property {string} id
 *
 * @typedef {'answered' | 'accepted' | 'degraded' | 'rejected' | 'failed' | 'gave-up'} Ending
 * `answered` in full, `accepted` to be done later, `degraded` with less, `rejected` at once, `failed` after trying, `gave-up`
 * by a customer who had waited long enough.
 *
 * @typedef {object} Request - A visit and how it ended.
 * @property {Visit} visit
 * @property {Ending} ending
 * @property {number} latency - ms.
 */

/** @type {readonly Ending[]} */
export const endings = ['answered', 'accepted', 'degraded', 'rejected', 'failed', 'gave-up']

/**
 * Who comes when, and for what.
 *
 * @param {object} options
 * @param {number} options.seed
 * @param {string} options.name - Of these customers; begins their ids.
 * @param {number} options.from - ms; negative before the story.
 * @param {number} options.to - ms.
 * @param {number} options.perSecond - Customers on average.
 * @param {number} options.orderShare - Share of them that order, 0 to 1.
 * @param {number} options.invoiceShare - Share of them that want an invoice.
 * @returns {Visit[]}
 */
export function planVisits({ seed, name, from, to, perSecond, orderShare, invoiceShare }) {
  const random = seededRandom(`${seed} ${name}`)
  /** @type {Visit[]} */
  const visits = []
  // Exponential gaps: customers do not know of each other.
  const gap = () => (-Math.log(1 - random()) / perSecond) * 1000
  for (let at = from + gap(); at < to; at += gap()) {
    visits.push({
      at,
      kind: kindOf(random()),
      // Squared: some products are seen often and some hardly ever.
      product: 1 + Math.floor(random() ** 2 * products),
      id: `${name}-${visits.length}`,
    })
  }
  return visits

  /** @param {number} chance @returns {Visit['kind']} */
  function kindOf(chance) {
    if (chance < orderShare) return 'order'
    return chance < orderShare + invoiceShare ? 'invoice' : 'product'
  }
}

/**
 * The customers of both shops.
 *
 * @param {object} options
 * @param {Record<string, number>} options.shops - The port of each shop, by its name.
 * @param {Record<Visit['kind'], number>} options.patience - How long a customer waits, in ms.
 * @param {(shop: string, request: Request) => void} options.onEnd
 * @param {AbortSignal} options.signal - Ends it all.
 */
export function createCustomers({ shops, patience, onEnd, signal }) {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 })
  const entries = Object.entries(shops)

  /** @param {Visit} visit @param {typeof entries} order */
  const visitAll = (visit, order) =>
    order.map(async ([shop, port]) => {
      onEnd(shop, await send({ agent, shop, port, visit, patience: patience[visit.kind], signal }))
    })

  return {
    /**
     * One after the other, so that programs that have just started warm up at their own pace.
     *
     * @param {readonly Visit[]} visits
     */
    async rehearse(visits) {
      for (const visit of visits) {
        if (!signal.aborted) await Promise.all(visitAll(visit, entries))
      }
    },

    /**
     * Each at its time.
     *
     * @param {readonly Visit[]} visits - In the order of their times.
     * @param {number} start - `performance.now()` of the moment 0.
     * @returns {Promise<void>} Done when every customer has left.
     */
    async come(visits, start) {
      /** @type {Array<Promise<void>>} */
      const underWay = []
      for (const [index, visit] of visits.entries()) {
        await until(start + visit.at, signal)
        if (signal.aborted) break
        // Take turns in who is asked first.
        underWay.push(...visitAll(visit, index % 2 ? [...entries].reverse() : entries))
      }
      await Promise.all(underWay)
    },

    leave: () => agent.destroy(),
  }
}

/**
 * @param {{ agent: Agent, shop: string, port: number, visit: Visit, patience: number, signal: AbortSignal }} options
 * @returns {Promise<Request>}
 */
function send({ agent, shop, port, visit, patience, signal }) {
  const sentAt = performance.now()
  const method = visit.kind === 'order' ? 'POST' : 'GET'
  const path = visit.kind === 'order' ? '/orders' : `/${visit.kind}s/${visit.product}`

  return new Promise((resolve) => {
    const request = httpRequest({ agent, host: '127.0.0.1', port, method, path }, (response) => {
      response.resume()
      response.on('end', () => end(endingOf(response)))
      response.on('error', () => end('failed'))
    })
    const leave = () => end('gave-up')
    const timer = setTimeout(leave, patience)
    signal.addEventListener('abort', leave)
    request.on('error', () => end('failed'))
    request.end(method === 'POST' ? JSON.stringify(orderOf(shop, visit)) : undefined)

    /** @param {Ending} ending */
    function end(ending) {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
      resolve({ visit, ending, latency: performance.now() - sentAt })
      if (ending === 'gave-up') request.destroy()
    }
  })
}

/**
 * @param {string} shop
 * @param {Visit} visit
 * @returns {import('../front/shop.js').Order}
 */
export function orderOf(shop, { id, product }) {
  return { id: `${shop}-${id}`, product, amount: 5 + (product % 40) }
}

/**
 * @param {import('node:http').IncomingMessage} response
 * @returns {Ending}
 */
function endingOf({ statusCode, headers }) {
  const outcome = endings.find((ending) => ending === headers['x-outcome'])
  // A server that is full turns customers away before the shop has a word with them.
  return outcome ?? (statusCode === 503 ? 'rejected' : 'failed')
}

/**
 * @param {number} time - Of `performance.now()`.
 * @param {AbortSignal} signal
 * @returns {Promise<void>} Early if the signal aborts.
 */
export function until(time, signal) {
  const delay = time - performance.now()
  if (delay <= 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(done, delay)
    signal.addEventListener('abort', done)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}
