/** Real servers for the headline figures, each in processes of its own. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * The servers of the tests are TypeScript, which Node.js reads since 22.18. Elsewhere there is no
 * headline figure.
 */
export const available = Boolean(/** @type {any} */ (process.features).typescript)
if (!available) console.warn('the headline figures need Node.js 22.18 or later: left out')

/** @returns {Promise<import('../../test/support/postgres-server.ts').PostgresServer>} */
export async function postgres() {
  const { startPostgres } = await import('../../test/support/postgres-server.ts')
  return startPostgres()
}

/**
 * @param {{ tls?: boolean }} [options]
 * @returns {Promise<{ port: number, certificate: string, stop: () => void }>}
 */
export async function http({ tls = false } = {}) {
  const { selfSigned } = await import('../../test/support/certificate.ts')
  const { certificate, key } = selfSigned()
  const path = fileURLToPath(new URL('slow.js', import.meta.url))
  const server = fork(path, tls ? [certificate, key] : [], { execArgv: [] })
  const port = await new Promise((resolve, reject) => {
    server.once('message', resolve)
    server.once('exit', () => reject(new Error('the server did not start')))
  })
  return { port, certificate, stop: () => server.disconnect() }
}
