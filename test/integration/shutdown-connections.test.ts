/** Connections that keep a server from closing, and what else may go wrong when it goes away. */
import { once } from 'node:events'
import {
  Agent,
  createServer,
  get,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer, get as getTls, Agent as TlsAgent } from 'node:https'
import { connect, createServer as createTcpServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { gracefulShutdown, overloadGuard, type ShutdownOptions } from 'holdfast/server'
import { afterEach, describe, expect, it } from 'vitest'
import { hangs } from '../support/calls.ts'
import { selfSigned } from '../support/certificate.ts'
import { dial, endAll, head, listen, until } from '../support/connections.ts'

afterEach(endAll)

/** Without signals: those are for processes of their own. */
const leaving = (server: Server, options: ShutdownOptions = {}) =>
  gracefulShutdown(server, { signals: [], timeout: 20_000, ...options })

/** A server that answers when the test says so. */
function holding() {
  const held: ServerResponse[] = []
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    if (request.url === '/hold') held.push(response)
    else response.end('ok')
  })
  return { held, server }
}

describe('a server that goes away', () => {
  it('closes a connection that was kept alive as soon as its last request is answered', async () => {
    const { held, server } = holding()
    const shutdown = leaving(server)
    const port = await listen(server)
    const agent = new Agent({ keepAlive: true })
    const asked = get({ port, agent, path: '/hold' })
    await until(() => expect(held).toHaveLength(1))

    const report = shutdown.begin()
    held[0]?.end('done')
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    await once(answer.resume(), 'end')

    expect(await report).toMatchObject({ graceful: true })
    expect((await report).duration).toBeLessThan(10_000)
    agent.destroy()
  })

  it('serves until the delay has passed, and lets each connection go with its next answer', async () => {
    const { server } = holding()
    const guard = overloadGuard()
    const shutdown = leaving(server, { guard, delay: 3_000 })
    const port = await listen(server)
    const { socket, heard } = dial(port)
    socket.write(head('/'))
    await until(() => expect(heard()).toContain('keep-alive'))
    expect(shutdown.closing).toBe(false)

    const report = shutdown.begin()
    socket.write(head('/'))
    await once(socket, 'close')

    expect([shutdown.closing, guard.closing]).toEqual([true, false])
    expect(heard()).toMatch(/ok$/)
    expect(heard()).toContain('onnection: close')
    expect(await report).toMatchObject({ graceful: true })
    expect(guard.closing).toBe(true)
  })

  it('cuts no answer off that is still on its way to a slow reader', async () => {
    const size = 20_000_000
    let isWritten = false
    const server = createServer((_request, response) => {
      response.end(Buffer.alloc(size))
      isWritten = true
    })
    const shutdown = leaving(server)
    const port = await listen(server)
    const socket = connect(port, '127.0.0.1').pause()
    socket.write(head('/'))
    await until(() => expect(isWritten).toBe(true))

    const report = shutdown.begin()
    // Twice as long as it takes to look for idle connections again.
    await pause(100)
    let taken = 0
    for await (const chunk of socket) taken += (chunk as Buffer).length

    expect(taken).toBeGreaterThan(size)
    expect(await report).toMatchObject({ graceful: true })
  })

  it('may speak TLS', async () => {
    const { key, certificate } = selfSigned()
    const server = createTlsServer({ key, cert: certificate }, (_request, response) => {
      response.end('secret')
    })
    const shutdown = leaving(server)
    const port = await listen(server)
    const agent = new TlsAgent({ keepAlive: true, ca: certificate })
    const asked = getTls({ port, agent, host: 'localhost', family: 4 })
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    await once(answer.resume(), 'end')

    expect(await shutdown.begin()).toMatchObject({ graceful: true })
    agent.destroy()
  })

  it('cuts upgraded connections in the end, and goes on', async () => {
    const { server } = holding()
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
    })
    let closed = 0
    const shutdown = leaving(server, { timeout: 50, onClosed: () => closed++ })
    const port = await listen(server)
    const { socket, statuses } = dial(port)
    socket.write(head('/', 'Upgrade: x\r\nConnection: Upgrade\r\n'))
    await until(() => expect(statuses()).toEqual(['101']))
    const ended = once(socket, 'close')

    expect(await shutdown.begin()).toMatchObject({ graceful: false })

    await ended
    expect([closed, server.listening]).toEqual([1, false])
  })

  it('waits for no connection for ever, not even for one that it does not know', async () => {
    const { server } = holding()
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
    })
    const port = await listen(server)
    const { socket, statuses } = dial(port)
    socket.write(head('/', 'Upgrade: x\r\nConnection: Upgrade\r\n'))
    await until(() => expect(statuses()).toEqual(['101']))

    expect(await leaving(server, { timeout: 20 }).begin()).toMatchObject({ graceful: false })
  })

  it('goes away once, however often it is told, and says so to everybody', async () => {
    const { server } = holding()
    let closed = 0
    const shutdown = leaving(server, { onClosed: () => closed++ })
    await listen(server)

    const reports = await Promise.all([shutdown.begin(), shutdown.begin(), shutdown.done])

    expect(new Set(reports).size).toBe(1)
    expect(await shutdown.begin()).toBe(reports[0])
    expect(closed).toBe(1)
  })

  it('may never have listened, or be closed already', async () => {
    expect(await leaving(createServer()).begin()).toMatchObject({ graceful: true })
    const { server } = holding()
    await listen(server)
    server.close()
    await once(server, 'close')

    expect(await leaving(server).begin()).toMatchObject({ graceful: true })
  })

  it.each([
    [
      'a guard that throws',
      {
        guard: {
          close: () => {
            throw new Error('stuck')
          },
        },
      },
      /stuck/,
    ],
    ['an end that rejects', { onClosed: () => Promise.reject(new Error('stuck')) }, /stuck/],
    [
      'an end that throws',
      {
        onClosed: () => {
          throw new Error('stuck')
        },
      },
      /stuck/,
    ],
    ['an end that hangs', { onClosed: hangs, timeout: 20 }, /not done within 20 ms/],
  ])('reports %s, and is over', async (_what, options, message) => {
    const { server } = holding()
    await listen(server)

    const { error } = await leaving(server, options).begin()

    expect(String(error)).toMatch(message)
    expect(server.listening).toBe(false)
  })

  it.each([
    [{ signals: ['SIGKILL'] }, RangeError],
    [{ signals: ['SIGTERM', 'SIGSTOP'] }, RangeError],
    [{ signals: ['sigterm'] }, RangeError],
    [{ signals: [15] }, TypeError],
    [{ signals: 'SIGTERM' }, TypeError],
    [{ guard: {} }, TypeError],
    [{ delay: -1 }, RangeError],
    [{ timeout: Number.NaN }, RangeError],
    [{ onClosed: 1 }, TypeError],
    [{ onClose: () => {} }, TypeError],
  ])('cannot be asked with %o, and leaves no handler behind', (options, kind) => {
    const before = process.listenerCount('SIGTERM')

    expect(() => gracefulShutdown(createServer(), options as never)).toThrow(kind)
    expect(() => gracefulShutdown(createTcpServer() as never)).toThrow(TypeError)

    expect(process.listenerCount('SIGTERM')).toBe(before)
  })

  it('takes its signal handlers back', () => {
    const before = [process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')]
    const shutdown = gracefulShutdown(createServer())
    shutdown.cancel()

    expect([process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')]).toEqual(before)
  })
})
