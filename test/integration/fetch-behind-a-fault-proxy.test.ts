/** What networks do between a client and an honest server: what was done, and does its client know? */
import { resilientFetch } from 'holdfast/fetch'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'
import { type FaultProxy, faultProxy } from '../support/fault-proxy.ts'
import { type HostileServer, hostileServer } from '../support/hostile-server.ts'
import { withoutNoise } from '../support/leaks.ts'

let server: HostileServer
let proxy: FaultProxy
let url = ''

beforeEach(async () => {
  server = await hostileServer()
  proxy = await faultProxy(server.port)
  url = `http://127.0.0.1:${proxy.port}/`
})
afterEach(async () => {
  await proxy.close()
  await server.close()
})

const quick = { retry: { baseDelay: 1 }, circuitBreaker: false, timeout: 10_000 } as const

/** How often each key had an effect on the server. */
function effects(): number[] {
  const counts = new Map<string, number>()
  for (const { headers } of server.requests) {
    const key = headers['idempotency-key'] ?? 'none'
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts.values()]
}

describe('a network that loses the answer', () => {
  it('gets a POST once, and its client an error', async () => {
    proxy.resetOnAnswer = true
    await withoutNoise(async () => {
      const error = await rejection(resilientFetch(quick)(url, { method: 'POST', body: 'pay' }))
      expect(error).toBeInstanceOf(TypeError)
    })
    expect(server.requests).toHaveLength(1)
  })

  it('gets a keyed POST again, under one key, until its answer arrives', async () => {
    proxy.resetOnAnswer = true
    const fetch = resilientFetch({ ...quick, retry: { baseDelay: 50 }, idempotencyKey: true })
    const pending = fetch(url, { method: 'POST', body: 'pay' })
    while (server.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    proxy.resetOnAnswer = false

    expect((await pending).status).toBe(200)
    expect(effects()).toHaveLength(1)
    expect(server.requests.length).toBeGreaterThanOrEqual(2)
  })
})

describe('a network that swallows everything', () => {
  it('costs an attempt its limit, and all of them theirs', async () => {
    proxy.blackHole = true
    const fetch = resilientFetch({ ...quick, timeout: 600, attemptTimeout: 150 })
    const began = performance.now()
    expect(await rejection(fetch(url))).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(performance.now() - began).toBeLessThan(8_000)
    expect(server.requests).toHaveLength(0)
  })

  it('is survived by a request that is repeated when it has healed', async () => {
    proxy.blackHole = true
    const fetch = resilientFetch({ ...quick, attemptTimeout: 500 })
    const pending = fetch(url)
    setTimeout(() => {
      proxy.blackHole = false
    }, 200)
    expect(await (await pending).text()).toBe('ok')
  })

  it('does not trap a connection that was kept: one that was forgotten is given up', async () => {
    const fetch = resilientFetch({ ...quick, attemptTimeout: 500 })
    expect(await (await fetch(url)).text()).toBe('ok')
    proxy.forget()
    expect(await (await fetch(url)).text()).toBe('ok')
    expect(await (await fetch(url, { method: 'PUT', body: 'x' })).text()).toBe('ok')
  })
})

describe('a network that resets what is under way', () => {
  it('costs no request that may be repeated', async () => {
    proxy.latency = 40
    const fetch = resilientFetch({ ...quick, retry: { baseDelay: 20 } })
    const pending = Array.from({ length: 10 }, () => fetch(url).then((response) => response.text()))
    setTimeout(() => proxy.reset(), 20)
    expect(await Promise.all(pending)).toEqual(Array(10).fill('ok'))
  })
})
