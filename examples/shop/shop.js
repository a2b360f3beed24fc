/**
 * What the shop does, the same for both front ends: show a product, place an order.
 * It knows nothing of resilience; `calls` is either bare.js or protected.js.
 */

/**
 * @typedef {object} Caller - The limits that a request brings along.
 * @property {AbortSignal | undefined} [signal] - Aborted when the customer leaves.
 * @property {number | undefined} [deadline] - Latest moment for an answer.
 *
 * @typedef {{ id: number, name: string, price: number | null }} Product
 * @typedef {{ id: string, product: number, amount: number }} Order
 *
 * @typedef {object} ProductView
 * @property {Product} product
 * @property {string} source - Where the product comes from.
 * @property {boolean} degraded - Whether it is less than the customer should get.
 *
 * @typedef {object} Calls - The services, as a front end reaches them.
 * @property {(id: number, caller: Caller) => Promise<ProductView>} product
 * @property {<T>(work: (caller: Caller) => Promise<T>, caller: Caller) => Promise<T>} order
 *   Runs the placing of an order as a whole.
 * @property {(order: Order, caller: Caller) => Promise<unknown>} reserve
 * @property {(order: Order) => Promise<unknown>} release
 * @property {(order: Order, caller: Caller) => Promise<{ receipt: string }>} charge
 * @property {(order: Order, caller: Caller) => Promise<{ sent: boolean }>} notify
 * @property {(error: unknown) => Refusal} explain
 * @property {() => Record<string, string>} circuits - The state of each circuit, by service.
 * @property {() => unknown} stats
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
  return {
    /**
     * @param {number} id
     * @param {Caller} caller
     */
    viewProduct: (id, caller) => calls.product(id, caller),

    /**
     * Reserves stock, charges the card, tells the customer.
     *
     * @param {Order} order
     * @param {Caller} caller
     */
    placeOrder: (order, caller) =>
      calls.order(async (limits) => {
        await calls.reserve(order, limits)
        const { receipt } = await calls.charge(order, limits).catch(async (error) => {
          // No money, no goods. That giving them back fails as well must not hide why.
          await calls.release(order).catch(() => {})
          throw error
        })
        const { sent } = await calls.notify(order, limits)
        return { id: order.id, receipt, notified: sent, degraded: !sent }
      }, caller),
  }
}
