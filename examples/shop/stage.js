/**
 * The stage: the five services and the two shops before them, each its own process, and the two
 * things that one does with them: tell a service to fail, and read everybody's counters.
 */

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
 * @property {Record<ShopName, import('./front-end.js').FrontEndStats>} shops
 * @property {Record<string, ServiceStats>} services
 *
 * @typedef {object} ServiceStats
 * @property {import('./faults.js').Fault} fault
 * @property {Record<string, number>} reached - Calls that arrived, by shop.
 */

/**
 * @param {import('./processes.js').Processes} processes
 * @param {{ seed: number, pace: number, workers: number, signal: AbortSignal }} options
 */
export async function setUp(processes, { seed, pace, workers, signal }) {
  const started = await Promise.all(
    serviceNames.map((name) => processes.start(name, './service.js', { name, seed })),
  )
  signal.throwIfAborted()
  const urls = Object.fromEntries(started.map(({ name, port }) => [name, at(port)]))
  const controls = Object.fromEntries(
    started.map(({ name, controlPort = 0 }) => [name, at(controlPort)]),
  )
  const [bare, safe] = await Promise.all(
    shops.map((shop) =>
      processes.start(`shop-${shop}`, './front-end.js', { shop, urls, pace, workers }),
    ),
  )
  signal.throwIfAborted()
  const ports = { bare: bare?.port ?? 0, protected: safe?.port ?? 0 }

  return {
    ports,

    /**
     * @param {string} service
     * @param {import('./faults.js').Fault} fault
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

/** @param {number} port */
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
