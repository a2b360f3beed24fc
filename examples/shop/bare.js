/**
 * The services as most of us call them at first: `fetch`, and hope.
 */

/** @typedef {import('./shop.js').Calls} Calls */

/**
 * @param {{ call: import('./upstream.js').Call }} options
 * @returns {Calls}
 */
export function bareCalls({ call }) {
  return {
    async product(id) {
      const product = await call('catalogue', `/products/${id}`)
      return { product, source: 'catalogue', degraded: false }
    },

    order: (work) => work({}),

    reserve: (order) => call('inventory', '/reservations', post(order)),

    release: (order) => call('inventory', `/reservations/${order.id}`, { method: 'DELETE' }),

    charge: (order) => call('payment', '/charges', post(order)),

    notify: (order) => call('notification', '/mails', post(order)),

    explain: () => ({ status: 502, outcome: 'failed' }),

    circuits: () => ({}),

    stats: () => ({}),
  }
}

/** @param {import('./shop.js').Order} order */
function post(order) {
  return { method: 'POST', body: order, key: order.id }
}
