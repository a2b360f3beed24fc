/**
 * What a front end serves, by compartment. In the show one process has all of them; in containers
 * each has its own, so that one that drowns, leaks or crashes takes nothing from the others.
 */

import { readJson } from '../show/child.js'

/**
 * @typedef {'pages' | 'orders' | 'invoices'} Compartment
 * @typedef {ReturnType<typeof import('./shop.js').createShop>} Shop
 * @typedef {import('node:http').IncomingMessage} Request
 *
 * @typedef {object} Route
 * @property {string} method
 * @property {string} path - What the path begins with; the rest is a number.
 * @property {(shop: Shop, request: Request, id: number) => Promise<Answer>} serve
 *
 * @typedef {{ degraded: boolean, later?: boolean } | import('./invoice.js').Invoice} Answer
 */

/** @type {Record<Compartment, Route>} */
export const routes = {
  pages: {
    method: 'GET',
    path: '/products/',
    serve: (shop, _request, id) => shop.viewProduct(id),
  },
  orders: {
    method: 'POST',
    path: '/orders',
    serve: async (shop, request) => shop.placeOrder(await readJson(request)),
  },
  invoices: {
    method: 'GET',
    path: '/invoices/',
    serve: (shop, _request, id) => shop.makeInvoice(id),
  },
}

export const allCompartments = /** @type {Compartment[]} */ (Object.keys(routes))

/**
 * @param {readonly Compartment[]} compartments - Those that are served here.
 * @param {Request} request
 * @returns {{ serve: Route['serve'], id: number } | undefined}
 */
export function findRoute(compartments, { method, url = '/' }) {
  for (const compartment of compartments) {
    const { serve, ...route } = routes[compartment]
    if (method === route.method && url.startsWith(route.path)) {
      return { serve, id: Number(url.slice(route.path.length)) }
    }
  }
  return undefined
}
