/**
 * What the five services do for a living, each in a few lines. How they listen, count and fail is
 * the same for all and lives in service.js.
 */

/**
 * @typedef {object} Call
 * @property {string} method
 * @property {string} path
 * @property {any} body
 * @property {string} key - The idempotency key, or ''.
 *
 * @typedef {object} Reply
 * @property {number} status
 * @property {unknown} body
 *
 * @typedef {object} Service
 * @property {[number, number]} latency - Quickest and slowest healthy answer, in ms.
 * @property {(call: Call) => Reply} handle
 * @property {() => Record<string, unknown>} effects - What its calls have done to the world.
 */

export const products = 200

/** @type {Record<string, () => Service>} */
export const services = {
  payment,
  inventory,
  notification,
  catalogue: () => catalogue([3, 10]),
  'catalogue-replica': () => catalogue([5, 14]),
}

/** Charges cards. The same idempotency key is charged once, however often it is sent. */
function payment() {
  /** How often each key was charged. @type {Map<string, number>} */
  const charges = new Map()
  let repeats = 0

  return {
    latency: /** @type {[number, number]} */ ([15, 40]),
    /** @param {Call} call */
    handle({ key }) {
      if (key === '') return { status: 400, body: { error: 'idempotency-key is missing' } }
      if (charges.has(key)) repeats++
      else charges.set(key, (charges.get(key) ?? 0) + 1)
      return { status: 201, body: { receipt: `receipt-of-${key}` } }
    },
    effects: () => ({ charged: Object.fromEntries(charges), repeats }),
  }
}

/** Keeps stock aside for an order, and gives it back. */
function inventory() {
  /** @type {Set<string>} */
  const reserved = new Set()

  return {
    latency: /** @type {[number, number]} */ ([3, 10]),
    /** @param {Call} call */
    handle({ method, path, key }) {
      if (method === 'DELETE') {
        reserved.delete(path.slice('/reservations/'.length))
        return { status: 200, body: { released: true } }
      }
      reserved.add(key)
      return { status: 201, body: { reserved: key } }
    },
    effects: () => ({ reserved: [...reserved] }),
  }
}

/** Tells the customer by mail. The same idempotency key is mailed once. */
function notification() {
  /** @type {Set<string>} */
  const mailed = new Set()

  return {
    latency: /** @type {[number, number]} */ ([5, 15]),
    /** @param {Call} call */
    handle({ key }) {
      mailed.add(key)
      return { status: 202, body: { sent: true } }
    },
    effects: () => ({ mailed: [...mailed] }),
  }
}

/**
 * Knows the products.
 *
 * @param {[number, number]} latency
 */
function catalogue(latency) {
  return {
    latency,
    /** @param {Call} call */
    handle({ path }) {
      const id = Number(path.slice('/products/'.length))
      if (!(id >= 1 && id <= products)) return { status: 404, body: { error: 'no such product' } }
      return { status: 200, body: { id, name: `Product ${id}`, price: 5 + (id % 40) } }
    },
    effects: () => ({}),
  }
}
