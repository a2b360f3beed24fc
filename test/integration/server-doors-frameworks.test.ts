/** A guard among other people's middleware, and where there is no Node. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type HttpBindings, serve } from '@hono/node-server'
import express, { type Response as ExpressResponse } from 'express'
import fastify from 'fastify'
import { remainingTime } from 'holdfast/node'
import { type OverloadGuard, overloadGuard } from 'holdfast/server'
import { Hono } from 'hono'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { rejection } from '../support/calls.ts'
import { dial, endAll, head, idle, listen, until } from '../support/connections.ts'

afterEach(endAll)

describe('in frameworks', () => {
  it('the path is the whole path, wherever the guard is mounted', async () => {
    const asked: string[] = []
    const exempt = ({ url }: { url: string }) => asked.push(url) > 0
    const app = express()
    const inner = express()
    inner.use(
      overloadGuard({ exempt }).express(),
      (_request: unknown, response: ExpressResponse) => {
        response.send('ok')
      },
    )
    app.use('/api', inner)
    const port = await listen(createServer(app))
    await (await fetch(`http://127.0.0.1:${port}/api/a?b=1`)).text()
    const { socket, statuses } = dial(port)
    socket.write(head('http://other.test/api/c?d=2'))
    await until(() => expect(statuses()).toEqual(['200']))
    const hono = new Hono().use(overloadGuard({ exempt }).hono() as never)
    await hono.request('http://a.test/api/e?f=3')

    expect(asked).toEqual(['/api/a?b=1', '/api/c?d=2', '/api/e?f=3'])
  })

  it('two guards in a row each count a request once, and both let go', async () => {
    const [outer, inner] = [overloadGuard(), overloadGuard({ maxConcurrent: 1, maxQueue: 0 })]
    const app = express()
    const router = express()
    router.use(inner.express(), () => {
      throw new Error('broken')
    })
    app.use(outer.express(), router)
    app.use((_error: unknown, _request: unknown, response: ExpressResponse, _next: unknown) => {
      response.status(500).send('handled')
    })
    const port = await listen(createServer(app))
    for (let n = 0; n < 3; n++) {
      const answer = await fetch(`http://127.0.0.1:${port}/broken`)
      expect([answer.status, await answer.text()]).toEqual([500, 'handled'])
      await Promise.all([idle(outer), idle(inner)])
    }

    expect([outer.stats().admitted, inner.stats().admitted]).toEqual([3, 3])
  })

  it('Fastify lets go of requests that are injected, hijacked and refused, and runs its hooks', async () => {
    const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 0 })
    const app = fastify()
    await app.register(guard.fastify() as never)
    const answered: number[] = []
    app.addHook('onResponse', async (_request, reply) => {
      answered.push(reply.raw.statusCode)
    })
    await app.register(async (inner) => {
      inner.get('/a', async () => 'a')
      inner.get('/hijack', (_request, reply) => {
        reply.hijack()
        reply.raw.end('mine')
      })
    })
    for (const path of ['/a', '/hijack', '/a']) {
      expect((await app.inject(path)).statusCode).toBe(200)
      await idle(guard)
    }
    guard.close()
    const refused = await app.inject('/a')

    expect([refused.statusCode, refused.json().error.reason]).toEqual([503, 'closing'])
    expect(answered).toEqual([200, 200, 200, 503])
    await app.close()
  })

  it('Hono lets go when the caller went away before its turn at the guard', async () => {
    const guard = overloadGuard()
    let arrived = () => {}
    const here = new Promise<void>((resolve) => {
      arrived = resolve
    })
    let isGone = false
    const app = new Hono<{ Bindings: HttpBindings }>()
    app.use(async ({ env }, next) => {
      arrived()
      await once(env.outgoing, 'close')
      isGone = true
      await next()
    })
    app.use(guard.hono() as never)
    app.get('/', (context) => context.text('x'))
    const port = await listen(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server)
    const { socket } = dial(port)
    socket.write(head('/'))
    await here

    socket.destroy()

    await until(() => expect(isGone).toBe(true))
    await idle(guard)
  })
})

describe('HTTP/2', () => {
  it('lets go of streams that were reset, in work and in line, and refuses without a warning', async () => {
    const warned = vi.fn()
    process.on('warning', warned)
    const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 1 })
    const server = createHttp2Server(
      guard.wrap((request, response) => {
        if (request.url !== '/hold') response.end(String(remainingTime()))
      }) as never,
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const ask = (path: string, headers: Record<string, string> = {}) =>
      session.request({ ':path': path, ...headers }).on('error', () => {})
    const [working, standing] = [ask('/hold'), ask('/')]
    await until(() => expect(guard.stats()).toMatchObject({ running: 1, queued: 1 }))

    standing.close(constants.NGHTTP2_CANCEL)
    await until(() => expect(guard.stats()).toMatchObject({ queued: 0, disconnected: 1 }))
    working.close(constants.NGHTTP2_CANCEL)
    await idle(guard)
    const left = Number(await text(ask('/', { 'x-deadline-ms': '5000' })))
    guard.close()
    const refused = JSON.parse(await text(ask('/')))

    expect(left).toBeLessThanOrEqual(5_000)
    expect(refused.error.reason).toBe('closing')
    expect(warned).not.toHaveBeenCalled()
    process.off('warning', warned)
    session.close()
    server.close()
    await once(server, 'close')
  })
})

describe('Hono without Node', () => {
  const build = (guard: OverloadGuard, outer = overloadGuard()) => {
    const app = new Hono()
    app.use(outer.hono() as never, guard.hono() as never)
    app.use(async (context, next) => {
      context.req.raw = new Request(context.req.raw)
      await next()
    })
    app.use(guard.hono() as never)
    app.get('/hold', async (context) => {
      await once(context.req.raw.signal, 'abort')
      return context.text('late')
    })
    app.onError((_error, context) => context.text('broken', 500))
    app.get('/broken', () => {
      throw new Error('broken')
    })
    app.get('/stream', () => new Response(new Blob(['a', 'b']).stream()))
    return app
  }

  it.each([undefined, null, {}, { outgoing: 'a binding', incoming: {} }])(
    'works with an environment of %o',
    async (env) => {
      const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 0 })
      const app = build(guard)

      expect(await (await app.request('/stream', {}, env as never)).text()).toBe('ab')
      expect((await app.request('/broken', {}, env as never)).status).toBe(500)

      expect(guard.stats()).toMatchObject({ running: 0, admitted: 2 })
    },
  )

  it('lets go when the rest cannot even begin', async () => {
    const guard = overloadGuard({ maxConcurrent: 1, maxQueue: 0 })
    const down = new Error('down')
    const req = { method: 'GET', url: 'http://a.test', raw: {} as Request, header: () => undefined }

    const fails = (error: Promise<void>) =>
      guard.hono()({ req: { ...req }, env: {} }, () => error) as Promise<unknown>

    expect(await rejection(fails(Promise.reject(down)))).toBe(down)
    expect(guard.stats()).toMatchObject({ running: 0, admitted: 1 })
  })

  it('lets go of whoever leaves the line, at the guards before it too', async () => {
    const [outer, guard] = [overloadGuard(), overloadGuard({ maxConcurrent: 1, maxQueue: 1 })]
    const app = build(guard, outer)
    const [one, two] = [new AbortController(), new AbortController()]
    const first = app.request('/hold', { signal: one.signal })
    const second = app.request('/hold', { signal: two.signal })
    await until(() => expect(guard.stats()).toMatchObject({ running: 1, queued: 1 }))

    two.abort()

    expect((await second).status).toBe(499)
    expect([outer.stats().running, guard.stats().disconnected]).toEqual([1, 1])
    one.abort()
    await first
    expect([outer.stats().running, guard.stats().running]).toEqual([0, 0])
    expect((await app.request('/stream', { signal: one.signal })).status).toBe(499)
  })
})
