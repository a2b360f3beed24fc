/** Health and readiness over HTTP, also when what is asked misbehaves. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { circuitBreaker, keyed, pipeline } from 'holdfast'
import { resilientFetch } from 'holdfast/fetch'
import { healthChecks } from 'holdfast/server'
import { afterEach, describe, expect, it } from 'vitest'
import { gate, hangs } from '../support/calls.ts'
import { dial, endAll, head, listen } from '../support/connections.ts'

afterEach(endAll)

describe('the doors of health', () => {
  const ask = async (options: Parameters<typeof healthChecks>[0], method: string, path: string) => {
    const health = healthChecks(options)
    const port = await listen(
      createServer((request, response) => {
        if (!health.handle(request, response)) response.writeHead(404).end('mine')
      }),
    )
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return [answer.status, await answer.text()]
  }

  it.each([
    ['GET', '/livez', 200, '{"status":"alive"}\n'],
    ['GET', '/livez?verbose', 200, '{"status":"alive"}\n'],
    ['HEAD', '/readyz', 200, ''],
    ['GET', '/readyz', 200, '{"status":"ready","circuits":[],"checks":{}}\n'],
    ['POST', '/readyz', 404, 'mine'],
    ['GET', '/readyz/', 404, 'mine'],
  ])('answer %s %s with %d', async (method, path, status, body) => {
    expect(await ask({}, method, path)).toEqual([status, body])
  })

  it.each([
    [
      {
        closing: () => {
          throw new Error('x')
        },
      },
    ],
    [{ checks: { __proto__: null, slow: hangs }, timeout: 5 }],
    [{ checks: { odd: () => Promise.reject(undefined) } }],
  ])('answer unready, whatever %o does', async (options) => {
    const [status, body] = await ask(options as never, 'GET', '/readyz')

    expect([status, JSON.parse(String(body)).status]).toEqual([503, 'unready'])
  })

  it.each([
    ['said no', () => false],
    ['Error: every slot is held', () => Promise.reject(new Error('every slot is held'))],
  ])(
    'ask for a restart when a check of alive fails, and for nothing else: %s',
    async (why, slots) => {
      const options = { alive: { slots, loop: () => true }, checks: { open: () => false } }

      const [status, body] = await ask(options, 'GET', '/livez')

      expect([status, JSON.parse(String(body))]).toEqual([
        503,
        { status: 'stuck', checks: { slots: why, loop: true } },
      ])
      const [well] = await ask({ ...options, alive: { loop: () => true } }, 'GET', '/livez')
      expect(well).toBe(200)
    },
  )

  it('tell nothing of a foreign policy whose state cannot be read', async () => {
    const policy = {
      execute: () => Promise.resolve(),
      get state(): string {
        throw new Error('no')
      },
    }

    expect(await ask({ critical: [policy as never] }, 'GET', '/readyz')).toEqual([
      200,
      '{"status":"ready","circuits":[],"checks":{}}\n',
    ])
  })

  it('answer nobody who has gone meanwhile', async () => {
    const slow = gate<boolean>()
    const health = healthChecks({ checks: { slow: () => slow.promise } })
    const server = createServer((request, response) => health.handle(request, response))
    const { socket } = dial(await listen(server))
    socket.write(head('/readyz'))
    const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
    socket.destroy()
    await once(response, 'close')
    slow.open(true)
    await slow.promise

    expect([response.headersSent, response.destroyed]).toEqual([false, true])
  })

  it('look into policies by key, and into the compartments of HTTP clients', async () => {
    const tenants = keyed((tenant) =>
      pipeline(`orders of ${tenant}`, circuitBreaker({ name: tenant })),
    )
    await tenants.execute('a', () => 'fine')
    const fetch = resilientFetch({
      retry: false,
      circuitBreaker: { failureThreshold: 1 },
      fetch: async () => new Response(null, { status: 500 }),
    })
    await fetch('https://stock.example/')

    const [status, body] = await ask({ policies: [tenants, fetch] }, 'GET', '/readyz')
    expect([status, JSON.parse(String(body))]).toEqual([
      200,
      {
        status: 'degraded',
        circuits: [
          { name: 'a', state: 'closed' },
          { name: 'https://stock.example', state: 'open' },
        ],
        checks: {},
      },
    ])
    expect((await ask({ critical: [fetch] }, 'GET', '/readyz'))[0]).toBe(503)
  })

  it('take their lists as they were given', async () => {
    const policies = [circuitBreaker()]
    const checks: Record<string, () => unknown> = {}
    const health = healthChecks({ policies, checks })
    policies.pop()
    checks['late'] = () => false

    expect(await health.ready()).toMatchObject({ status: 'ready', circuits: [{}], checks: {} })
    expect(() => healthChecks({ policies: [null as never] })).toThrow(TypeError)
    expect(() => healthChecks({ checks: [() => true] as never })).toThrow(TypeError)
    expect(() => healthChecks({ alive: { slots: true } as never })).toThrow(TypeError)
  })
})
