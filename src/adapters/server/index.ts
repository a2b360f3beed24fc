/**
 * `holdfast/server`: a server that stays useful under more load than it can bear, knows when its callers
 * have given up, says how it is, and goes away without breaking anything off.
 */
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { checkOption, positiveInteger } from '../../core/options.ts'
import type { GuardStats } from './contract.ts'
import {
  type ConnectMiddleware,
  connectDoor,
  type FastifyPlugin,
  fastifyDoor,
  type HonoMiddleware,
  honoDoor,
  type NodeHandler,
  nodeDoor,
} from './doors.ts'
import { Guard } from './guard.ts'
import { type OverloadGuardOptions, readGuardOptions } from './options.ts'

export type { ClientLimit } from './client-rates.ts'
export type { GuardStats, RefusalReason } from './contract.ts'
export type {
  ConnectMiddleware,
  FastifyLike,
  FastifyPlugin,
  HonoContextLike,
  HonoMiddleware,
  NodeHandler,
} from './doors.ts'
export { type Health, type HealthChecks, type HealthOptions, healthChecks } from './health.ts'
export type { OverloadGuardOptions } from './options.ts'
export type { GuardedRequest } from './request.ts'
export {
  gracefulShutdown,
  type Shutdown,
  type ShutdownOptions,
  type ShutdownReport,
} from './shutdown.ts'

/** Stands before a server, and lets in what it can bear. */
export interface OverloadGuard {
  readonly name: string
  /** For node:http: the handler of all requests. */
  wrap(handler: NodeHandler): NodeHandler
  /** For Express 5 and everything alike: `app.use(guard.express())`, before all else. */
  express(): ConnectMiddleware
  /** For Fastify 5: `app.register(guard.fastify())`. */
  fastify(): FastifyPlugin
  /** For Hono: `app.use(guard.hono())`. */
  hono(): HonoMiddleware
  /** Changes how many requests are worked on at the same time. */
  resize(maxConcurrent: number): void
  stats(): GuardStats
  subscribe(listener: Listener<HoldfastEvent>): () => void
  /** Refuses everything from now on; what is under way goes on. */
  close(): void
  readonly closing: boolean
}

/**
 * Lets in as many requests as the server can bear, a few more into a queue, and refuses the rest at once
 * with 503 and `Retry-After`: a server that tries to answer everybody under overload answers nobody.
 *
 * - At most `maxConcurrent` requests are worked on; a slot is free again when the response has ended, or
 *   its caller has gone.
 * - The line absorbs bursts. If it does not empty for `maxWait`, it is an overload: then nobody waits
 *   longer than `targetWait`, and the newest are served first.
 * - While the event loop is late or the heap nearly full, a growing share is refused; requests with a
 *   `priority` above 0 are spared.
 * - With `perClient` nobody gets more than a share: 429, and `Retry-After` says when there is some again.
 * - The caller's time limit (`x-deadline-ms`) and its retries (`x-attempt`) are known to every policy that
 *   works for the request. With `deadlines: 'enforce'` requests whose caller has given up are refused.
 *
 * **Use it** before every server that others depend on; `maxConcurrent` is what it can work on at once,
 * measured under load.
 * **Not for** what a dependency can bear: use a `bulkhead` before that.
 *
 * **Watch out:** work that goes on after its caller has gone holds no slot. Pass the request's signal on.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { once } from 'node:events'
 * import { overloadGuard } from 'holdfast/server'
 *
 * const guard = overloadGuard({ maxConcurrent: 50, maxQueue: 50 })
 * const server = createServer(guard.wrap((_request, response) => response.end('hello')))
 * await once(server.listen(0, '127.0.0.1'), 'listening')
 * const { port } = server.address() as { port: number }
 * const answer = await fetch(`http://127.0.0.1:${port}/`)
 * await answer.text() // => 'hello'
 * guard.stats().admitted // => 1
 * server.close()
 * server.closeAllConnections()
 * guard.close()
 * ```
 */
export function overloadGuard(options?: OverloadGuardOptions): OverloadGuard {
  const settings = readGuardOptions(options)
  const guard = new Guard(settings)
  return {
    name: settings.name,
    wrap: (handler) => {
      if (typeof handler !== 'function') {
        throw new TypeError(`overloadGuard "${settings.name}": wrap needs a function`)
      }
      return nodeDoor(guard, handler)
    },
    express: () => connectDoor(guard),
    fastify: () => fastifyDoor(guard),
    hono: () => honoDoor(guard),
    resize(maxConcurrent) {
      checkOption('overloadGuard', 'maxConcurrent', maxConcurrent, positiveInteger)
      guard.resize(maxConcurrent)
    },
    stats: () => guard.stats(),
    subscribe: (listener) => guard.subscribe(listener),
    close: () => guard.close(),
    get closing() {
      return guard.closing
    },
  }
}
