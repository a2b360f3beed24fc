/**
 * When a request is over on Node: its response has been handed over, or its connection has gone. One event
 * says both, for all responses but those that are still behind another one on the same connection.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Calls back once it is over, perhaps twice; the answer stops that. Ask `isOver` first. */
export function onOver(
  request: IncomingMessage,
  response: ServerResponse,
  callback: () => void,
): () => void {
  response.on('close', callback)
  const forget = response.socket === null ? onCut(request, callback) : undefined
  return () => {
    response.off('close', callback)
    forget?.()
  }
}

/** Calls back once it is over, perhaps twice; there is nothing to stop. */
export function onceOver(
  request: IncomingMessage,
  response: ServerResponse,
  callback: () => void,
): void {
  // A response goes, and all that listens to it; a connection stays.
  if (response.socket !== null) return void response.on('close', callback)
  const forget = onOver(request, response, () => {
    forget()
    callback()
  })
}

/** It will not be told any more. */
export function isOver(request: IncomingMessage, response: ServerResponse): boolean {
  // Of HTTP/2 the compatibility API: its responses know of their stream only.
  const { stream } = response as { readonly stream?: { readonly destroyed?: boolean } }
  return (
    response.destroyed === true || request.socket?.destroyed === true || stream?.destroyed === true
  )
}

/** One listener for all that wait on a connection: pipelined requests may be many. */
const waiting = new WeakMap<object, Set<() => void>>()

function onCut({ socket }: IncomingMessage, callback: () => void): (() => void) | undefined {
  if (typeof socket?.once !== 'function') return undefined
  const known = waiting.get(socket)
  const callbacks = known ?? new Set()
  // A function of its own: the same callback may be given twice.
  const entry = (): void => callback()
  callbacks.add(entry)
  if (known === undefined) {
    waiting.set(socket, callbacks)
    socket.once('close', () => {
      for (const each of [...callbacks]) each()
    })
  }
  return () => callbacks.delete(entry)
}
