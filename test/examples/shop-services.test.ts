/** The services of the shop fail in earnest: each fault as a caller meets it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

const file = fileURLToPath(new URL('../../examples/shop/services/service.js', import.meta.url))

let child: ChildProcess
let service: string
let control: string
let orders = 0

beforeAll(async () => {
  child = fork(file, [JSON.stringify({ name: 'payment', seed: 1 })])
  const [message] = (await once(child, 'message')) as [
    { ready: { port: number; controlPort: number } },
  ]
  service = `http://127.0.0.1:${message.ready.port}`
  control = `http://127.0.0.1:${message.ready.controlPort}/admin`
})
afterAll(() => {
  child.kill()
})
beforeEach(() => tell({ mode: 'ok' }))

describe('a service', () => {
  it('answers when it is well', async () => {
    expect((await charge()).status).toBe(201)
  })

  it('fails at the rate it is told', async () => {
    await tell({ mode: 'fail', rate: 0.7 })

    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => (await charge()).status),
    )

    const failed = statuses.filter((status) => status === 503).length
    expect(failed).toBeGreaterThan(50)
    expect(failed).toBeLessThan(90)
  })

  it('slows down', async () => {
    await tell({ mode: 'slow', delay: 300 })
    const start = performance.now()

    const { status } = await charge()

    expect(status).toBe(201)
    expect(performance.now() - start).toBeGreaterThan(290)
  })

  it('works for nobody who has given up: it stops, leaves the work undone, and counts it', async () => {
    const key = nextKey()
    const before = await stats()
    await tell({ mode: 'slow', delay: 600_000 })

    const { status } = await charge(key, null, { 'x-deadline-ms': '300' })

    const after = await stats()
    expect(status).toBe(504)
    expect(after.cancelled['tests']).toBe((before.cancelled['tests'] ?? 0) + 1)
    expect((await effects()).charged[key]).toBeUndefined()
  })

  it('does not even begin it when the time is up already', async () => {
    const before = await stats()
    // At most a share of all calls is refused: headers may be wrong.
    for (let calls = 0; calls < 10; calls++) await charge()

    const { status } = await charge(nextKey(), null, { 'x-deadline-ms': '0' })

    const after = await stats()
    expect(status).toBe(503)
    expect(after.refused).toBe(before.refused + 1)
    expect(after.reached['tests']).toBe((before.reached['tests'] ?? 0) + 10)
  })

  it('hangs, and does not remember those calls when it is well again', async () => {
    const before = await reached('tests')
    const caller = new AbortController()
    await tell({ mode: 'hang' })

    const hung = charge(nextKey(), caller.signal).catch((error: Error) => error.name)
    await expect.poll(() => reached('tests')).toBe(before + 1)
    await tell({ mode: 'ok' })
    const { status } = await charge()
    caller.abort()

    expect(status).toBe(201)
    expect(await hung).toBe('AbortError')
  })

  it('resets connections after doing the work, so that a second try must not do it again', async () => {
    const key = nextKey()
    await tell({ mode: 'reset' })
    const cause = await charge(key).catch((error: Error) => causeOf(error))
    await tell({ mode: 'ok' })

    const { status } = await charge(key)
    const { charged, repeats } = await effects()

    expect(cause).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
    expect(status).toBe(201)
    expect(charged[key]).toBe(1)
    expect(repeats).toBe(1)
  })

  it('goes down, refuses connections, and comes back to the same port', async () => {
    await tell({ mode: 'down' })
    const cause = await charge().catch((error: Error) => causeOf(error))
    await tell({ mode: 'ok' })

    expect(cause).toBe('ECONNREFUSED')
    expect((await charge()).status).toBe(201)
  })

  it('counts who reached it', async () => {
    const before = await reached('tests')

    await charge()

    expect(await reached('tests')).toBe(before + 1)
  })

  it.each([
    { fault: '{"mode":"sulk"}', complaint: 'mode is one of ok, fail, slow, hang, reset, down' },
    { fault: '{"mode":"fail","rate":2}', complaint: 'rate is from 0 to 1' },
    { fault: '{"mode":"slow"}', complaint: 'slow needs a delay in ms' },
    { fault: '{"mode":"ok","rat":1}', complaint: 'unknown field "rat"' },
    { fault: '[]', complaint: 'a fault is an object' },
    { fault: 'hang', complaint: 'JSON' },
  ])('refuses the fault $fault', async ({ fault, complaint }) => {
    const response = await fetch(`${control}/fault`, { method: 'PUT', body: fault })

    expect(response.status).toBe(400)
    expect(((await response.json()) as { error: string }).error).toContain(complaint)
  })
})

async function tell(fault: Record<string, unknown>): Promise<void> {
  const response = await fetch(`${control}/fault`, { method: 'PUT', body: JSON.stringify(fault) })
  expect(response.status, await response.text()).toBe(200)
}

async function charge(
  key: string = nextKey(),
  signal: AbortSignal | null = null,
  more: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const headers = { 'idempotency-key': key, 'x-shop': 'tests', ...more }
  const response = await fetch(`${service}/charges`, {
    method: 'POST',
    headers,
    body: '{"amount":5}',
    signal,
  })
  await response.arrayBuffer()
  return response
}

function nextKey(): string {
  orders++
  return `order-${orders}`
}

async function reached(shop: string): Promise<number> {
  return (await stats()).reached[shop] ?? 0
}

interface Stats {
  readonly reached: Readonly<Record<string, number>>
  readonly cancelled: Readonly<Record<string, number>>
  readonly refused: number
}

async function stats(): Promise<Stats> {
  return (await fetch(`${control}/stats`)).json() as Promise<Stats>
}

interface Effects {
  readonly charged: Readonly<Record<string, number>>
  readonly repeats: number
}

async function effects(): Promise<Effects> {
  return (await fetch(`${control}/effects`)).json() as Promise<Effects>
}

function causeOf(error: Error): string {
  return String((error.cause as { code?: unknown } | undefined)?.code)
}
