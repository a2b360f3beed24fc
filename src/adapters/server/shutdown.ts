/**
 * Going away without breaking anything off: say so, wait until nobody sends requests any more, finish
 * what is under way, then close what it stood on. Bounded, whatever hangs. A new way in, a connection that
 * is kept alive, an upgraded one: each of them keeps a server of Node from closing.
 */
import type { Server, ServerResponse } from 'node:http'
import { Server as TcpServer } from 'node:net'
import { constants } from 'node:os'
import { nextTurn, systemClock } from '../../core/clock.ts'
import { checkOption, duration, fn, optional, readOptions } from '../../core/options.ts'

/** Options of {@link gracefulShutdown}. */
export interface ShutdownOptions {
  /** Refuses from the moment on when the door is closed, after `delay`. */
  readonly guard?: { close(): void } | undefined
  /** Time between saying so (`closing`) and closing the door, in ms: requests are served meanwhile, for as long as the load balancer takes to notice. @default 0 */
  readonly delay?: number | undefined
  /** Longest time for requests under way, in ms; then their connections are cut. @default 10_000 */
  readonly timeout?: number | undefined
  /** Called when the last request has ended: close pools, queues and the like. At most `timeout` ms. */
  readonly onClosed?: (() => unknown) | undefined
  /** Signals that begin it. @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[] | undefined
}

/** How it went. */
export interface ShutdownReport {
  /** Whether every request was answered in time. */
  readonly graceful: boolean
  /** From the beginning to the end, in ms. */
  readonly duration: number
  /** What `onClosed`, or the guard's `close`, failed with. */
  readonly error?: unknown
}

/** A server that knows how to go away. */
export interface Shutdown {
  /** Begins it, or joins the one under way. */
  begin(): Promise<ShutdownReport>
  /** Resolves when it is over, however it began. */
  readonly done: Promise<ShutdownReport>
  /** Whether it has begun: then `healthChecks({ closing: () => shutdown.closing })` says unready. */
  readonly closing: boolean
  /** Takes back the signal handlers. */
  cancel(): void
}

const known = {
  guard: optional({
    expected: 'something that can be closed',
    fault: (value: unknown) =>
      typeof (value as { close?: unknown } | null)?.close === 'function' ? undefined : 'type',
  } as const),
  delay: optional(duration()),
  timeout: optional(duration({ infinite: true })),
  onClosed: optional(fn),
  signals: optional({
    expected: 'a list of signals that can be handled',
    fault: (value: unknown) => {
      if (!Array.isArray(value) || value.some((signal) => typeof signal !== 'string')) return 'type'
      return value.every(isHandled) ? undefined : 'range'
    },
  } as const),
}

function isHandled(signal: string): boolean {
  return Object.hasOwn(constants.signals, signal) && signal !== 'SIGKILL' && signal !== 'SIGSTOP'
}

/**
 * Ends a server when the process is asked to: says so, refuses new requests after `delay`, finishes those
 * under way, closes connections that are idle, and at the latest after `delay` and `timeout` cuts the rest.
 * The process is not ended: it exits by itself when nothing keeps it alive.
 *
 * **Watch out:** an upgraded connection (WebSocket) is under way until one side ends it. Call this before
 * the server listens: upgraded connections that are older are left to the process.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { gracefulShutdown, overloadGuard } from 'holdfast/server'
 *
 * const guard = overloadGuard()
 * const server = createServer(guard.wrap((_request, response) => response.end('hello')))
 * server.listen(0, '127.0.0.1')
 * const shutdown = gracefulShutdown(server, { guard, timeout: 5_000 })
 * const { graceful } = await shutdown.begin() // kill -TERM does the same
 * graceful // => true
 * ```
 */
export function gracefulShutdown(server: Server, options: ShutdownOptions = {}): Shutdown {
  const methods = ['close', 'closeIdleConnections', 'closeAllConnections'] as const
  if (methods.some((method) => typeof server?.[method] !== 'function')) {
    throw new TypeError('gracefulShutdown: server must be a server of node:http or node:https')
  }
  const { signals = ['SIGTERM', 'SIGINT'], ...rest } = readOptions(
    'gracefulShutdown',
    options,
    known,
  ) as ShutdownOptions
  checkOption('gracefulShutdown', 'signals', signals, known.signals)
  let settle!: (report: ShutdownReport | Promise<ShutdownReport>) => void
  const done = new Promise<ShutdownReport>((resolve) => {
    settle = resolve
  })
  const sockets = socketsOf(server)
  let begun = false
  const begin = (): Promise<ShutdownReport> => {
    if (!begun) {
      begun = true
      cancel()
      settle(shutDown(server, sockets, rest))
    }
    return done
  }
  // A second signal finds no handler of ours any more, and ends the process at once.
  const cancel = (): void => {
    for (const signal of signals) process.off(signal, begin)
  }
  for (const signal of signals) process.once(signal, begin)
  return {
    begin,
    done,
    get closing() {
      return begun
    },
    cancel,
  }
}

async function shutDown(
  server: Server,
  sockets: ReadonlySet<Cuttable>,
  options: ShutdownOptions,
): Promise<ShutdownReport> {
  const { guard, delay = 0, timeout = 10_000, onClosed } = options
  const began = systemClock.now()
  let failure: { error: unknown } | undefined
  const attempt = async (step: () => unknown): Promise<void> => {
    try {
      await step()
    } catch (error) {
      failure ??= { error }
    }
  }
  server.prependListener('request', letGo)
  if (delay > 0) await pause(delay)
  await attempt(() => void guard?.close())
  const graceful = await closed(server, sockets, timeout)
  if (onClosed !== undefined) await attempt(() => within(timeout, onClosed))
  return { graceful, duration: Math.max(0, systemClock.now() - began), ...failure }
}

/** Its connection must not bring another request to a server that is going away. */
function letGo(_request: unknown, response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close')
}

/** How often connections are looked for that have become idle, in ms. */
const PERIOD = 50

/** True if all connections ended by themselves. */
function closed(server: Server, sockets: ReadonlySet<Cuttable>, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    let isOpen = true
    const end = (graceful: boolean): void => {
      isOpen = false
      limit.cancel()
      resolve(graceful)
    }
    const limit = systemClock.setTimer(() => {
      isOpen = false
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      // Connections that nobody knows of must not make it wait for ever.
      nextTurn(() => nextTurn(() => end(false)))
    }, timeout)
    // `close` of node:http would begin with the connections that it takes for idle, see below.
    TcpServer.prototype.close.call(server, () => end(isOpen))
    const closeIdle = (): void => {
      if (!isOpen) return
      // Idle to Node is also one whose answer is written, and still on its way to a slow reader.
      if ([...sockets].every(({ writableLength }) => writableLength === 0)) {
        server.closeIdleConnections()
      }
      systemClock.setTimer(closeIdle, PERIOD).unref()
    }
    closeIdle()
  })
}

interface Cuttable {
  readonly writableLength: number
  destroy(): unknown
}

/** `closeAllConnections` leaves those alone that were upgraded. */
function socketsOf(server: Server): ReadonlySet<Cuttable> {
  const sockets = new Set<Cuttable>()
  const follow = (socket: Cuttable & NodeJS.EventEmitter): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  server.on('connection', follow)
  server.on('secureConnection', follow)
  return sockets
}

async function within(limit: number, run: () => unknown): Promise<void> {
  let stop = (): void => {}
  const late = new Promise<never>((_resolve, reject) => {
    const timer = systemClock.setTimer(
      () => reject(new Error(`onClosed: not done within ${limit} ms`)),
      limit,
    )
    stop = () => timer.cancel()
  })
  try {
    await Promise.race([(async () => run())(), late])
  } finally {
    stop()
  }
}

function pause(delay: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.setTimer(resolve, delay)
  })
}
