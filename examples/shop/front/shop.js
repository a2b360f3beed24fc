/**
 * What the shop does, the same for both front ends: show a product, place an order, make an invoice.
 * It knows nothing of resilience; `calls` is either bare.js or protected.js.
 */

import { products } from '../services/trades.js'

/**
 * @typedef {{ id: number, name: string, price: number | null }} Product
 * @typedef {{ id: string, product: number, amount: number }} Order
 *
 * @typedef {object} ProductView
 * @property {Product} product
 * @property {string} source - Where the product comes from.
 * @property {boolean} degraded - Whether it is less than the customer should get.
 *
 * @typedef {object} Calls - The services and the database, as a front end reaches them.
 * @property {(compartments: readonly import('./routes.js').Compartment[]) => Promise<void>} prepare
 * @property {(ids: readonly number[]) => Promise<void>} importCatalogue - Into the database.
 * @property {(id: number) => Promise<ProductView>} product
 * @property {(ids: readonly number[]) => Promise<Array<number | null>>} stock - Units of each; null if
 *   that is not known at present.
 * @property {<T>(work: () => Promise<T>) => Promise<T>} order - Runs the placing of an order as a whole.
 * @property {<T>(work: () => Promise<T>) => Promise<T>} toTheEnd - Runs what must be ended once it is
 *   begun, whoever still waits for it.
 * @property {(order: Order) => Promise<unknown>} reserve
 * @property {(order: Order) => Promise<unknown>} release
 * @property {(order: Order) => Promise<{ receipt: string | null }>} charge
 *   No receipt: it is accepted, and charged later.
 * @property {(order: Order, receipt: string | null) => Promise<unknown>} keep
 *   On record; a receipt may follow.
 * @property {(order: Order) => Promise<{ sent: boolean }>} notify
 * @property {(customer: number) => Promise<import('./invoice.js').Invoice>} invoice
 * @property {() => void} work - On what was accepted, in the background, from now on.
 * @property {() => Promise<Backlog>} backlog
 * @property {(error: unknown) => Refusal} explain
 * @property {(reception: import('./front-end.js').Reception) => import('./front-end.js').FrontServer} createServer
 * @property {() => Record<string, string>} circuits - The state of each circuit, by service.
 * @property {() => unknown} stats
 *
 * @typedef {{ charges: number, mails: number }} Backlog - What is accepted and not done yet.
 *
 * @typedef {object} Refusal - What the customer is told when there is nothing to show.
 * @property {number} status
 * @property {'rejected' | 'failed'} outcome - Turned away at once, or tried and failed.
 * @property {number} [retryAfter] - When to come back, in ms.
 */

/**
 * @param {Calls} calls
 */
export function createShop(calls) {
  let lookups = 0

  return {
    /** How often somebody wanted to know how many there are of a product. */
    lookups: () => lookups,

    /**
     * Prepares everything before the first customer comes.
     *
     * @param {readonly import('./routes.js').Compartment[]} compartments - Those to be served.
     */
    async open(compartments) {
      await calls.prepare(compartments)
      if (compartments.includes('orders')) calls.work()
      if (compartments.includes('pages')) {
        await calls.importCatalogue(Array.from({ length: products }, (_, index) => index + 1))
      }
    },

    /**
     * The product, how many there are, and how many of what others bought with it.
     *
     * @param {number} id
     */
    async viewProduct(id) {
      const others = boughtTogether(id)
      lookups += 1 + others.length
      const [view, [units = null, ...unitsOfOthers]] = await Promise.all([
        calls.product(id),
        calls.stock([id, ...others]),
      ])
      return {
        ...view,
        units,
        others: others.map((other, index) => ({ id: other, units: unitsOfOthers[index] ?? null })),
        degraded: view.degraded || units === null,
      }
    },

    /**
     * Reserves stock, charges the card, keeps it on record, tells the customer.
     *
     * @param {Order} order
     */
    placeOrder: (order) =>
      calls.order(async () => {
        await calls.reserve(order)
        // From here on there is no way back.
        return calls.toTheEnd(() => pay(order))
      }),

    /** @param {number} customer */
    makeInvoice: (customer) => calls.invoice(customer),
  }

  /** @param {Order} order */
  async function pay(order) {
    const { receipt } = await calls.charge(order).catch(async (error) => {
      // No money, no goods. That giving them back fails as well must not hide why.
      await calls.release(order).catch(() => {})
      throw error
    })
    await calls.keep(order, receipt)
    const { sent } = await calls.notify(order)
    return { id: order.id, receipt, later: receipt === null, notified: sent, degraded: !sent }
  }
}

/** @param {number} id */
function boughtTogether(id) {
  return [1, 2, 3, 4].map((step) => ((id * 7 + step * 31) % products) + 1)
}
