/** A raw connection to a server, and an end to everything that a test has begun. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { OverloadGuard } from 'holdfast/server'
import { expect, vi } from 'vitest'

const servers: Server[] = []
const sockets: Socket[] = []
const children: ChildProcess[] = []

/** For `afterEach`. */
export async function endAll(): Promise<void> {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
  for (const server of servers.splice(0)) {
    if (!server.listening) continue
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
}

export function ending(child: ChildProcess): ChildProcess {
  children.push(child)
  return child
}

/** Its port. */
export async function listen(server: Server): Promise<number> {
  servers.push(server)
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

export interface Dialled {
  readonly socket: Socket
  heard(): string
  statuses(): string[]
}

export function dial(port: number): Dialled {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  socket.on('error', () => {})
  const statuses = () =>
    [...heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => String(status))
  return { socket, heard: () => heard, statuses }
}

/** The head of a GET request. */
export function head(path: string, more: string = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
}

export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 20_000, interval: 5 })
}

/** Nobody holds a slot, and nobody stands in line. */
export function idle(guard: OverloadGuard): Promise<void> {
  return until(() => expect(guard.stats()).toMatchObject({ running: 0, queued: 0 }))
}
