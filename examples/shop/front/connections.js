/**
 * Connections to PostgreSQL that count themselves and what they carry.
 */

import pg from 'pg'

/**
 * @typedef {object} Traffic - So far.
 * @property {number} connections
 * @property {Record<string, number>} statements - By their names: each is a round trip.
 */

/**
 * @param {string} url
 */
export function createConnections(url) {
  /** @type {Traffic} */
  const traffic = { connections: 0, statements: {} }

  return {
    traffic,

    /** @returns {pg.Client} Not connected yet. */
    open() {
      const client = new pg.Client(url)
      traffic.connections++
      // Whose statement it was learns of it too; without a listener the process would end.
      client.on('error', () => {})

      const query = client.query.bind(client)
      // Its type is a dozen overloads, which pass through as they are.
      client.query = /** @type {typeof client.query} */ (
        (/** @type {[any]} */ ...args) => {
          const name = args[0].name ?? args[0]
          traffic.statements[name] = (traffic.statements[name] ?? 0) + 1
          return query(...args)
        }
      )
      return client
    },
  }
}

/** @typedef {ReturnType<typeof createConnections>} Connections */
