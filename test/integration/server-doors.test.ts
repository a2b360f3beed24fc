/** The guard before real servers of every framework that it has a door for. */
import { retry } from 'holdfast'
import { remainingTime } from 'holdfast/node'
import { type OverloadGuardOptions, overloadGuard } from 'holdfast/server'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Gate, gate, rejection } from '../support/calls.ts'
import { FRAMEWORKS, startWebsite, type Website } from '../support/web-servers.ts'

const open: Website[] = []
afterEach(async () => {
  for (const website of open.splice(0)) await website.close()
})

async function start(framework: string, options: OverloadGuardOptions = {}) {
  const guard = overloadGuard(options)
  const held: Gate<void>[] = []
  let calls = 0
  const website = await startWebsite(framework, guard, async (path, body) => {
    calls++
    if (path === '/hold') {
      const door = gate()
      held.push(door)
      await door.promise
    }
    if (path === '/broken') throw new Error('broken')
    if (path === '/remaining') return String(remainingTime())
    if (path === '/retry') {
      const again = retry({ maxRetries: 3, baseDelay: 0 })
      await rejection(again.execute(() => Promise.reject(new Error('down'))))
      return String(again.stats().retries)
    }
    return `${path} ${body}`
  })
  open.push(website)
  const get = (path: string, init?: RequestInit) =>
    fetch(website.url + path, { ...init, headers: { connection: 'close', ...init?.headers } })
  return { guard, held, get, calls: () => calls, website }
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 })

describe.each(Object.keys(FRAMEWORKS))('the door of %s', (framework) => {
  it('lets requests through as they are, bodies included, and counts each once', async () => {
    const { guard, get } = await start(framework)

    const answers = await Promise.all([
      get('/hello').then((answer) => answer.text()),
      get('/echo', {
        method: 'POST',
        body: 'a body',
        headers: { 'content-type': 'text/plain' },
      }).then((answer) => answer.text()),
    ])

    expect(answers).toEqual(['/hello ', '/echo a body'])
    await until(() => expect(guard.stats()).toMatchObject({ running: 0, admitted: 2 }))
  })

  it('refuses with 503, Retry-After and the reason when it is full, and has room again afterwards', async () => {
    const { guard, get, held, calls } = await start(framework, { maxConcurrent: 1, maxQueue: 0 })
    const first = get('/hold')
    await until(() => expect(held).toHaveLength(1))

    const refused = await get('/hello')
    const body = (await refused.json()) as { error: { code: string; reason: string } }

    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(body.error).toMatchObject({ code: 'ERR_OVERLOADED', reason: 'full' })
    expect(calls()).toBe(1)
    held[0]?.open()
    expect((await first).status).toBe(200)
    await until(() => expect(guard.stats().running).toBe(0))
    expect((await get('/hello')).status).toBe(200)
  })

  it('refuses a client that asks for too much with 429, and nobody else', async () => {
    const { get, calls } = await start(framework, {
      perClient: { client: ({ header }) => header('x-tenant'), limit: 1, interval: 60_000 },
    })
    const come = (tenant: string) => get('/hello', { headers: { 'x-tenant': tenant } })
    const answers = [await come('a'), await come('a'), await come('b'), await get('/hello')]

    expect(answers.map(({ status }) => status)).toEqual([200, 429, 200, 200])
    expect(Number(answers[1]?.headers.get('retry-after'))).toBeGreaterThan(50)
    expect(calls()).toBe(3)
  })

  it('lets whoever waited in when somebody has ended', async () => {
    const { guard, get, held } = await start(framework, { maxConcurrent: 1, maxQueue: 1 })
    const first = get('/hold')
    await until(() => expect(held).toHaveLength(1))
    const second = get('/hello', { headers: { 'x-deadline-ms': '4000' } })
    await until(() => expect(guard.stats().queued).toBe(1))

    held[0]?.open()

    expect(await (await second).text()).toBe('/hello ')
    expect((await first).status).toBe(200)
  })

  it('frees the slot when the caller goes away', async () => {
    const { guard, get, held } = await start(framework, { maxConcurrent: 1 })
    const caller = new AbortController()
    const call = rejection(get('/hold', { signal: caller.signal }))
    await until(() => expect(held).toHaveLength(1))

    caller.abort()
    await call

    await until(() => expect(guard.stats().running).toBe(0))
    held[0]?.open()
    expect((await get('/hello')).status).toBe(200)
    await until(() => expect(guard.stats().running).toBe(0))
  })

  it('does not begin the request of a caller that went away in line', async () => {
    const { guard, get, held, calls } = await start(framework, { maxConcurrent: 1, maxQueue: 5 })
    const first = get('/hold')
    await until(() => expect(held).toHaveLength(1))
    const caller = new AbortController()
    const second = rejection(get('/hello', { signal: caller.signal }))
    await until(() => expect(guard.stats().queued).toBe(1))

    caller.abort()
    await second
    await until(() => expect(guard.stats()).toMatchObject({ queued: 0, disconnected: 1 }))
    held[0]?.open()
    await first

    expect(calls()).toBe(1)
    await until(() => expect(guard.stats().running).toBe(0))
  })

  it('frees the slot when the handler fails', async () => {
    const { guard, get } = await start(framework, { maxConcurrent: 1, maxQueue: 0 })

    expect((await get('/broken')).status).toBe(500)

    await until(() => expect(guard.stats().running).toBe(0))
    expect((await get('/hello')).status).toBe(200)
  })

  it("makes the caller's deadline known, also after the body has been read", async () => {
    const { get } = await start(framework)
    const ask = async (method: string, headers: Record<string, string>) => {
      const body = method === 'POST' ? { body: 'x'.repeat(100_000) } : {}
      return Number(await (await get('/remaining', { method, headers, ...body })).text())
    }

    const plain = { 'content-type': 'text/plain' }
    const [none, ofGet, ofPost] = [
      await ask('GET', {}),
      await ask('GET', { 'x-deadline-ms': '3000' }),
      await ask('POST', { ...plain, 'x-deadline-ms': '3000' }),
    ]

    expect(none).toBe(Number.POSITIVE_INFINITY)
    for (const left of [ofGet, ofPost]) {
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThanOrEqual(3_000)
    }
  })

  it('leaves retries to a caller that makes them', async () => {
    const { get } = await start(framework)
    const retries = async (headers: Record<string, string>) =>
      (await get('/retry', { headers })).text()

    expect([await retries({}), await retries({ 'x-attempt': '1/4' })]).toEqual(['3', '0'])
  })

  it('refuses those whose caller has given up, if told to, and never more than their share', async () => {
    const { guard, get } = await start(framework, {
      deadlines: 'enforce',
      maxDeadlineRefusals: 0.5,
    })
    const statuses: number[] = []
    for (let n = 0; n < 10; n++) {
      statuses.push((await get('/hello', { headers: { 'x-deadline-ms': '0' } })).status)
    }

    expect(statuses.filter((status) => status === 503)).toHaveLength(5)
    expect(guard.stats()).toMatchObject({ expired: 10, refused: { 'deadline-passed': 5 } })
  })

  it('only counts them unless it is told to', async () => {
    const { guard, get } = await start(framework)

    expect((await get('/hello', { headers: { 'x-deadline-ms': '0' } })).status).toBe(200)

    expect(guard.stats()).toMatchObject({ expired: 1, refused: { 'deadline-passed': 0 } })
  })

  it('sends everybody away when it closes, those in line too, and says so to the connection', async () => {
    const { guard, get, held } = await start(framework, { maxConcurrent: 1, maxQueue: 5 })
    const first = get('/hold')
    await until(() => expect(held).toHaveLength(1))
    const second = get('/hello')
    await until(() => expect(guard.stats().queued).toBe(1))

    guard.close()

    for (const refused of [await second, await get('/hello')]) {
      expect(refused.status).toBe(503)
      expect(refused.headers.get('connection')).toBe('close')
    }
    held[0]?.open()
    expect((await first).status).toBe(200)
  })

  it('lets through uncounted whatever is exempt, full or not', async () => {
    const { guard, get, held } = await start(framework, {
      maxConcurrent: 1,
      maxQueue: 0,
      exempt: ({ url }) => new URL(url, 'http://host').pathname === '/hello',
    })
    const first = get('/hold')
    await until(() => expect(held).toHaveLength(1))

    expect((await get('/hello')).status).toBe(200)

    expect(guard.stats().admitted).toBe(1)
    held[0]?.open()
    await first
  })

  it('serves the important before those who came first, and in their place when the line is full', async () => {
    const { guard, get, held } = await start(framework, {
      maxConcurrent: 1,
      maxQueue: 1,
      priority: ({ header }) => Number(header('x-priority') ?? 0),
    })
    const first = get('/hold')
    await until(() => expect(held).toHaveLength(1))
    const plain = get('/hello')
    await until(() => expect(guard.stats().queued).toBe(1))

    const important = get('/vip', { headers: { 'x-priority': '5' } })

    expect((await plain).status).toBe(503)
    held[0]?.open()
    expect(await (await important).text()).toBe('/vip ')
    await first
    expect(guard.stats().refused.displaced).toBe(1)
  })
})
