/** The same small application on node:http, Express, Fastify and Hono, behind a guard. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type HttpBindings, serve } from '@hono/node-server'
import express, { type Request, type Response } from 'express'
import fastify from 'fastify'
import type { OverloadGuard } from 'holdfast/server'
import { Hono } from 'hono'

/** What the application does for a path; gets the body of a POST. */
export type Application = (path: string, body: string) => Promise<string>

export interface Website {
  readonly url: string
  readonly server: Server
  close(): Promise<void>
}

type Start = (guard: OverloadGuard, app: Application) => Promise<Server>

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const startNode: Start = async (guard, app) => {
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      response.end(await app(request.url ?? '', await bodyOf(request)))
    } catch {
      response.writeHead(500).end('broken')
    }
  }
  return createServer(guard.wrap(guard.wrap(handle)))
}

const startExpress: Start = async (guard, app) => {
  const website = express()
  website.use(guard.express(), guard.express(), express.text())
  website.use(async (request: Request, response: Response) => {
    response.send(await app(request.url, typeof request.body === 'string' ? request.body : ''))
  })
  website.use((_error: unknown, _request: unknown, response: Response, _next: unknown) => {
    response.status(500).send('broken')
  })
  return createServer(website)
}

const startFastify: Start = async (guard, app) => {
  const website = fastify({ forceCloseConnections: true })
  await website.register(guard.fastify() as never)
  website.all('/*', async (request) => app(request.url, String(request.body ?? '')))
  await website.ready()
  return website.server
}

const startHono: Start = async (guard, app) => {
  const website = new Hono<{ Bindings: HttpBindings }>()
  website.use(guard.hono() as never, guard.hono() as never)
  website.all('*', async (context) => {
    return context.text(await app(context.req.path, await context.req.text()))
  })
  website.onError((_error, context) => context.text('broken', 500))
  return serve({ fetch: website.fetch, port: 0, hostname: '127.0.0.1' }) as Server
}

export const FRAMEWORKS: Readonly<Record<string, Start>> = {
  'node:http': startNode,
  Express: startExpress,
  Fastify: startFastify,
  Hono: startHono,
}

/** Starts it on a free port. */
export async function startWebsite(
  framework: string,
  guard: OverloadGuard,
  app: Application,
): Promise<Website> {
  const server = await (FRAMEWORKS[framework] as Start)(guard, app)
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    async close() {
      guard.close()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
