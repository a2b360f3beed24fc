/** Every door to an HTTP client, over the real client and a server that does its worst. */
import axios from 'axios'
import got from 'got'
import { resilientAdapter } from 'holdfast/axios'
import { resilientFetch } from 'holdfast/fetch'
import { resilientGot } from 'holdfast/got'
import { resilientKy } from 'holdfast/ky'
import { withDeadline } from 'holdfast/node'
import { resilientInterceptor } from 'holdfast/undici'
import ky from 'ky'
import { Agent, fetch as undiciFetch, request as undiciRequest } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import type { HttpOptions } from '../../src/adapters/http/options.ts'
import { rejection } from '../support/calls.ts'
import {
  always,
  type Behaviour,
  breakages,
  deadPort,
  drip,
  HEAD,
  type HostileServer,
  hostileServer,
  ok,
  resetAfter,
  sequence,
  stallAfter,
} from '../support/hostile-server.ts'
import { withoutNoise } from '../support/leaks.ts'

interface Answer {
  readonly status: number
  readonly text: string
}

interface Call {
  readonly method?: string
  readonly body?: string
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

/** One client behind its door: it gives status and text, whatever its own habits are. */
interface Client {
  call(url: string, call?: Call): Promise<Answer>
  stats(): readonly { readonly stats: { readonly calls: number; readonly inFlight: number } }[]
  close?(): Promise<unknown>
}

const clients: Record<string, (options: HttpOptions) => Client> = {
  fetch: (options) => {
    const fetch = resilientFetch(options)
    const call: Client['call'] = async (url, init) => {
      const response = await fetch(url, init)
      return { status: response.status, text: await response.text() }
    }
    return { call, stats: fetch.stats }
  },
  "undici's own fetch": (options) => {
    const agent = new Agent()
    const fetch = resilientFetch({
      ...options,
      fetch: (url: string, init: object) => undiciFetch(url, { ...init, dispatcher: agent }),
    })
    const call: Client['call'] = async (url, init) => {
      const response = await fetch(url, init)
      return { status: response.status, text: await response.text() }
    }
    return { call, stats: fetch.stats, close: () => agent.destroy() }
  },
  'undici request': (options) => {
    const agent = new Agent()
    const interceptor = resilientInterceptor(options)
    const dispatcher = agent.compose(interceptor)
    const call: Client['call'] = async (url, { method = 'GET', ...rest } = {}) => {
      const { statusCode, body } = await undiciRequest(url, {
        ...rest,
        method: method as 'GET',
        dispatcher,
      })
      return { status: statusCode, text: await body.text() }
    }
    return { call, stats: interceptor.stats, close: () => agent.destroy() }
  },
  axios: (options) => {
    const adapter = resilientAdapter(axios.getAdapter('http'), options)
    const client = axios.create({ adapter, validateStatus: () => true, responseType: 'text' })
    const call: Client['call'] = async (url, { body, ...rest } = {}) => {
      const { status, data } = await client.request({
        url,
        ...(body === undefined ? {} : { data: body }),
        ...(rest as object),
      })
      return { status, text: data }
    }
    return { call, stats: adapter.stats }
  },
  'axios that throws': (options) => {
    const adapter = resilientAdapter(axios.getAdapter('http'), options)
    const client = axios.create({ adapter })
    const call: Client['call'] = async (url, { body, ...rest } = {}) => {
      try {
        const { status, data } = await client.request({
          url,
          ...(body === undefined ? {} : { data: body }),
          ...(rest as object),
        })
        return { status, text: data }
      } catch (error) {
        if (!axios.isAxiosError(error) || error.response === undefined) throw error
        if (error.response.status < 300) throw error
        return { status: error.response.status, text: error.response.data }
      }
    }
    return { call, stats: adapter.stats }
  },
  got: (options) => {
    const protection = resilientGot(options)
    const client = got.extend(protection.extension)
    const call: Client['call'] = async (url, rest = {}) => {
      const response = await client(url, { ...rest, throwHttpErrors: false } as object)
      return { status: response.statusCode, text: response.body as string }
    }
    return { call, stats: protection.stats }
  },
  'got that throws': (options) => {
    const protection = resilientGot(options)
    const client = got.extend(protection.extension)
    const call: Client['call'] = async (url, rest = {}) => {
      try {
        return { status: 200, text: await client(url, rest as object).text() }
      } catch (error) {
        const { name, response } = error as {
          name: string
          response: { statusCode: number; body: string }
        }
        if (name !== 'HTTPError') throw error
        return { status: response.statusCode, text: response.body }
      }
    }
    return { call, stats: protection.stats }
  },
  ky: (options) => {
    const extension = resilientKy(options)
    const client = ky.create({ ...extension, throwHttpErrors: false })
    const call: Client['call'] = async (url, rest) => {
      const response = await client(url, rest)
      return { status: response.status, text: await response.text() }
    }
    return { call, stats: extension.fetch.stats }
  },
}

const quick = { retry: { baseDelay: 1 }, circuitBreaker: false } as const

let server: HostileServer
let client: Client

async function serve(behaviours: Readonly<Record<string, Behaviour>>): Promise<HostileServer> {
  server = await hostileServer(behaviours)
  return server
}

afterEach(async () => {
  await client?.close?.()
  await server?.close()
})

describe.each(Object.entries(clients))('%s', (name, make) => {
  it('answers', async () => {
    const { url } = await serve({ '/': always(200, 'hello') })
    client = make({})
    expect(await client.call(`${url}/`)).toEqual({ status: 200, text: 'hello' })
    await until(() => client.stats()[0]?.stats.inFlight === 0)
    expect(client.stats()[0]?.stats).toMatchObject({ calls: 1, inFlight: 0 })
  })

  it('repeats what may be repeated, with the same body', async () => {
    const { url, requests } = await serve({
      '/': sequence(always(503, 'down'), resetAfter(), always(429, 'slow'), ok),
    })
    client = make(quick)

    expect(await client.call(`${url}/`, { method: 'PUT', body: 'state' })).toEqual({
      status: 200,
      text: 'ok',
    })
    expect(requests.map(({ body }) => body.toString())).toEqual(Array(4).fill('state'))
  })

  it.each(Object.entries(breakages))('does not repeat POST after %s', async (_what, behaviour) => {
    const { url, count } = await serve({ '/': behaviour })
    client = make(quick)
    await withoutNoise(() =>
      client.call(`${url}/`, { method: 'POST', body: 'pay' }).then(
        () => undefined,
        () => undefined,
      ),
    )
    expect(count('/')).toBe(1)
  })

  it('repeats POST with a key, the same each time', async () => {
    const { url, requests } = await serve({ '/': sequence(always(503), always(500), ok) })
    client = make({ ...quick, idempotencyKey: true })

    expect((await client.call(`${url}/`, { method: 'POST', body: 'pay' })).status).toBe(200)

    const keys = new Set(requests.map(({ headers }) => headers['idempotency-key']))
    expect(requests).toHaveLength(3)
    expect(keys.size).toBe(1)
    expect([...keys][0]).toMatch(/^[\w-]{16,}$/)
  })

  it('repeats POST that could not be sent', async () => {
    const port = await deadPort()
    let attempts = 0
    client = make({ ...quick, retry: { baseDelay: 1, afterAttempt: () => void attempts++ } })

    await rejection(client.call(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'pay' }))

    expect(attempts).toBe(4)
    await until(() => client.stats()[0]?.stats.inFlight === 0)
  })

  it('gives the last answer as it came', async () => {
    const { url, count } = await serve({ '/': always(503, 'down'), '/gone': always(404, 'gone') })
    client = make(quick)

    expect(await client.call(`${url}/`)).toEqual({ status: 503, text: 'down' })
    expect(await client.call(`${url}/gone`)).toEqual({ status: 404, text: 'gone' })
    expect([count('/'), count('/gone')]).toEqual([4, 1])
  })

  it('waits as long as the server asks', async () => {
    const { url } = await serve({ '/': sequence(always(503, '', { 'retry-after': '1' }), ok) })
    client = make(quick)
    const began = performance.now()
    expect((await client.call(`${url}/`)).status).toBe(200)
    expect(performance.now() - began).toBeGreaterThanOrEqual(999)
  })

  it('ends in time: each attempt, and all of them', async () => {
    const { url, count } = await serve({ '/': stallAfter(), '/slow': sequence(stallAfter(), ok) })
    const retry = { baseDelay: 1, maxRetries: 50 }
    client = make({ ...quick, retry, timeout: 2_000, attemptTimeout: 600 })

    expect((await client.call(`${url}/slow`)).status).toBe(200)
    const began = performance.now()
    const error = (await rejection(client.call(`${url}/`))) as { code?: string; cause?: unknown }
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(count('/')).toBeGreaterThan(1)
    await until(() => server.requests.every(({ socket }) => socket.destroyed || socket.writable))
  })

  it('covers the body with its limit, and lets go of the connection', async () => {
    const { url } = await serve({ '/': drip(10) })
    client = make({ ...quick, timeout: 300, attemptTimeout: 300 })
    await withoutNoise(async () => {
      expect(await rejection(client.call(`${url}/`))).toBeInstanceOf(Error)
    })
    await until(() => server.requests.every(({ socket }) => socket.destroyed))
    await until(() => client.stats()[0]?.stats.inFlight === 0)
  })

  it('fails when a body breaks off, and asks no second time', async () => {
    const { url, count } = await serve({ '/': resetAfter(`${HEAD}half`) })
    client = make({
      ...quick,
      retry: name.startsWith('got') || name.startsWith('axios') ? false : quick.retry,
    })
    await withoutNoise(async () => {
      expect(await rejection(client.call(`${url}/`))).toBeInstanceOf(Error)
    })
    expect(count('/')).toBe(1)
  })

  it('tells the next service how much time is left, and which attempt it is', async () => {
    const { url, requests } = await serve({ '/': sequence(always(503), ok) })
    client = make(quick)

    await withDeadline(5_000, () => client.call(`${url}/`))

    expect(requests.map(({ headers }) => headers['x-attempt'])).toEqual(['1/4', '2/4'])
    const [first = 0, second = 0] = requests.map(({ headers }) => Number(headers['x-deadline-ms']))
    expect(first).toBeLessThanOrEqual(5_000)
    expect(second).toBeLessThanOrEqual(first)
    expect(second).toBeGreaterThan(0)
  })

  it('tells what the caller says instead, or nothing', async () => {
    const { url, requests } = await serve({ '/': sequence(always(503), ok) })
    client = make({ ...quick, travel: true })
    await client.call(`${url}/`, { headers: { 'x-attempt': 'own', 'X-Deadline-Ms': '7' } })
    await client.close?.()
    client = make({ ...quick, travel: false })
    await withDeadline(5_000, () => client.call(`${url}/quiet`))

    const told = requests.map(({ headers }) => [headers['x-attempt'], headers['x-deadline-ms']])
    expect(told).toEqual([
      ['own', '7'],
      ['own', '7'],
      [undefined, undefined],
    ])
  })

  it('stops asking a server that is down', async () => {
    const { url, count } = await serve({ '/': always(500) })
    client = make({ retry: false, circuitBreaker: { failureThreshold: 3 } })
    for (let n = 0; n < 3; n++) await client.call(`${url}/`)
    const error = await rejection(client.call(`${url}/`))
    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(count('/')).toBe(3)
  })

  it('aborts at once: while it waits for the answer, and in a pause', async () => {
    const { url, count } = await serve({ '/': stallAfter(), '/down': always(503) })
    client = make({ circuitBreaker: false, retry: { baseDelay: 10_000 } })
    await withoutNoise(async () => {
      for (const path of ['/', '/down']) {
        const controller = new AbortController()
        const pending = client.call(`${url}${path}`, { signal: controller.signal })
        pending.catch(() => {})
        await until(() => count(path) === 1)
        const began = performance.now()
        setTimeout(() => controller.abort(), 30)
        await rejection(pending)
        expect(performance.now() - began).toBeLessThan(5_000)
        expect(count(path)).toBe(1)
      }
    })
    await until(() => client.stats()[0]?.stats.inFlight === 0)
  })

  it('lets only so many through', async () => {
    let running = 0
    let most = 0
    const { url } = await serve({
      '/': (request) => {
        most = Math.max(most, ++running)
        setTimeout(() => {
          running--
          ok(request)
        }, 20)
      },
    })
    client = make({ bulkhead: { maxConcurrent: 2, maxQueue: 20 } })

    const answers = await Promise.all(Array.from({ length: 10 }, () => client.call(`${url}/`)))

    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(most).toBe(2)
  })
})

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { interval: 5 }).toBe(true)
}
