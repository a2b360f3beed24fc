/**
 * The server of the bare front end: so many requests at a time, and everybody else waits in line for
 * as long as it takes. Every server has such a limit, set or not: threads, php-fpm children, sockets,
 * memory.
 */

import { createServer } from 'node:http'

/**
 * @typedef {import('./front-end.js').Reception} Reception
 * @typedef {import('./front-end.js').FrontServer} FrontServer
 */

/**
 * @param {Reception} reception
 * @returns {FrontServer}
 */
export function bareServer({ handle, aside, workers, onClosed }) {
  /** @type {Array<() => void>} */
  const line = []
  let busy = 0

  const server = createServer(async (request, response) => {
    if (aside(request, response)) return
    if (busy < workers) busy++
    else await new Promise((resolve) => line.push(() => resolve(undefined)))
    await handle(request, response)
    const next = line.shift()
    // The worker is handed over, so nobody can slip in between.
    if (next) next()
    else busy--
  })

  return {
    server,
    workers: () => ({ busy, waiting: line.length, limit: workers }),
    stats: () => ({}),
    leave: onClosed,
  }
}
