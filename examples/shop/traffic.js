/**
 * Virtual customers. They come when they come, whether or not the shop has answered the ones
 * before (an open loop): a slow shop gets no mercy, as in life. Both shops get the very same ones.
 */

import { Agent, request as httpRequest } from 'node:http'
import { seededRandom } from './random.js'
import { products } from './services.js'

/**
 * @typedef {object} Visit
 * @property {number} at - ms after the doors open.
 * @property {'product' | 'order'} kind
 * @property {number} product
 * @property {string} id
 *
 * @typedef {'answered' | 'degraded' | 'rejected' | 'failed' | 'gave-up'} Ending
 * `answered` in full, `degraded` with less, `rejected` at once, `failed` after trying, `gave-up`
 * by a customer who had waited long enough.
 *
 * @typedef {object} Request - A visit and how it ended.
 * @property {Visit} visit
 * @property {Ending} ending
 * @property {number} latency - ms.
 */

/** @type {readonly Ending[]} */
export const endings = ['answered', 'degraded', 'rejected', 'failed', 'gave-up']

/**
 * Who comes when, and for what.
 *
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.from - ms; negative for a warm-up before the story.
 * @param {number} options.to - ms.
 * @param {number} options.perSecond - Customers on average.
 * @param {number} options.orderShare - Share of them that order, 0 to 1.
 * @returns {Visit[]}
 */
export function planVisits({ seed, from, to, perSecond, orderShare }) {
  const random = seededRandom(`${seed} traffic`)
  /** @type {Visit[]} */
  const visits = []
  // Exponential gaps: customers do not know of each other. Before the story they are few, because
  // programs that have just started are slow, and that is not what is shown.
  /** @param {number} at */
  const gap = (at) => (-Math.log(1 - random()) / (at < 0 ? perSecond / 4 : perSecond)) * 1000
  for (let at = from + gap(from); at < to; at += gap(at)) {
    visits.push({
      at,
      kind: random() < orderShare ? 'order' : 'product',
      // Squared: some products are seen often and some hardly ever.
      product: 1 + Math.floor(random() ** 2 * products),
      id: `order-${visits.length}`,
    })
  }
  return visits
}

/**
 * Sends every visit to every shop at its time.
 *
 * @param {object} options
 * @param {readonly Visit[]} options.visits - In the order of their times.
 * @param {Record<string, number>} options.shops - The port of each shop, by its name.
 * @param {Record<Visit['kind'], number>} options.patience - How long a customer waits, in ms.
 * @param {number} options.start - `performance.now()` of the moment 0.
 * @param {(shop: string, request: Request) => void} options.onEnd
 * @param {AbortSignal} options.signal - Ends it all.
 * @returns {Promise<void>} Done when every customer has left.
 */
export async function drive({ visits, shops, patience, start, onEnd, signal }) {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 })
  /** @type {Array<Promise<void>>} */
  const underWay = []

  try {
    for (const [index, visit] of visits.entries()) {
      await until(start + visit.at, signal)
      if (signal.aborted) break
      // Take turns in who is asked first.
      const names = Object.entries(shops)
      for (const [shop, port] of index % 2 ? names.reverse() : names) {
        const sending = send({ agent, shop, port, visit, patience: patience[visit.kind], signal })
        underWay.push(sending.then((request) => onEnd(shop, request)))
      }
    }
    await Promise.all(underWay)
  } finally {
    agent.destroy()
  }
}

/**
 * @param {{ agent: Agent, shop: string, port: number, visit: Visit, patience: number, signal: AbortSignal }} options
 * @returns {Promise<Request>}
 */
function send({ agent, shop, port, visit, patience, signal }) {
  const sentAt = performance.now()
  const [method, path] =
    visit.kind === 'product' ? ['GET', `/products/${visit.product}`] : ['POST', '/orders']

  return new Promise((resolve) => {
    const request = httpRequest({ agent, host: '127.0.0.1', port, method, path }, (response) => {
      response.resume()
      response.on('end', () => end(endingOf(response.headers['x-outcome'])))
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
 * @returns {import('./shop.js').Order}
 */
export function orderOf(shop, { id, product }) {
  return { id: `${shop}-${id}`, product, amount: 5 + (product % 40) }
}

/**
 * @param {unknown} outcome
 * @returns {Ending}
 */
function endingOf(outcome) {
  return endings.find((ending) => ending === outcome) ?? 'failed'
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
