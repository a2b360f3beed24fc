/**
 * The shops' database as a process of its own: an embedded PostgreSQL, or, with DATABASE_URL, a
 * server that is there already. Each shop has a schema of its own; all of it goes at the end.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { hold, leave, onLeave, ready, settings } from '../show/child.js'
import { isAlive } from '../show/processes.js'
import { clearAway, startPostgres } from './postgres.js'

/** @type {{ schemas: string[] }} */
const { schemas } = settings()
const given = process.env['DATABASE_URL']

if (given) {
  onLeave(() => run(given, 'drop schema if exists', 'cascade'))
  try {
    await run(given, 'create schema')
  } catch (error) {
    const { message, code } = /** @type {Error & { code?: string }} */ (error)
    process.stderr.write(`DATABASE_URL: ${message || code}\n`)
    await leave(1)
  }
  ready({ url: given })
} else {
  /** @type {import('./postgres.js').Held | undefined} */
  let held
  onLeave(async () => {
    if (!held) return
    clearAway(held)
    while (held.pid !== undefined && isAlive(held.pid)) await sleep(10)
  })
  const { url, port } = await startPostgres({
    onHold(next) {
      held = next
      hold(next)
    },
    onEnd(error) {
      process.stderr.write(error.message)
      leave(1)
    },
  })
  await run(url, 'create schema')
  ready({ url, port })
}

/**
 * Does the same to the schema of each shop.
 *
 * @param {string} url
 * @param {string} before
 * @param {string} [after]
 */
async function run(url, before, after = '') {
  const client = new pg.Client(url)
  await client.connect()
  for (const schema of schemas) await client.query(`${before} "${schema}" ${after}`)
  await client.end()
}
