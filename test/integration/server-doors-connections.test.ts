/** What goes wrong with connections and handlers behind a guard, on node:http. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { remainingTime } from 'holdfast/node'
import { type GuardedRequest, overloadGuard } from 'holdfast/server'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { rejection } from '../support/calls.ts'
import { dial, endAll, ending, head, idle, listen, until } from '../support/connections.ts'

afterEach(endAll)

/** A server that holds `/hold` until the test answers it. */
async function holding(options: Parameters<typeof overloadGuard>[0] = {}) {
  const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 0, ...options })
  const held: ServerResponse[] = []
  const seen: string[] = []
  const handle = guard.wrap((request, response) => {
    seen.push(`${request.url} ${remainingTime()}`)
    if (request.url === '/hold') held.push(response)
    else response.end('ok')
  })
  const server = createServer(handle)
  return { guard, held, seen, handle, server, port: await listen(server) }
}

describe('a connection', () => {
  it('that breaks under pipelined requests gives the slot of each back, also of those not begun', async () => {
    const { guard, held, port, seen } = await holding({ maxConcurrent: 2, maxQueue: 5 })
    const { socket } = dial(port)
    socket.write(head('/hold').repeat(2) + head('/third'))
    await until(() => expect(guard.stats()).toMatchObject({ running: 2, queued: 1 }))

    socket.destroy()

    await idle(guard)
    for (const response of held) response.end('late')
    expect(seen).toHaveLength(2)
    expect(guard.stats().running).toBe(0)
  })

  it('carries many pipelined requests without a warning, and gives back each slot once', async () => {
    const warned = vi.fn()
    process.on('warning', warned)
    const { guard, held, port } = await holding({ maxConcurrent: 30 })
    const { socket, statuses } = dial(port)
    socket.write(head('/hold').repeat(30))
    await until(() => expect(held).toHaveLength(30))

    for (const response of [...held].reverse()) response.end('x')

    await until(() => expect(statuses()).toHaveLength(30))
    await idle(guard)
    await pause(1)
    process.off('warning', warned)
    expect(warned).not.toHaveBeenCalled()
  })

  it('brings no deadline of one request to the next', async () => {
    const { seen, port } = await holding({ maxConcurrent: 9 })
    const { socket, statuses } = dial(port)
    const hasty = 'x-deadline-ms: 5000\r\n'
    socket.write(head('/a', hasty) + head('/b') + head('/c', hasty))
    await until(() => expect(statuses()).toHaveLength(3))
    socket.write(head('/d'))
    await until(() => expect(statuses()).toHaveLength(4))

    expect([seen[1], seen[3]]).toEqual(['/b Infinity', '/d Infinity'])
    expect(seen[2]).toMatch(/^\/c [345]\d{3}/)
  })

  it('goes on after a refused upload, which was not read by anybody', async () => {
    const { guard, held, port, seen } = await holding()
    dial(port).socket.write(head('/hold'))
    await until(() => expect(held).toHaveLength(1))
    const { socket, statuses } = dial(port)
    socket.write('POST /up HTTP/1.1\r\nHost: a\r\ncontent-length: 3000000\r\n\r\n')
    await until(() => expect(statuses()).toEqual(['503']))
    socket.write(Buffer.alloc(3_000_000))
    held[0]?.end()
    await idle(guard)

    socket.write(head('/next'))

    await until(() => expect(statuses()).toEqual(['503', '200']))
    expect(seen.map((line) => line.split(' ')[0])).toEqual(['/hold', '/next'])
  })

  it('is not told to send what will be refused, and ends then', async () => {
    const { handle, held, server, port } = await holding()
    server.on('checkContinue', handle)
    dial(port).socket.write(head('/hold'))
    await until(() => expect(held).toHaveLength(1))
    const { socket, statuses } = dial(port)
    const ended = once(socket, 'close')

    socket.write('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\ncontent-length: 9\r\n\r\n')

    await ended
    expect(statuses()).toEqual(['503'])
  })

  it('that asks for the head alone gets no body of a refusal', async () => {
    const { held, port } = await holding()
    dial(port).socket.write(head('/hold'))
    await until(() => expect(held).toHaveLength(1))
    const { socket, heard, statuses } = dial(port)
    socket.write(head('/').replace('GET', 'HEAD').repeat(2))

    await until(() => expect(statuses()).toEqual(['503', '503']))
    expect(heard()).toMatch(/content-length: \d+/)
    expect(heard()).not.toContain('ERR_OVERLOADED')
  })

  it('that breaks during an upload gives the slot back', async () => {
    const guard = overloadGuard()
    const server = createServer(
      guard.wrap(async (request: IncomingMessage, response) => {
        for await (const _chunk of request);
        response.end()
      }),
    )
    const port = await listen(server)
    const uncaught = new Promise((resolve) => {
      const others = process.listeners('unhandledRejection')
      process.removeAllListeners('unhandledRejection')
      process.once('unhandledRejection', (error) => {
        for (const other of others) process.on('unhandledRejection', other)
        resolve(error)
      })
    })
    const { socket } = dial(port)
    socket.write('POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 100\r\n\r\nhalf')
    await until(() => expect(guard.stats().running).toBe(1))

    socket.destroy()

    await idle(guard)
    // As without a guard: what the handler rejects with is not swallowed.
    expect(await uncaught).toMatchObject({ message: 'aborted' })
  })
})

describe('a request that is strange', () => {
  it('is seen as it came: its address in any form, a header that came twice', async () => {
    const asked: string[] = []
    const exempt = ({ method, url, header }: GuardedRequest): boolean =>
      asked.push(`${method} ${url} ${header('x-tag')}`) > 0
    const { port } = await holding({ exempt })
    const { socket, statuses } = dial(port)
    const more = '\r\nHost: a\r\nX-Tag: one\r\nx-tag: two\r\n\r\n'
    for (const first of ['OPTIONS *', 'GET http://other.test', 'GET http://other.test?a=1']) {
      socket.write(`${first} HTTP/1.1${more}`)
    }
    await until(() => expect(statuses()).toHaveLength(3))

    expect(asked).toEqual(['OPTIONS * one, two', 'GET / one, two', 'GET /?a=1 one, two'])
  })

  it('is not begun when its connection has gone before the guard sees it', async () => {
    const { guard, handle, seen } = await holding()
    const came = vi.fn()
    const later = createServer((request, response) => {
      response.once('close', () => {
        came()
        handle(request, response)
      })
    })
    const { socket } = dial(await listen(later))
    socket.write(head('/hold'))
    await once(later, 'request')
    socket.destroy()
    await until(() => expect(came).toHaveBeenCalled())

    expect([seen, guard.stats().admitted, guard.stats().running]).toEqual([[], 0, 0])
  })

  it('that was answered by somebody before is not answered again when it is refused', async () => {
    const { guard, handle } = await holding()
    guard.close()
    const port = await listen(
      createServer((request, response) => {
        response.end('mine')
        handle(request, response)
      }),
    )
    const answer = await fetch(`http://127.0.0.1:${port}/`)

    expect([answer.status, await answer.text()]).toEqual([200, 'mine'])
  })
})

describe('a handler', () => {
  it.each(['at once', 'after a wait'])('that rejects %s is known to the server', async (when) => {
    const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 1 })
    let first: ServerResponse | undefined
    const handle = guard.wrap(async (request, response) => {
      if (request.url === '/hold') first = response
      else throw new Error('down')
    })
    // What `captureRejections` does: it answers 500 by what the listener gives back.
    const port = await listen(
      createServer((request, response) => {
        Promise.resolve(handle(request, response)).catch(() => response.writeHead(500).end())
      }),
    )
    const { socket } = dial(port)
    if (when === 'after a wait') {
      socket.write(head('/hold'))
      await until(() => expect(first).toBeDefined())
    }

    const answer = fetch(`http://127.0.0.1:${port}/`)
    if (when === 'after a wait') await until(() => expect(guard.stats().queued).toBe(1))
    first?.end()

    expect((await answer).status).toBe(500)
    await idle(guard)
  })

  it('that rejects and never answers holds no slot', async () => {
    const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 0 })
    const handle = guard.wrap(() => Promise.reject(new Error('down')))
    const seen: unknown[] = []
    const port = await listen(
      createServer((request, response) => {
        Promise.resolve(handle(request, response)).catch((error) => seen.push(error))
      }),
    )
    for (let n = 0; n < 3; n++) dial(port).socket.write(head('/'))

    await until(() => expect(seen).toHaveLength(3))
    expect(guard.stats()).toMatchObject({ running: 0, admitted: 3 })
  })

  it('is not waited for when a refused request was answered in part by somebody before', async () => {
    const guard = overloadGuard()
    guard.close()
    const door = guard.express()
    const port = await listen(
      createServer((request, response) => {
        response.write('begun')
        door(request, response, () => response.end())
      }),
    )

    const answer = fetch(`http://127.0.0.1:${port}/`).then((begun) => begun.text())

    expect(await rejection(answer)).toBeInstanceOf(TypeError)
  })
})

describe('a process under pressure', () => {
  const program = fileURLToPath(new URL('../support/pressed-child.mjs', import.meta.url))
  // The limit of a heap counts its young generation, whose default differs between the Node lines.
  const heapOf64 = ['--max-old-space-size=64', '--max-semi-space-size=16', '--expose-gc']

  it.each([
    ['loop', []],
    ['heap', heapOf64],
  ])(
    'of its %s refuses all but the important, recovers, and exits by itself',
    async (kind, flags) => {
      const child = ending(fork(program, [kind], { execArgv: flags, stdio: 'inherit' }))
      const exit = once(child, 'exit')
      const [report] = await once(child, 'message')

      expect(report).toMatchObject({
        before: 'ok',
        during: ['pressure'],
        spared: 'ok',
        after: 'ok',
      })
      expect((await exit)[0]).toBe(0)
    },
  )
})
