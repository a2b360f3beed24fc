import fc from 'fast-check'
import { CircuitOpenError, circuitBreaker, type PolicyLike, retryBudget } from 'holdfast'
import { HttpStatusError, resilientFetch } from 'holdfast/fetch'
import { withDeadline } from 'holdfast/node'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from '../../../test/properties/seed.ts'
import { gate, quiet, rejection, watch } from '../../../test/support/calls.ts'
import { listenersOn } from '../../../test/support/leaks.ts'

const url = 'https://api.example/things?token=secret'

const say =
  (...statuses: number[]) =>
  async (): Promise<Response> =>
    new Response('said', {
      status: statuses.length > 1 ? (statuses.shift() as number) : (statuses[0] ?? 200),
    })

const refused = (): TypeError =>
  new TypeError('fetch failed', {
    cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
  })

describe('without options', () => {
  it('waits 500 ms, doubled each time, spread by 20 %, three times', async () => {
    const clock = virtualClock()
    const at: number[] = []
    const fetch = resilientFetch({
      clock,
      random: () => 0.5,
      fetch: async () => {
        at.push(clock.now())
        return new Response(null, { status: 503 })
      },
    })
    const pending = fetch(url)
    await clock.advance(10_000)
    expect((await pending).status).toBe(503)
    expect(at.map((time) => Math.round(time - (at[0] ?? 0)))).toEqual([0, 500, 1_500, 3_500])
  })

  it('waits 10 s for each attempt and 30 s for all', async () => {
    const clock = virtualClock()
    let calls = 0
    const fetch = resilientFetch({
      clock,
      fetch: (_input: string, { signal }: { signal: AbortSignal }) => {
        calls++
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
      },
    })
    const pending = watch(fetch(url))
    await clock.advance(9_999)
    expect(calls).toBe(1)
    await clock.advance(1_000)
    expect(calls).toBe(2)
    await clock.advance(18_999)
    expect(pending.status).toBe('pending')
    await clock.advance(10)
    expect(pending.reason).toMatchObject({
      code: 'ERR_TIMEOUT',
      policy: 'https://api.example (total)',
    })
  })

  it('opens after half of ten have failed, and tries again after 5 s', async () => {
    const clock = virtualClock()
    let calls = 0
    let status = 500
    const fetch = resilientFetch({
      clock,
      retry: false,
      fetch: async () => {
        calls++
        return new Response(null, { status })
      },
    })
    for (let n = 0; n < 10; n++) expect((await fetch(url)).status).toBe(500)
    expect(await rejection(fetch(url))).toBeInstanceOf(CircuitOpenError)
    expect(calls).toBe(10)
    status = 200
    await clock.advance(5_000)
    expect((await fetch(url)).status).toBe(200)
    expect((await fetch(url)).status).toBe(200)
  })

  it('sends 1,000 at a time to one origin, and no more', async () => {
    const held = gate<Response>()
    const fetch = resilientFetch({ fetch: () => held.promise })
    const pending = Array.from({ length: 1_000 }, () => fetch(url))
    expect(await rejection(fetch(url))).toMatchObject({ code: 'ERR_BULKHEAD_FULL', running: 1_000 })
    const other = watch(fetch('https://other.example/'))
    await quiet()
    expect(other.status).toBe('pending')
    held.open(new Response(null))
    await Promise.all(pending)
  })

  it('uses the fetch of the moment', async () => {
    const original = globalThis.fetch
    const fetch = resilientFetch()
    try {
      globalThis.fetch = (async () => new Response('patched')) as typeof globalThis.fetch
      expect(await (await fetch(url)).text()).toBe('patched')
    } finally {
      globalThis.fetch = original
    }
  })
})

describe('compartments', () => {
  it('are one per origin, however the address is written', async () => {
    const fetch = resilientFetch({ fetch: say(200) })
    const same = [
      'https://api.example',
      'https://api.example/a',
      'https://api.example?b',
      'https://api.example:443/c',
      'HTTPS://API.example/d',
      new URL('https://api.example/e'),
      new Request('https://api.example/f'),
    ]
    for (const input of same) await fetch(input)
    for (const input of ['http://api.example', 'https://api.example:8443', 'https://b.example']) {
      await fetch(input)
    }
    expect(fetch.stats().map(({ key, stats }) => [key, stats.calls])).toEqual([
      ['https://api.example', 7],
      ['http://api.example', 1],
      ['https://api.example:8443', 1],
      ['https://b.example', 1],
    ])
  })

  it('are those that you say', async () => {
    const fetch = resilientFetch({ fetch: say(200), compartment: ({ pathname }) => pathname })
    await fetch('https://a.example/x')
    await fetch('https://b.example/x')
    expect(fetch.stats()).toMatchObject([{ key: '/x', stats: { calls: 2 } }])
  })

  it('are bounded, and one with an open circuit is not forgotten', async () => {
    const down = async (input: string): Promise<Response> =>
      new Response(null, { status: input.includes('down') ? 500 : 200 })
    const fetch = resilientFetch({
      fetch: down,
      maxCompartments: 3,
      retry: false,
      circuitBreaker: { failureThreshold: 1 },
    })
    await fetch('https://down.example/')
    for (let n = 0; n < 20; n++) await fetch(`https://up-${n}.example/`)
    expect(fetch.stats()).toHaveLength(3)
    expect(await rejection(fetch('https://down.example/'))).toBeInstanceOf(CircuitOpenError)
  })

  it('count what the callers got', async () => {
    const fetch = resilientFetch({ fetch: say(500, 200, 404), retry: false })
    for (let n = 0; n < 3; n++) await fetch(url)
    await rejection(fetch(url, { signal: AbortSignal.abort() }))
    expect(fetch.stats()[0]?.stats).toMatchObject({
      calls: 4,
      succeeded: 2,
      failed: 1,
      aborted: 1,
      inFlight: 0,
    })
  })
})

describe('each level', () => {
  it('can be left out', async () => {
    const levels = {
      timeout: false,
      retry: false,
      bulkhead: false,
      circuitBreaker: false,
      attemptTimeout: false,
    } as const
    const fetch = resilientFetch({ fetch: say(503), ...levels })
    for (let n = 0; n < 20; n++) expect((await fetch(url)).status).toBe(503)
    expect(fetch.describe(url).policies).toEqual([])
  })

  it.each(['timeout', 'retry', 'bulkhead', 'circuitBreaker', 'attemptTimeout'])(
    'can be a policy of your own, or one for each compartment: %s',
    async (level) => {
      const seen: string[] = []
      const own = (name: string): PolicyLike => ({
        name,
        async execute(operation, options) {
          seen.push(name)
          return operation(options)
        },
      })
      await resilientFetch({ fetch: say(200), [level]: own('mine') })(url)
      await resilientFetch({ fetch: say(200), [level]: own })(url)
      expect(seen).toEqual(['mine', 'https://api.example'])
    },
  )

  it('can be shared with other work', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const fetch = resilientFetch({ fetch: say(500), retry: false, circuitBreaker: breaker })
    await fetch(url)
    expect(breaker.state).toBe('open')
  })

  it('of your own never sends again what must not be sent again', async () => {
    let calls = 0
    const stubborn: PolicyLike = {
      async execute(operation, options) {
        for (let n = 0; n < 5; n++) await Promise.resolve(operation(options)).catch(() => {})
        return operation(options)
      },
    }
    const fetch = resilientFetch({
      retry: stubborn,
      fetch: async () => {
        calls++
        return new Response('down', { status: 503 })
      },
    })
    const response = await fetch(url, { method: 'POST' })
    expect([response.status, await response.text(), calls]).toEqual([503, 'down', 1])
  })

  it('keeps your own hooks and predicates of a retry', async () => {
    const told: unknown[] = []
    const fetch = resilientFetch({
      fetch: say(503, 503, 200),
      retry: {
        baseDelay: 0,
        onRetry: ({ error }) => told.push(error),
        shouldRetry: (error) => (told.length < 1 ? undefined : !(error instanceof HttpStatusError)),
      },
    })
    expect((await fetch(url)).status).toBe(503)
    expect(told).toMatchObject([
      {
        status: 503,
        code: 'ERR_HTTP_STATUS',
        message: 'GET https://api.example/things: answered with status 503',
      },
    ])
  })

  it('takes your own retry budget', async () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 0 })
    let calls = 0
    const fetch = resilientFetch({
      retry: { baseDelay: 0, budget },
      fetch: async () => new Response(null, { status: ++calls && 503 }),
    })
    await fetch(url)
    expect(calls).toBe(1)
  })
})

describe('one request', () => {
  it('may have limits and retries of its own', async () => {
    const clock = virtualClock()
    let calls = 0
    const fetch = resilientFetch({
      clock,
      retry: { baseDelay: 10, jitter: 'none' },
      fetch: async () => new Response(null, { status: ++calls && 503 }),
    })
    await fetch(url, { resilience: { retry: { maxRetries: 0 } } })
    expect(calls).toBe(1)
    const pending = fetch(url, { resilience: { retry: { maxRetries: 1 } } })
    await clock.advance(10)
    await pending
    expect(calls).toBe(3)
    await fetch(url, { resilience: { retry: false } })
    expect(calls).toBe(4)
  })

  it('may have a longer or a shorter total', async () => {
    const clock = virtualClock()
    const fetch = resilientFetch({
      clock,
      attemptTimeout: false,
      fetch: () => new Promise(() => {}),
    })
    const short = watch(fetch(url, { resilience: { timeout: 100 } }))
    const long = watch(fetch(url, { resilience: { timeout: 60_000 } }))
    const due = watch(fetch(url, { resilience: { deadline: clock.now() + 200 } }))
    await clock.advance(100)
    expect([short.status, due.status]).toEqual(['rejected', 'pending'])
    await clock.advance(100)
    expect(due.reason).toMatchObject({ code: 'ERR_TIMEOUT' })
    await clock.advance(40_000)
    expect(long.status).toBe('pending')
    await clock.advance(20_000)
    expect(long.status).toBe('rejected')
  })

  it('may be overridden by a function, for clients that cannot say it', async () => {
    let calls = 0
    const fetch = resilientFetch({
      retry: { baseDelay: 0 },
      fetch: async () => new Response(null, { status: ++calls && 503 }),
      override: ({ method, url, header }) =>
        method === 'POST' && url.pathname === '/safe' && header('x-a') === '1'
          ? { idempotent: true }
          : undefined,
    })
    await fetch('https://api.example/safe', { method: 'POST', headers: { 'x-a': '1' } })
    expect(calls).toBe(4)
    await fetch('https://api.example/safe', { method: 'POST' })
    expect(calls).toBe(5)
  })

  it('has the key that it is given, or the one that it brings', async () => {
    const keys: (string | null)[] = []
    const fetch = resilientFetch({
      idempotencyKey: () => 'made',
      fetch: async (_input: string, { headers }: RequestInit) => {
        keys.push(new Headers(headers).get('idempotency-key'))
        return new Response(null)
      },
    })
    await fetch(url, { method: 'POST' })
    await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'brought' } })
    await fetch(url, { method: 'POST', resilience: { idempotencyKey: 'given' } })
    await fetch(url, { method: 'POST', resilience: { idempotencyKey: false } })
    await fetch(url, { method: 'GET' })
    await fetch(new Request(url, { method: 'POST', headers: { 'x-a': '1' } }))
    expect(keys).toEqual(['made', 'brought', 'given', null, null, 'made'])
  })

  it('is not sent when its signal has aborted, or its address is none', async () => {
    let calls = 0
    const fetch = resilientFetch({ fetch: async () => new Response(String(++calls)) })
    expect(await rejection(fetch(url, { signal: AbortSignal.abort('gone') }))).toBe('gone')
    expect(await rejection(fetch('/relative'))).toMatchObject({
      name: 'TypeError',
      message: expect.stringContaining('"/relative" is no absolute address'),
    })
    expect(calls).toBe(0)
  })

  it('fails with what its fetch throws, whatever that is', async () => {
    for (const thrown of [undefined, null, 'text', 7, new RangeError('bug'), Object.freeze({})]) {
      const fetch = resilientFetch({ retry: { baseDelay: 0 }, fetch: () => Promise.reject(thrown) })
      expect(await rejection(fetch(url))).toBe(thrown)
      expect(fetch.stats()[0]?.stats).toMatchObject({ failed: 1, inFlight: 0 })
    }
  })

  it('takes what stands in for a response in a test', async () => {
    for (const stand of [{ ok: true, json: async () => 1 }, undefined, 'text', { status: 204 }]) {
      const fetch = resilientFetch({ fetch: async () => stand })
      expect(await fetch(url)).toBe(stand)
    }
  })

  it('is refused for one and the same failure without harm to others', async () => {
    const failure = refused()
    let calls = 0
    const fetch = resilientFetch({
      retry: { baseDelay: 0 },
      fetch: () => {
        calls++
        return Promise.reject(Object.assign(failure, { cause: { code: 'ECONNRESET' } }))
      },
    })
    await rejection(fetch(url, { method: 'POST' }))
    expect(calls).toBe(1)
    await rejection(fetch(url))
    expect(calls).toBe(5)
  })
})

describe('an answer that nobody gets', () => {
  const cancelled: string[] = []
  const body = (name: string): ReadableStream =>
    new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
      cancel: () => void cancelled.push(name),
    })

  it('is let go when a policy of your own gives up for a reason of its own', async () => {
    const gaveUp = new Error('gave up')
    const impatient: PolicyLike = {
      execute: (operation, options) =>
        Promise.resolve(operation(options)).catch(() => Promise.reject(gaveUp)),
    }
    const fetch = resilientFetch({
      retry: impatient,
      fetch: async () => new Response(body('refused'), { status: 503 }),
    })
    expect(await rejection(fetch(url))).toBe(gaveUp)
    await quiet()
    expect(cancelled).toContain('refused')
  })

  it('is let go when it comes too late, to a fetch that takes no notice of its signal', async () => {
    const clock = virtualClock()
    const late = gate<Response>()
    const fetch = resilientFetch({ clock, timeout: 100, fetch: () => late.promise })
    const pending = watch(fetch(url))
    await clock.advance(100)
    expect(pending.status).toBe('rejected')
    expect(fetch.stats()[0]?.stats.inFlight).toBe(0)
    late.open(new Response(body('late')))
    await quiet()
    expect(cancelled).toContain('late')
  })

  it('that was aborted says nothing of the server, whatever the reason', async () => {
    const fetch = resilientFetch({
      circuitBreaker: { failureThreshold: 1 },
      fetch: (_input: string, { signal }: { signal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        }),
    })
    const controller = new AbortController()
    const pending = rejection(fetch(url, { signal: controller.signal }))
    await quiet()
    controller.abort(new Error('503, says the caller'))
    await pending
    await quiet()
    const again = watch(fetch(url))
    await quiet()
    expect(again.status).toBe('pending')
  })
})

describe('a request in line', () => {
  it('leaves it when its caller aborts, and when its time is up', async () => {
    const clock = virtualClock()
    const held = gate<Response>()
    const fetch = resilientFetch({
      clock,
      timeout: 1_000,
      bulkhead: { maxConcurrent: 1, maxQueue: 2 },
      fetch: () => held.promise,
    })
    const first = watch(fetch(url, { resilience: { timeout: 5_000 } }))
    const controller = new AbortController()
    const aborted = watch(fetch(url, { signal: controller.signal }))
    const late = watch(fetch(url))
    await quiet()
    controller.abort('gone')
    await clock.advance(1_000)
    expect([aborted.reason, late.reason]).toMatchObject(['gone', { code: 'ERR_TIMEOUT' }])
    const next = [fetch(url), fetch(url)].map((call) => watch(call))
    await quiet()
    expect(next.map(({ status }) => status)).toEqual(['pending', 'pending'])
    held.open(new Response(null))
    await quiet()
    expect([first, ...next].map(({ status }) => status)).toEqual(Array(3).fill('fulfilled'))
  })
})

describe('a body', () => {
  it('may have pieces without content', async () => {
    const pieces = [new Uint8Array(), new Uint8Array([65]), new Uint8Array(), new Uint8Array([66])]
    const stream = new ReadableStream({
      pull(controller) {
        const piece = pieces.shift()
        if (piece === undefined) controller.close()
        else controller.enqueue(piece)
      },
    })
    const fetch = resilientFetch({ fetch: async () => new Response(stream), idleTimeout: 1_000 })
    expect(await (await fetch(url)).text()).toBe('AB')
  })

  it('leaves no listener on the signal of its caller, however it is read', async () => {
    const { signal } = new AbortController()
    const fetch = resilientFetch({ fetch: say(200), retry: false })
    const reads: ((response: Response) => unknown)[] = [
      (response) => response.text(),
      (response) => response.body?.cancel(),
      (response) => new Response(response.body).text(),
      () => quiet(),
    ]
    for (const read of reads) await read(await fetch(url, { signal }))
    await quiet()
    expect(listenersOn(signal)).toBe(0)
  })

  it('that its reader leaves lying until the total limit is not held against the server', async () => {
    const clock = virtualClock()
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    })
    const fetch = resilientFetch({
      clock,
      timeout: 100,
      circuitBreaker: { failureThreshold: 1 },
      fetch: async () => new Response(endless),
    })
    const response = await fetch(url)
    await clock.advance(100)
    expect(await rejection(response.text())).toMatchObject({ code: 'ERR_TIMEOUT', duration: 100 })
    expect((await fetch(url).catch((error) => error)).code).not.toBe('ERR_CIRCUIT_OPEN')
  })

  it('that is read past the watch frees its slot all the same', async () => {
    const fetch = resilientFetch({ fetch: say(200), bulkhead: { maxConcurrent: 1 } })
    const response = await fetch(url)
    expect(await Response.prototype.text.call(response)).toBe('said')
    await quiet()
    expect((await fetch(url)).status).toBe(200)
  })
})

describe('levels of single requests', () => {
  it('are made once for the same values, however often they are said', async () => {
    const clock = virtualClock()
    const fetch = resilientFetch({ clock, fetch: say(200) })
    for (let n = 0; n < 50; n++) {
      await fetch(url, { resilience: { timeout: 5_000, retry: { maxRetries: 1 } } })
    }
    await clock.advance(0)
    // One timer for each limit of each route, and no more.
    expect(clock.timers.length).toBeLessThanOrEqual(4)
  })
})

describe('what the next service is told', () => {
  const told: (string | null)[][] = []
  const listen = async (_input: string, { headers }: RequestInit): Promise<Response> => {
    const found = new Headers(headers)
    told.push([found.get('x-deadline-ms'), found.get('x-attempt')])
    return new Response(null, { status: told.length % 2 === 1 ? 503 : 200 })
  }

  it('is the time of this attempt and its number, if you want that', async () => {
    told.length = 0
    const clock = virtualClock()
    const fetch = resilientFetch({ clock, travel: true, fetch: listen, retry: { baseDelay: 0 } })
    await fetch(url)
    await fetch(url, { method: 'POST' })
    await fetch(url, { headers: { 'x-deadline-ms': '7' } })
    expect(told).toEqual([
      ['10000', '1/4'],
      ['10000', '2/4'],
      ['10000', null],
      ['7', '1/4'],
    ])
  })

  it('is nothing, unless somebody follows the work', async () => {
    told.length = 0
    const fetch = resilientFetch({ fetch: listen, retry: false })
    await fetch(url)
    await withDeadline(5_000, () => fetch(url))
    expect(told[0]).toEqual([null, null])
    expect(Number(told[1]?.[0])).toBeGreaterThan(4_000)
    expect(Number(told[1]?.[0])).toBeLessThanOrEqual(5_000)
  })
})

describe('wrong options', () => {
  it.each<[string, object, string]>([
    ['an unknown one', { retries: 3 }, 'unknown option "retries"'],
    ['an unknown one of a level', { retry: { retries: 3 } }, 'unknown option "retries"'],
    ['a limit below 0', { timeout: -1 }, 'timeout must be'],
    ['an attempt longer than all', { timeout: 10, attemptTimeout: 20 }, 'at most timeout, 10 ms'],
    [
      'an attempt longer than the standard',
      { attemptTimeout: 40_000 },
      'at most timeout, 30000 ms',
    ],
    ['a level that is none', { bulkhead: 10 }, 'bulkhead must be'],
    ['a limit as text', { idleTimeout: '5' }, 'idleTimeout must be'],
    ['no fetch', { fetch: 'fetch' }, 'fetch must be a function'],
  ])('are said at once: %s', (_what, options, message) => {
    expect(() => resilientFetch(options)).toThrow(message)
  })

  it('of one request are said before it is sent', async () => {
    let calls = 0
    const fetch = resilientFetch({ fetch: async () => new Response(String(++calls)) })
    const wrong = [{ timeout: -1 }, { retries: 1 }, { attemptTimeout: 90_000 }, null, 5, 'fast']
    for (const resilience of wrong) {
      const error = await rejection(fetch(url, { resilience } as never))
      expect(String(error)).toMatch(/^(Type|Range)Error: resilientFetch: resilience: /)
    }
    expect(calls).toBe(0)
  })

  it('of one request that stand beside `resilience` would do nothing, and are refused', async () => {
    const fetch = resilientFetch({ fetch: say(200) })
    for (const name of ['idempotent', 'idempotencyKey', 'idleTimeout', 'attemptTimeout']) {
      expect(String(await rejection(fetch(url, { [name]: 1 } as never)))).toBe(
        `TypeError: resilientFetch: ${name} belongs into resilience: { ${name} }`,
      )
    }
    // Names that clients use themselves pass, as they do with fetch.
    expect((await fetch(url, { timeout: 5, agent: {} } as never)).status).toBe(200)
  })
})

describe('events', () => {
  it('tell of each call once, of retries, refusals and the circuit', async () => {
    const fetch = resilientFetch({
      fetch: say(503, 500, 200, 500),
      retry: { baseDelay: 0, maxRetries: 2 },
      circuitBreaker: { failureThreshold: 3 },
    })
    const told: string[] = []
    const stop = fetch.subscribe((event) =>
      told.push(event.type === 'call' ? `call ${event.ending} ${event.attempts}` : event.type),
    )
    await (await fetch(url)).text()
    await fetch(url)
    stop()
    await rejection(fetch(url))
    expect(told).toEqual([
      ...['retry', 'retry', 'call succeeded 3'],
      ...['retry', 'retry', 'state-change', 'give-up', 'call failed 3'],
    ])
  })
})

describe('the origin of an address', () => {
  it('is what a URL says, however the address is written', async () => {
    const label = fc.string({ unit: fc.constantFrom(...'abz09-'), minLength: 1, maxLength: 4 })
    const host = fc.oneof(
      fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.')),
      fc.constantFrom('127.0.0.1', '127.1', '[::1]', 'EXAMPLE.com', 'a..b', 'xn--a', '1.2.3.4.5'),
    )
    const port = fc.oneof(
      fc.constant(''),
      fc.nat({ max: 70_000 }).map((number) => `:${number}`),
      fc.constantFrom(':80', ':443', ':080', ':0', ':65535', ':65536', ':8080'),
    )
    const rest = fc.constantFrom('', '/', '/a', '?q', '#h', '\\x', '@b.example', '/a@b')
    const scheme = fc.constantFrom('http://', 'https://', 'HTTP://', 'https:/')
    const fetch = resilientFetch({ fetch: say(200), maxCompartments: 1_000_000 })
    await holds(
      fc.asyncProperty(scheme, host, port, rest, async (...parts) => {
        const address = parts.join('')
        if (!URL.canParse(address)) return
        const { origin, hostname } = new URL(address)
        await fetch(address)
        // A name that only looks like one may stay as it is written.
        if (/^[\d.]*$/.test(hostname)) return
        expect(fetch.stats().at(-1)?.key).toBe(origin)
      }),
      2_000,
    )
  })
})
