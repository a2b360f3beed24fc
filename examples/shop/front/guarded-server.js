/**
 * The server of the protected front end: it lets in what it can bear, gives every request a deadline,
 * says how it is, and goes away without breaking anything off.
 *
 * - `/livez`: would a restart help? Only what is wrong with this very process counts. A dependency
 *   that is down stays down whoever restarts, so an open circuit is no reason.
 * - `/readyz`: may more work come? Not before it has opened, nor if a line has formed, nor on the way
 *   out. A circuit that is open is told, but is no reason either: every container sees the same, and
 *   if all of them stepped aside nobody would get even the degraded answer.
 */

import { createServer } from 'node:http'
import { gracefulShutdown, healthChecks, overloadGuard } from 'holdfast/server'
import { routes } from './routes.js'

/**
 * @param {object} options
 * @param {import('./front-end.js').Reception} options.reception
 * @param {import('holdfast').CircuitBreaker[]} options.circuits
 * @param {import('holdfast').Bulkhead} options.orders
 * @param {number} options.pace - 1 for the full story, 0.25 for the fast one.
 * @returns {import('./front-end.js').FrontServer}
 */
export function guardedServer({ reception, circuits, orders, pace }) {
  const { handle, aside, isOpen, workers, lastRespite, onClosed } = reception

  const guard = overloadGuard({
    name: 'shop',
    maxConcurrent: workers,
    maxQueue: workers * 4,
    // In line, and in all: customers wait 5 s for a page, and hear from us before that. Everything
    // that is done for a request inherits it.
    maxWait: 3_000 * pace,
    targetWait: 3_000 * pace,
    maxTime: 4_500 * pace,
    // Most come for a page, and it costs little.
    priority: ({ url }) => (url.startsWith(routes.pages.path) ? 1 : 0),
    // Customers are strangers: what they say of their time and their retries is not believed.
    deadlines: 'ignore',
    callerRetries: 'ignore',
  })

  const health = healthChecks({
    policies: circuits,
    // Every slot held by work that its customer has left and that does not end: none comes back.
    alive: { orders: () => orders.stats().abandoned < orders.stats().maxConcurrent },
    checks: { open: isOpen, line: () => !guard.stats().overloaded },
    closing: () => shutdown.closing,
  })

  const guarded = guard.wrap(handle)
  const server = createServer((request, response) => {
    if (health.handle(request, response) || aside(request, response)) return
    guarded(request, response)
  })
  // child.js hears the signals, for all processes of the shop.
  const shutdown = gracefulShutdown(server, { guard, timeout: lastRespite, onClosed, signals: [] })

  return {
    server,
    workers: () => {
      const { running, queued, maxConcurrent } = guard.stats()
      return { busy: running, waiting: queued, limit: maxConcurrent }
    },
    stats: () => guard.stats(),
    leave: () => shutdown.begin(),
  }
}
