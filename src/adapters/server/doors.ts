/**
 * The doors: node:http, Express, Fastify and Hono, each as that framework expects it. All of them bring
 * requests to the same guard, and none of the frameworks is imported.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type SurroundingsOptions, withSurroundings } from '../node/surroundings.ts'
import type { Refusal } from './contract.ts'
import { isOver, onceOver, onOver } from './ending.ts'
import type { Guard } from './guard.ts'
import { NodeRequest, pathOf } from './request.ts'

/** A listener of node:http's `request` event. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown

/** What Express and everything alike takes. */
export type ConnectMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** What the plugin needs of a Fastify instance. */
export interface FastifyLike {
  addHook(
    name: 'onRequest',
    hook: (
      request: { readonly raw: IncomingMessage },
      reply: { readonly raw: ServerResponse; hijack(): unknown },
      done: () => void,
    ) => void,
  ): unknown
}

/** A Fastify plugin that holds for the whole instance. */
export type FastifyPlugin = (instance: FastifyLike, options: unknown, done: () => void) => void

/** What the middleware needs of a Hono context. */
export interface HonoContextLike {
  readonly req: {
    readonly method: string
    readonly url: string
    readonly raw: Request
    header(name: string): string | undefined
  }
  readonly env: unknown
}

/** A Hono middleware. */
export type HonoMiddleware = (
  context: HonoContextLike,
  next: () => Promise<void>,
) => Promise<Response | undefined>

export function nodeDoor(guard: Guard, handler: NodeHandler): NodeHandler {
  return (request, response) => {
    let isDecided = false
    let outcome: unknown
    let tell: ((outcome: unknown) => void) | undefined
    const decide = (found?: unknown): void => {
      isDecided = true
      outcome = found
      tell?.(found)
    }
    admit(guard, request, response, {
      enter: (release) => decide(releasing(handler(request, response), release)),
      leave: decide,
    })
    // A server that captures rejections answers by what its listener returns.
    return isDecided
      ? outcome
      : new Promise((resolve) => {
          tell = resolve
        })
  }
}

export function connectDoor(guard: Guard): ConnectMiddleware {
  return (request, response, next) => admit(guard, request, response, { enter: () => next() })
}

export function fastifyDoor(guard: Guard): FastifyPlugin {
  const plugin: FastifyPlugin = (instance, _options, done) => {
    instance.addHook('onRequest', (request, reply, next) => {
      // The refusal is written past Fastify, which must not answer as well.
      admit(guard, request.raw, reply.raw, { enter: () => next(), refuse: () => reply.hijack() })
    })
    done()
  }
  // Without it the hook would hold for nothing but routes of the plugin's own.
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true })
}

export function honoDoor(guard: Guard): HonoMiddleware {
  return (context, next) => {
    const { req, env } = context
    const node = nodePartsOf(env)
    // `req.raw` may be replaced on the way, these stay.
    if (!guard.meets(node?.incoming ?? req)) return next().then(nothing)
    const isGone =
      node === undefined ? req.raw.signal?.aborted : isOver(node.incoming, node.outgoing)
    if (isGone === true) return Promise.resolve(unheard())
    return new Promise((resolve, reject) => {
      guard.take({
        request: { method: req.method, url: pathOf(req.url), header: (name) => req.header(name) },
        enter({ release, surroundings }) {
          const run = async (): Promise<undefined> => {
            try {
              await surroundedBy(surroundings, next)
              // On Node the response tells when it is over; elsewhere the handlers' end has to do.
              if (node === undefined) release()
            } catch (error) {
              release()
              throw error
            }
          }
          if (node !== undefined) onceOver(node.incoming, node.outgoing, release)
          run().then(resolve, reject)
        },
        refuse: ({ status, headers, body }) => resolve(new Response(body, { status, headers })),
        remember: () => AsyncLocalStorage.snapshot(),
        onGone(callback) {
          const leave = (): void => {
            callback()
            resolve(unheard())
          }
          return node === undefined
            ? onAbort(req.raw.signal, leave)
            : onOver(node.incoming, node.outgoing, leave)
        },
      })
    })
  }
}

interface NodeParts {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

/** What Hono's server on Node hands on; elsewhere an environment holds anything. */
function nodePartsOf(env: unknown): NodeParts | undefined {
  const { incoming, outgoing } = (env ?? {}) as Partial<NodeParts>
  const isNode = typeof incoming?.on === 'function' && typeof outgoing?.on === 'function'
  return isNode ? { incoming, outgoing } : undefined
}

/** Nobody hears it any more, but the middleware in front must see an end. */
function unheard(): Response {
  return new Response(null, { status: 499 })
}

/** What a door of Node does with a request. */
interface Way {
  enter(release: () => void): unknown
  /** It is about to be refused. */
  refuse?(): unknown
  /** It is not worked on: it was refused, or its caller has gone. */
  leave?(): void
}

/** Takes a request in by Node's own objects. */
function admit(guard: Guard, request: IncomingMessage, response: ServerResponse, way: Way): void {
  // Mounted twice, say for all routes and again for some: it has been admitted already.
  if (!guard.meets(request)) return void way.enter(nothing)
  if (isOver(request, response)) return way.leave?.()
  guard.take({
    request: new NodeRequest(request),
    enter({ release, surroundings }) {
      if (isOver(request, response)) {
        release()
        return way.leave?.()
      }
      onceOver(request, response, release)
      surroundedBy(surroundings, () => {
        if (surroundings.remaining !== undefined) follow(request)
        way.enter(release)
      })
    },
    refuse(refusal) {
      way.refuse?.()
      answer(request, response, refusal)
      way.leave?.()
    },
    remember: () => AsyncLocalStorage.snapshot(),
    onGone: (callback) =>
      onOver(request, response, () => {
        callback()
        way.leave?.()
      }),
  })
}

/** A handler that has failed works on nothing any more, whoever may answer for it. */
function releasing(result: unknown, release: () => void): unknown {
  if (typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') return result
  return (result as PromiseLike<unknown>).then(undefined, (error: unknown) => {
    release()
    throw error
  })
}

function surroundedBy<T>(surroundings: SurroundingsOptions, fn: () => T): T {
  return surroundings.remaining === undefined ? fn() : withSurroundings(surroundings, fn)
}

/** Whoever reads the body goes on in the context of the socket, unless its events come in this one. */
function follow(request: IncomingMessage): void {
  const run = AsyncLocalStorage.snapshot()
  const emit = request.emit.bind(request)
  request.emit = (...event: Parameters<typeof emit>) => run(() => emit(...event))
}

function answer(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (isOver(request, response) || response.writableEnded) return
  // Somebody before has begun an answer: it can only be broken off.
  if (response.headersSent) return void response.destroy()
  const { status, headers, body } = refusal
  const { connection, ...others } = headers
  // HTTP/2 knows no such header.
  const closing = connection !== undefined && request.httpVersionMajor < 2 ? { connection } : {}
  try {
    response.writeHead(status, {
      ...others,
      ...closing,
      'content-length': Buffer.byteLength(body),
    })
    response.end(body)
  } catch {
    // Whatever others have made of this response: nobody is left waiting for it.
    response.destroy()
  }
}

function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return nothing
  signal.addEventListener('abort', callback, { once: true })
  return () => signal.removeEventListener('abort', callback)
}

function nothing(): undefined {
  return undefined
}
