/** What `resilientFetch` gives is what `fetch` gives: each thing is done to both, and compared. */

import { resilientFetch } from 'holdfast/fetch'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  always,
  type Behaviour,
  type HostileServer,
  hostileServer,
  respond,
} from '../support/hostile-server.ts'

const form = ['--x', 'content-disposition: form-data; name="a"', '', '1', '--x--', ''].join('\r\n')

const behaviours: Record<string, Behaviour> = {
  '/json': always(200, '{"a":[1,2]}', { 'content-type': 'application/json', 'x-own': 'yes' }),
  '/empty': always(204),
  '/none': always(200),
  '/missing': always(404, 'no such thing'),
  '/form': always(200, form, { 'content-type': 'multipart/form-data; boundary=x' }),
  '/large': always(200, Buffer.alloc(300_000, 'abc')),
  '/not-json': always(200, 'not json'),
  '/redirect': always(302, '', { location: '/json' }),
  '/echo': (request) => respond(request, 200, `${request.method} ${request.body}`),
  '/chunked': ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    for (const part of ['one ', 'two ', 'three']) {
      socket.write(`${part.length.toString(16)}\r\n${part}\r\n`)
    }
    socket.write('0\r\n\r\n')
  },
}

let server: HostileServer

beforeAll(async () => {
  server = await hostileServer(behaviours)
})
afterAll(() => server.close())

type Use = (response: Response) => unknown

const bytesOf = (buffer: ArrayBuffer): string => Buffer.from(buffer).toString('latin1')

async function collect(stream: ReadableStream<Uint8Array> | null): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of stream ?? []) pieces.push(piece)
  return Buffer.concat(pieces).toString('latin1')
}

async function outcome(use: Use, response: Response): Promise<unknown> {
  try {
    return await use(response)
  } catch (error) {
    return `${(error as Error).constructor.name}: ${(error as Error).message}`
  }
}

const uses: Record<string, Use> = {
  'its text': (response) => response.text(),
  'its JSON': (response) => response.json(),
  'its bytes as a buffer': async (response) => bytesOf(await response.arrayBuffer()),
  'its bytes': async (response) =>
    'bytes' in response
      ? bytesOf(
          (await (response as unknown as { bytes(): Promise<Uint8Array> }).bytes()).slice().buffer,
        )
      : undefined,
  'its blob': async (response) => {
    const blob = await response.blob()
    return [blob.type, blob.size, await blob.text()]
  },
  'its form': async (response) => [...(await response.formData())],
  'its stream': (response) => collect(response.body),
  'its stream by hand': async (response) => {
    const reader = response.body?.getReader()
    let size = 0
    for (;;) {
      const piece = await reader?.read()
      if (piece === undefined || piece.done) break
      size += piece.value.byteLength
    }
    await reader?.closed
    return size
  },
  'its stream into a given buffer': async (response) => {
    const reader = response.body?.getReader({ mode: 'byob' })
    const piece = await reader?.read(new Uint8Array(4))
    await reader?.cancel()
    return piece?.value?.byteLength
  },
  'its stream through another': async (response) =>
    collect(response.body?.pipeThrough(new TransformStream()) ?? null),
  'its stream in two': async (response) => {
    const [one, other] = response.body?.tee() ?? []
    return [await collect(one ?? null), await collect(other ?? null)]
  },
  'its stream, cancelled': async (response) => {
    await response.body?.cancel()
    return [response.bodyUsed, response.body?.locked]
  },
  'its text and that of its clone': async (response) => {
    const clone = response.clone()
    return [await clone.text(), await response.text(), clone.url === response.url]
  },
  'a clone after its stream was looked at': async (response) => {
    const { body } = response
    const clone = response.clone()
    return [body === null, await response.text(), await clone.text()]
  },
  'a clone of a clone': async (response) => {
    const clone = response.clone().clone()
    const { status, ok, redirected, type, headers, url } = clone
    const head = [status, ok, redirected, type, headers.get('x-own'), new URL(url).pathname]
    return [head, await clone.text(), clone.bodyUsed, response.bodyUsed]
  },
  'its text twice': async (response) => [await response.text(), await response.text()],
  'a clone after it was read': async (response) => [await response.text(), response.clone().status],
  'its stream after it was read': async (response) => {
    await response.text()
    return [response.bodyUsed, response.body?.locked, response.body === null]
  },
  'its stream while it is read': async (response) => {
    const text = response.text()
    const seen = [response.bodyUsed, response.body?.locked]
    return [seen, await text]
  },
  'the same stream each time': (response) => {
    const { body, bodyUsed } = response
    return [response.body === body, bodyUsed, body?.locked]
  },
  'its head': ({ status, statusText, ok, redirected, type, url, headers, bodyUsed }) => [
    ...[status, statusText, ok, redirected, type, new URL(url).pathname, bodyUsed],
    ...[[...headers].filter(([name]) => name !== 'date')],
  ],
  'its headers, which cannot be changed': (response) => response.headers.set('a', 'b'),
  'its class': (response) => [
    response instanceof Response,
    response.constructor === Response,
    Object.prototype.toString.call(response),
    Object.keys(response),
  ],
  'another response around its stream': (response) => new Response(response.body).text(),
}

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

const times: [when: string, wait: () => Promise<unknown>, options: object][] = [
  ['read at once', async () => undefined, {}],
  ['read later', later, {}],
  ['watched piece by piece', async () => undefined, { idleTimeout: 1_000 }],
]

describe.each(times)('a response that is %s', (_when, wait, options) => {
  const fetch = resilientFetch(options)
  const paths = Object.keys(behaviours).filter((path) => path !== '/echo')

  describe.each(paths)('from %s', (path) => {
    it.each(Object.entries(uses))('gives %s as fetch does', async (_what, use) => {
      const [expected, found] = await Promise.all(
        [globalThis.fetch, fetch].map(async (get) => {
          const response = await get(`${server.url}${path}`)
          await wait()
          return outcome(use, response)
        }),
      )
      expect(found).toEqual(expected)
    })
  })
})

describe('a request', () => {
  const fetch = resilientFetch()
  const stream = (): ReadableStream =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('streamed'))
        controller.close()
      },
    })
  const url = (path = '/echo'): string => `${server.url}${path}`
  const requests: Record<string, () => [string | URL | Request, RequestInit?]> = {
    'an address': () => [url()],
    'a URL': () => [new URL(url())],
    'a Request': () => [new Request(url())],
    'a Request with a body': () => [new Request(url(), { method: 'PUT', body: 'text' })],
    'a Request and other options': () => [
      new Request(url(), { method: 'PUT', body: 'text' }),
      { method: 'POST', body: 'other' },
    ],
    'a Request that was used': () => {
      const request = new Request(url(), { method: 'PUT', body: 'text' })
      request.text()
      return [request]
    },
    'a stream': () => [url(), { method: 'PUT', body: stream(), duplex: 'half' } as RequestInit],
    'a stream without its duplex': () => [url(), { method: 'PUT', body: stream() }],
    text: () => [url(), { method: 'PUT', body: 'text' }],
    'text with a key': () => [
      url(),
      { method: 'POST', body: 'text', headers: { 'idempotency-key': '1' } },
    ],
    parameters: () => [url(), { method: 'PUT', body: new URLSearchParams({ a: '1' }) }],
    bytes: () => [url(), { method: 'PUT', body: new Uint8Array([65, 66, 67]).subarray(1) }],
    'a buffer': () => [url(), { method: 'PUT', body: new Uint8Array([65, 66]).buffer }],
    'a blob': () => [url(), { method: 'PUT', body: new Blob(['blob'], { type: 'text/plain' }) }],
    'a body on GET': () => [url(), { body: 'text' }],
    'a method that is none': () => [url(), { method: 'A B' }],
    'a method in lower case': () => [url(), { method: 'patch', body: 'x' }],
    'a header that is none': () => [url(), { headers: { 'a b': '1' } }],
    'credentials in the address': () => ['http://a:b@127.0.0.1/'],
    'a data address': () => ['data:text/plain,hello'],
    'a scheme that is none': () => ['foo://bar'],
    'a redirect that is an error': () => [url('/redirect'), { redirect: 'error' }],
    'a redirect by hand': () => [url('/redirect'), { redirect: 'manual' }],
    'a redirect': () => [url('/redirect')],
    'an aborted signal': () => [url(), { signal: AbortSignal.abort(new RangeError('gone')) }],
    'no signal at all': () => [url(), { signal: null }],
  }

  it.each(Object.entries(requests))('that is %s is sent as fetch sends it', async (_what, make) => {
    const [expected, found] = await Promise.all(
      [globalThis.fetch, fetch].map((send) =>
        outcome(async () => {
          const response = await send(...make())
          const { status, redirected, type } = response
          return [status, redirected, type, await response.text()]
        }, new Response()),
      ),
    )
    expect(found).toEqual(expected)
  })
})
