/**
 * The services and the database as most of us call them at first: `fetch`, one connection that all
 * share, one more for each transaction, and hope.
 */

import { bareServer } from './bare-server.js'
import { renderInvoice } from './invoice.js'
import { createCall } from './upstream.js'

/** @typedef {import('./shop.js').Calls} Calls */

/**
 * @param {import('./front-end.js').Means} means
 * @returns {Calls}
 */
export function bareCalls({ urls, fetchTo, connections, statements }) {
  const call = createCall({ shop: 'bare', urls, fetchTo })
  const shared = connections.open()

  return {
    async prepare() {
      await shared.connect()
      await shared.query(statements.tables)
    },

    async importCatalogue(ids) {
      for (const id of ids) {
        const product = await call('catalogue', `/products/${id}`)
        await shared.query(statements.keepProducts([product]))
      }
    },

    async product(id) {
      const product = await call('catalogue', `/products/${id}`)
      return { product, source: 'catalogue', degraded: false }
    },

    async stock(ids) {
      const units = []
      for (const id of ids) {
        const { rows } = await shared.query(statements.unitsOf([id]))
        units.push(rows[0]?.units ?? 0)
      }
      return units
    },

    order: (work) => work(),

    toTheEnd: (work) => work(),

    reserve: (order) => call('inventory', '/reservations', post(order)),

    release: (order) => call('inventory', `/reservations/${order.id}`, { method: 'DELETE' }),

    charge: (order) => call('payment', '/charges', post(order)),

    async keep(order, receipt) {
      const client = connections.open()
      await client.connect()
      try {
        await statements.keepOrder(client, order, receipt)
      } finally {
        await client.end()
      }
    },

    notify: (order) => call('notification', '/mails', post(order)),

    async invoice(customer) {
      const { rows } = await shared.query(statements.allProducts)
      return renderInvoice({ customer, products: rows })
    },

    work() {},

    backlog: async () => ({ charges: 0, mails: 0 }),

    explain: () => ({ status: 502, outcome: 'failed' }),

    createServer: bareServer,

    circuits: () => ({}),

    stats: () => ({}),
  }
}

/** @param {import('./shop.js').Order} order */
function post(order) {
  return { method: 'POST', body: order, key: order.id }
}
