/**
 * The stage: the five services, the database and the two shops before them, each its own process,
 * and what one does with them: tell a service to fail, and read everybody's books.
 */

import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { createStatements } from '../front/statements.js'

export const shops = /** @type {const} */ (['bare', 'protected'])
export const serviceNames = /** @type {const} */ ([
  'payment',
  'inventory',
  'notification',
  'catalogue',
  'catalogue-replica',
])

/** @typedef {typeof shops[number]} ShopName */

/**
 * @typedef {object} Snapshot - Counts so far.
 * @property {Record<ShopName, import('../front/front-end.js').FrontEndStats>} shops
 * @property {Record<string, ServiceStats>} services
 *
 * @typedef {object} ServiceStats
 * @property {import('../services/faults.js').Fault} fault
 * @property {Record<string, number>} reached - Calls that arrived, by shop.
 * @property {Record<string, number>} cancelled - Those that were stopped when the time that their
 *   caller had given them was up, by shop.
 * @property {number} refused - Those that were not begun for that reason.
 */

/**
 * @param {import('./processes.js').Processes} processes
 * @param {{ seed: number, pace: number, workers: number, signal: AbortSignal }} options
 */
export async function setUp(processes, { seed, pace, workers, signal }) {
  const run = randomBytes(4).toString('hex')
  /** @param {ShopName} shop */
  const schemaOf = (shop) => `holdfast_${shop}_${run}`
  const [database, ...started] = await Promise.all([
    processes.start('database', '../services/database.js', { schemas: shops.map(schemaOf) }),
    ...serviceNames.map((name) => processes.start(name, '../services/service.js', { name, seed })),
  ])
  signal.throwIfAborted()
  const urls = Object.fromEntries(started.map(({ name, port }) => [name, at(port)]))
  const controls = Object.fromEntries(
    started.map(({ name, controlPort }) => [name, at(controlPort)]),
  )
  const databaseUrl = database.url ?? ''
  const [bare, safe] = await Promise.all(
    shops.map((shop) => {
      /** @type {import('../front/front-end.js').Settings} */
      const settings = { shop, urls, schema: schemaOf(shop), pace, workers }
      const secrets = { DATABASE_URL: databaseUrl }
      return processes.start(`shop-${shop}`, '../front/front-end.js', { ...settings }, secrets)
    }),
  )
  signal.throwIfAborted()
  const ports = { bare: bare?.port ?? 0, protected: safe?.port ?? 0 }

  return {
    ports,

    /**
     * @param {string} service
     * @param {import('../services/faults.js').Fault} fault
     */
    async tell(service, fault) {
      const url = `${controls[service]}/admin/fault`
      const response = await fetch(url, { method: 'PUT', body: JSON.stringify(fault) })
      if (!response.ok) throw new Error(`${service}: ${await response.text()}`)
      await response.json()
    },

    /**
     * What the calls of a service have done to the world.
     *
     * @param {string} service
     */
    effects: (service) => get(`${controls[service]}/admin/effects`),

    /**
     * The orders that a shop has on record, and whether they have a receipt.
     *
     * @param {ShopName} shop
     * @returns {Promise<Array<{ id: string, receipt: string | null }>>}
     */
    async ordersOf(shop) {
      const client = new pg.Client(databaseUrl)
      await client.connect()
      const { rows } = await client.query(createStatements(schemaOf(shop)).allOrders)
      await client.end()
      return rows
    },

    /** @returns {Promise<Snapshot>} */
    async snapshot() {
      const [bareStats, safeStats, ...stats] = await Promise.all([
        get(`${at(ports.bare)}/stats`),
        get(`${at(ports.protected)}/stats`),
        ...serviceNames.map((name) => get(`${controls[name]}/admin/stats`)),
      ])
      return {
        shops: { bare: bareStats, protected: safeStats },
        services: Object.fromEntries(serviceNames.map((name, index) => [name, stats[index]])),
      }
    },
  }
}

/** @typedef {Awaited<ReturnType<typeof setUp>>} Stage */

/** @param {number | undefined} port */
function at(port) {
  return `http://127.0.0.1:${port}`
}

/**
 * @param {string} url
 * @returns {Promise<any>}
 */
async function get(url) {
  const response = await fetch(url)
  return response.json()
}
