/** Symptoms of HTTP clients (failures RT8, RT10, RT11, RT12, RT13, HT1, HT2, TO9, BH12), over a server that does its worst. */
import { resilientFetch } from 'holdfast/fetch'
import { afterEach, describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'
import {
  always,
  type Behaviour,
  breakages,
  brokenBodies,
  closeAfter,
  deadPort,
  drip,
  HEAD,
  type HostileServer,
  hostileServer,
  ok,
  respond,
  sequence,
  silentServer,
  stallAfter,
} from '../support/hostile-server.ts'
import { withoutNoise } from '../support/leaks.ts'

let server: HostileServer

async function serve(behaviours: Readonly<Record<string, Behaviour>>): Promise<HostileServer> {
  server = await hostileServer(behaviours)
  return server
}

afterEach(() => server?.close())

const quick = { retry: { baseDelay: 1, budget: undefined }, circuitBreaker: false } as const

describe('a request that is repeated although it may have taken effect', () => {
  const failures: Record<string, Behaviour> = {
    ...breakages,
    'an answer of 503': always(503, 'down'),
    'no answer in time': stallAfter(),
  }

  it.each(Object.entries(failures))('is not: POST after %s', async (_what, behaviour) => {
    const { url, count } = await serve({ '/': behaviour })
    const fetch = resilientFetch({ ...quick, attemptTimeout: 500 })

    await withoutNoise(async () => {
      await fetch(`${url}/`, { method: 'POST', body: 'pay' }).then(
        (response) => response.text(),
        () => undefined,
      )
    })
    expect(count('/')).toBe(1)
  })

  it.each(Object.entries(failures))(
    'is when its method allows it: PUT after %s',
    async (_what, behaviour) => {
      const { url, count, requests } = await serve({ '/': sequence(behaviour, behaviour, ok) })
      const fetch = resilientFetch({ ...quick, attemptTimeout: 500 })

      const response = await fetch(`${url}/`, { method: 'PUT', body: 'state' })

      expect(await response.text()).toBe('ok')
      expect(count('/')).toBe(3)
      expect(requests.map(({ body }) => body.toString())).toEqual(['state', 'state', 'state'])
    },
  )

  it.each(Object.entries(failures))(
    'is with a key, always the same: POST after %s',
    async (_what, behaviour) => {
      const { url, requests } = await serve({ '/': sequence(behaviour, ok) })
      const fetch = resilientFetch({ ...quick, attemptTimeout: 500, idempotencyKey: true })

      await (await fetch(`${url}/`, { method: 'POST', body: 'pay' })).text()
      await (await fetch(`${url}/`, { method: 'POST', body: 'pay' })).text()

      const keys = requests.map(({ headers }) => headers['idempotency-key'])
      expect(keys).toHaveLength(3)
      expect(keys[0]).toMatch(/^[\w-]{16,}$/)
      expect(keys[1]).toBe(keys[0])
      expect(keys[2]).not.toBe(keys[0])
    },
  )

  it('is when nothing could be sent: POST to a port that opens late', async () => {
    const port = await deadPort()
    let calls = 0
    const fetch = resilientFetch({
      ...quick,
      fetch: (input: string, init: RequestInit) => {
        const target = ++calls < 3 ? `http://127.0.0.1:${port}` : server.url
        return globalThis.fetch(new URL(new URL(input).pathname, target), init)
      },
    })
    const { url, requests } = await serve({})

    const response = await fetch(`${url}/`, { method: 'POST', body: 'pay' })

    expect(await response.text()).toBe('ok')
    expect(calls).toBe(3)
    expect(requests.map(({ body }) => body.toString())).toEqual(['pay'])
  })

  it('is when the caller says so, once or for all', async () => {
    const { url, count } = await serve({
      '/a': sequence(always(503), ok),
      '/b': sequence(always(503), ok),
    })
    const fetch = resilientFetch({ ...quick, idempotent: ({ url }) => url.pathname === '/b' })

    const one = await fetch(`${url}/a`, { method: 'POST', resilience: { idempotent: true } })
    const two = await fetch(`${url}/b`, { method: 'POST' })

    expect([one.status, two.status, count('/a'), count('/b')]).toEqual([200, 200, 2, 2])
  })
})

describe('a body', () => {
  const bodies: Record<string, () => NonNullable<RequestInit['body']>> = {
    text: () => 'täxt',
    bytes: () => new Uint8Array([1, 2, 3, 4]).subarray(1),
    'a buffer': () => new Uint8Array([5, 6]).buffer,
    parameters: () => new URLSearchParams({ a: '1 2' }),
    'a blob': () => new Blob(['blob']),
    'a form': () => {
      const form = new FormData()
      form.set('file', new Blob(['content']), 'name.txt')
      return form
    },
  }

  it.each(Object.entries(bodies))(
    'of %s is the same, byte for byte, with each attempt',
    async (_what, make) => {
      const { url, requests } = await serve({ '/': sequence(always(503), closeAfter(), ok) })
      const body = make()

      const pending = resilientFetch(quick)(`${url}/`, { method: 'PUT', body })
      if (body instanceof Uint8Array) body.fill(9)
      if (body instanceof URLSearchParams) body.set('a', 'changed')
      expect(await (await pending).text()).toBe('ok')

      expect(requests).toHaveLength(3)
      const [first, ...others] = requests
      expect(first?.body.length).toBeGreaterThan(1)
      expect(first?.body.includes('changed')).toBe(false)
      for (const other of others) {
        expect(other.body.equals(first?.body ?? Buffer.of())).toBe(true)
        expect(other.headers['content-type']).toBe(first?.headers['content-type'])
      }
    },
  )

  it('of a Request is sent again, and the Request is used up', async () => {
    const { url, requests } = await serve({ '/': sequence(always(503), ok) })
    const request = new Request(`${url}/`, { method: 'PUT', body: 'text' })

    expect(await (await resilientFetch(quick)(request)).text()).toBe('ok')

    expect(requests.map(({ body }) => body.toString())).toEqual(['text', 'text'])
    expect(request.bodyUsed).toBe(true)
  })

  const stream = (): ReadableStream => new Blob(['stream']).stream()
  const streams: Record<string, () => unknown> = {
    'a stream': stream,
    'an async iterable': async function* () {
      yield new TextEncoder().encode('stream')
    },
    'a large Request': () => new Blob([Buffer.alloc(2_000_000, 'x')]).stream(),
  }

  it.each(Object.entries(streams))('that is %s is sent once', async (what, make) => {
    const { url, requests } = await serve({ '/': always(503, 'down') })
    const init = { method: 'PUT', body: make(), duplex: 'half' } as RequestInit
    const input = what === 'a large Request' ? new Request(`${url}/`, init) : `${url}/`

    const response = await resilientFetch(quick)(input, input instanceof Request ? undefined : init)

    expect([response.status, await response.text()]).toEqual([503, 'down'])
    expect(requests).toHaveLength(1)
    expect(requests[0]?.body.length).toBe(what === 'a large Request' ? 2_000_000 : 6)
  })

  it('that is a stream is sent again if nobody has read from it', async () => {
    const { url, requests } = await serve({})
    let calls = 0
    const fetch = resilientFetch({
      ...quick,
      fetch: (input: string, init: RequestInit) => {
        const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
        if (++calls === 1) return Promise.reject(new TypeError('fetch failed', { cause: refused }))
        return globalThis.fetch(input, init)
      },
    })
    await fetch(`${url}/`, { method: 'POST', body: stream(), duplex: 'half' } as RequestInit)

    expect(requests.map(({ body }) => body.toString())).toEqual(['stream'])
  })
})

describe('an answer that nobody gets', () => {
  it('holds no connection: 50 times 503 with a large body, then success', async () => {
    const large = Buffer.alloc(1_000_000, 'x')
    const { url, connections } = await serve({
      '/': (request) => respond(request, request.nth <= 50 ? 503 : 200, large),
    })
    const fetch = resilientFetch({
      ...quick,
      retry: { baseDelay: 0, maxRetries: 60, budget: endless },
      bulkhead: { maxConcurrent: 1 },
    })

    const response = await fetch(`${url}/`)

    expect(response.status).toBe(200)
    expect((await response.arrayBuffer()).byteLength).toBe(large.length)
    // A server hears of a closed connection a little after the next one has come.
    expect(connections.most).toBeLessThanOrEqual(4)
  })

  it('gives its connection back if it is small', async () => {
    const { url, connections } = await serve({
      '/': sequence(...Array(5).fill(always(503, 'down')), ok),
    })

    const fetch = resilientFetch({
      ...quick,
      retry: { baseDelay: 5, maxRetries: 9, budget: endless },
    })
    expect(await (await fetch(`${url}/`)).text()).toBe('ok')

    expect(connections.all).toBe(1)
  })

  it('is let go before the pause, not after it', async () => {
    let closed = false
    const { url } = await serve({
      '/': sequence((request) => {
        request.socket.write(`HTTP/1.1 503 No\r\ncontent-length: 9000000\r\n\r\n${'x'.repeat(100)}`)
        request.socket.on('close', () => {
          closed = true
        })
      }, ok),
    })
    let closedDuringPause = false
    const fetch = resilientFetch({
      circuitBreaker: false,
      retry: {
        baseDelay: 1_500,
        jitter: 'none',
        beforeAttempt: () => {
          closedDuringPause = closed
        },
      },
    })

    await (await fetch(`${url}/`)).text()

    expect(closedDuringPause).toBe(true)
  })
})

const endless = {
  deposit: () => undefined,
  tryWithdraw: () => true,
  stats: () => ({ calls: 0, retries: 0, remaining: 1, refused: 0 }),
}

describe('the last answer', () => {
  it('is returned as it came, unread, whatever its status', async () => {
    const { url, count } = await serve({ '/': always(503, 'down', { 'x-why': 'load' }) })

    const response = await resilientFetch(quick)(`${url}/`)

    expect([response.status, response.headers.get('x-why'), response.bodyUsed]).toEqual([
      503,
      'load',
      false,
    ])
    expect(await response.text()).toBe('down')
    expect(count('/')).toBe(4)
  })

  it.each([400, 401, 403, 404, 409, 410, 418, 422, 501])(
    'of status %d is the first',
    async (status) => {
      const { url, count } = await serve({ '/': always(status) })
      expect((await resilientFetch(quick)(`${url}/`)).status).toBe(status)
      expect(count('/')).toBe(1)
    },
  )

  it.each([408, 429, 500, 502, 503, 504, 520, 599])(
    'of status %d is asked for again',
    async (status) => {
      const { url, count } = await serve({ '/': sequence(always(status), ok) })
      expect((await resilientFetch(quick)(`${url}/`)).status).toBe(200)
      expect(count('/')).toBe(2)
    },
  )
})

describe('a limit that ends with the head', () => {
  it.each([
    ['text', (response: Response) => response.text()],
    ['stream', (response: Response) => new Response(response.body).text()],
    ['text, read late', (response: Response) => later().then(() => response.text())],
  ])('does not: the total covers the %s', async (_how, read) => {
    const { url } = await serve({ '/': drip(10) })
    const fetch = resilientFetch({ timeout: 1_000, circuitBreaker: false })
    const began = performance.now()

    const error = await rejection(read(await fetch(`${url}/`)))

    expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(performance.now() - began).toBeLessThan(10_000)
    await until(allClosed)
  })

  it('does not: a piece that does not come within idleTimeout', async () => {
    const { url } = await serve({ '/': stallAfter(`${HEAD}half`) })
    const fetch = resilientFetch({ idleTimeout: 100, circuitBreaker: false })

    const error = await rejection(fetch(`${url}/`).then((response) => response.text()))

    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', duration: 100 })
    await until(allClosed)
  })

  it('lets a body go on that goes on: drops that come in time', async () => {
    const { url } = await serve({ '/': drip(20) })
    const fetch = resilientFetch({ timeout: 2_000, idleTimeout: 900, circuitBreaker: false })
    const error = await rejection(fetch(`${url}/`).then((response) => response.text()))
    // What the head had left of the total.
    expect((error as { duration?: number }).duration).toBeGreaterThan(900)
  })

  it('lets an event stream go on, until it idles', async () => {
    const head =
      'HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n'
    const { url } = await serve({ '/': drip(40, head), '/stall': stallAfter(head) })
    const fetch = resilientFetch({ timeout: 600, idleTimeout: 1_000 })

    const reader = (await fetch(`${url}/`)).body?.getReader()
    for (let n = 0; n < 20; n++) expect((await reader?.read())?.done).toBe(false)
    await reader?.cancel()
    const idle = await fetch(`${url}/stall`)
    expect(await rejection(idle.text())).toMatchObject({ code: 'ERR_TIMEOUT', duration: 1_000 })
  })

  it('holds the slot until the body has ended', async () => {
    const { url } = await serve({ '/': drip(10) })
    const fetch = resilientFetch({ bulkhead: { maxConcurrent: 1 }, circuitBreaker: false })

    const held = await fetch(`${url}/`)
    expect(await rejection(fetch(`${url}/`))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    await held.body?.cancel()
    await settled()
    expect((await fetch(`${url}/free`)).status).toBe(200)
  })

  it('frees the slot of a small body that nobody reads', async () => {
    const { url } = await serve({ '/': always(200, 'small') })
    const fetch = resilientFetch({ bulkhead: { maxConcurrent: 1 } })

    const unread = await fetch(`${url}/`)
    const next = (): Promise<unknown> => fetch(`${url}/`).catch((error) => error)
    await expect.poll(next).toMatchObject({ status: 200 })
    expect(await unread.text()).toBe('small')
  })

  it('holds the slot of a failed answer too', async () => {
    const { url } = await serve({
      '/': drip(10, 'HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n'),
    })
    const fetch = resilientFetch({ retry: false, bulkhead: { maxConcurrent: 1 } })

    const failed = await fetch(`${url}/`)
    expect(failed.status).toBe(503)
    expect(await rejection(fetch(`${url}/`))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    await failed.body?.cancel()
    await settled()
    expect((await fetch(`${url}/free`)).status).toBe(200)
  })
})

describe('an abort', () => {
  const reasons = [new Error('gone'), 'a word', null, undefined, Object.freeze({ own: 1 })]

  it.each(reasons)(
    'before, during and after the head rejects with its reason: %s',
    async (reason) => {
      const { url } = await serve({
        '/never': stallAfter(),
        '/body': drip(10),
        '/down': always(503),
      })
      const fetch = resilientFetch({
        circuitBreaker: false,
        retry: { baseDelay: 5_000, jitter: 'none' },
      })
      const expected =
        reason === undefined ? expect.objectContaining({ name: 'AbortError' }) : reason

      await withoutNoise(async () => {
        expect(
          await rejection(fetch(`${url}/never`, { signal: AbortSignal.abort(reason) })),
        ).toEqual(expected)
        for (const path of ['/never', '/down']) {
          const controller = new AbortController()
          const pending = fetch(`${url}${path}`, { signal: controller.signal })
          await until(() => server.count(path) === 1)
          setTimeout(() => controller.abort(reason), 20)
          expect(await rejection(pending)).toEqual(expected)
          expect(server.count(path)).toBe(1)
        }
        const reads = [
          (response: Response) => response.text(),
          (response: Response) => new Response(response.body).text(),
        ]
        for (const read of reads) {
          const controller = new AbortController()
          const response = await fetch(`${url}/body`, { signal: controller.signal })
          setTimeout(() => controller.abort(reason), 20)
          expect(await rejection(read(response))).toEqual(expected)
        }
      })
      await until(allClosed)
    },
  )

  it('by the signal of a Request counts as well', async () => {
    const { url } = await serve({ '/': stallAfter() })
    const controller = new AbortController()
    const request = new Request(`${url}/`, { signal: controller.signal })
    const pending = resilientFetch()(request)
    setTimeout(() => controller.abort('request'), 20)
    expect(await rejection(pending)).toBe('request')
  })
})

describe('a dependency', () => {
  it('is not blamed for 404', async () => {
    const { url } = await serve({ '/': always(404) })
    const fetch = resilientFetch({ circuitBreaker: { failureThreshold: 1 } })
    for (let n = 0; n < 200; n++) await fetch(`${url}/`)
    expect((await fetch(`${url}/`)).status).toBe(404)
  })

  it.each(Object.entries(brokenBodies))(
    'is blamed once for %s, and the body is not asked for again',
    async (_what, behaviour) => {
      const { url, count } = await serve({ '/': behaviour })
      const fetch = resilientFetch({ ...quick, circuitBreaker: { failureThreshold: 2 } })

      await withoutNoise(async () => {
        await rejection((await fetch(`${url}/`)).text())
        await settled()
        const response = await fetch(`${url}/`)
        await rejection(response.arrayBuffer())
        await settled()
      })
      expect(count('/')).toBe(2)
      expect(await rejection(fetch(`${url}/`))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    },
  )

  it('is left alone when it fails, and its neighbour is not', async () => {
    const { url, count } = await serve({ '/': always(503) })
    const neighbour = await hostileServer()
    const fetch = resilientFetch({ retry: false })

    for (let n = 0; n < 50; n++) await fetch(`${url}/`).catch(() => undefined)
    expect(count('/')).toBe(10)
    expect((await fetch(`${neighbour.url}/`)).status).toBe(200)
    await neighbour.close()
  })

  it('that accepts and says nothing, or closes, ends in time and leaves nothing', async () => {
    const silent = await silentServer()
    const rude = await silentServer((socket) => socket.destroy())
    const fetch = resilientFetch({ ...quick, timeout: 400, attemptTimeout: 100 })
    await withoutNoise(async () => {
      expect(await rejection(fetch(silent.url))).toMatchObject({ code: 'ERR_TIMEOUT' })
      expect(await rejection(fetch(rude.url))).toBeInstanceOf(TypeError)
    })
    await silent.close()
    await rude.close()
  })

  it('may send preliminary answers before the real one', async () => {
    const { url } = await serve({
      '/': (request) => {
        request.socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
        ok(request)
      },
    })
    expect(await (await resilientFetch()(`${url}/`)).text()).toBe('ok')
  })
})

describe('an outage', () => {
  it('is not multiplied: retries stay within the budget of the origin', async () => {
    const { url, count } = await serve({ '/': always(503) })
    const fetch = resilientFetch({ circuitBreaker: false, retry: { baseDelay: 0 } })

    for (let n = 0; n < 300; n++) await fetch(`${url}/`).then((response) => response.text())

    expect(count('/')).toBeLessThanOrEqual(300 * 1.2 + 10)
    expect(count('/')).toBeGreaterThan(300)
  })
})

describe('a redirect', () => {
  it('is one request: its loop ends, its failure is retried from the beginning', async () => {
    const { url, count } = await serve({
      '/loop': always(302, '', { location: '/loop' }),
      '/start': always(307, '', { location: '/end' }),
      '/end': sequence(always(503), ok),
    })
    const fetch = resilientFetch(quick)

    expect(await rejection(fetch(`${url}/loop`))).toBeInstanceOf(TypeError)
    expect(count('/loop')).toBeLessThanOrEqual(21)
    const response = await fetch(`${url}/start`, { method: 'PUT', body: 'x' })
    expect([response.status, response.redirected, await response.text()]).toEqual([200, true, 'ok'])
    expect([count('/start'), count('/end')]).toEqual([2, 2])
  })

  it.each([
    [307, 'PUT', 'the body'],
    [308, 'PUT', 'the body'],
    [303, 'GET', ''],
  ])(
    '%i to another origin takes no credentials along, and what it takes is the same on every attempt',
    async (status, method, body) => {
      const elsewhere = await hostileServer({ '/end': sequence(always(503), ok) })
      try {
        const { url } = await serve({
          '/start': always(status, '', { location: `${elsewhere.url}/end` }),
        })
        const authorization = 'Bearer secret'
        const headers = { authorization, cookie: 'a=1', 'idempotency-key': 'k' }
        const response = await resilientFetch(quick)(`${url}/start`, {
          ...{ method: 'PUT', body: 'the body', headers },
        })

        expect([response.status, await response.text()]).toEqual([200, 'ok'])
        expect(server.requests.map((request) => request.headers['authorization'])).toEqual([
          authorization,
          authorization,
        ])
        const arrived = elsewhere.requests.map((request) => [
          ...[request.method, request.body.toString()],
          ...[request.headers['authorization'], request.headers['cookie']],
        ])
        expect(arrived).toEqual([
          [method, body, undefined, undefined],
          [method, body, undefined, undefined],
        ])
      } finally {
        await elsewhere.close()
      }
    },
  )
})

/** Every connection on which something was asked: its client has let go of it. */
function allClosed(): boolean {
  return server.requests.every(({ socket }) => socket.destroyed)
}

function later(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50))
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { interval: 5 }).toBe(true)
}
