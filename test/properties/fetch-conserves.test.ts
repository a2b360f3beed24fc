/**
 * Random requests over a fetch that does whatever fetches do, in virtual time. Whatever happens: nothing
 * is sent twice that must not be, every call ends in time, every slot comes back, every body that nobody
 * reads is let go, and no timer stays.
 */
import fc from 'fast-check'
import { resilientFetch } from 'holdfast/fetch'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from './seed.ts'

const TOTAL = 5_000
const SLOTS = 3

type Body = 'none' | 'whole' | 'slow' | 'breaks' | 'stalls'

/** What one attempt meets. */
interface Fate {
  readonly delay: number
  readonly end: number | 'refused' | 'reset' | 'hangs' | 'deaf'
  readonly body: Body
  readonly retryAfter: string | undefined
}

/** One request, and what its caller does with the answer. */
interface Request {
  readonly at: number
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly keyed: boolean
  readonly streamed: boolean
  readonly abortAfter: number | undefined
  readonly use: 'text' | 'stream' | 'cancel' | 'ignore' | 'clone'
  readonly fates: readonly Fate[]
}

const fate: fc.Arbitrary<Fate> = fc.record({
  delay: fc.constantFrom(0, 1, 50, 400, 1_500),
  end: fc.constantFrom<Fate['end']>(
    200,
    200,
    404,
    429,
    500,
    503,
    'refused',
    'reset',
    'hangs',
    'deaf',
  ),
  body: fc.constantFrom<Body>('none', 'whole', 'slow', 'breaks', 'stalls'),
  retryAfter: fc.constantFrom(undefined, undefined, '0', '1', '99999', 'nonsense'),
})

const request: fc.Arbitrary<Request> = fc.record({
  at: fc.nat({ max: 3_000 }),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  keyed: fc.boolean(),
  streamed: fc.boolean(),
  abortAfter: fc.option(fc.nat({ max: 6_000 }), { nil: undefined, freq: 3 }),
  use: fc.constantFrom('text', 'stream', 'cancel', 'ignore', 'clone'),
  fates: fc.array(fate, { minLength: 1, maxLength: 4 }),
})

/** What has become of the bodies that were given out. */
interface Tally {
  open: number
}

class World {
  readonly clock: VirtualClock = virtualClock()
  readonly tally: Tally = { open: 0 }
  /** By request: how often it was sent so that it may have had an effect, and its keys. */
  readonly effects: number[] = []
  readonly keys: Set<string>[] = []
  running = 0
  most = 0

  /** A fetch to which the same request always has the same fate. */
  fetch(requests: readonly Request[]): (input: string, init: RequestInit) => Promise<Response> {
    const attempts = requests.map(() => 0)
    return async (input, init) => {
      const index = Number(new URL(input).pathname.slice(1))
      const { fates } = requests[index] as Request
      const nth = (attempts[index] as number)++
      const { delay, end, body, retryAfter } = fates[Math.min(nth, fates.length - 1)] as Fate
      const signal = init.signal as AbortSignal
      if (end !== 'refused') {
        this.effects[index] = (this.effects[index] ?? 0) + 1
        this.keys[index] ??= new Set()
        this.keys[index]?.add(new Headers(init.headers).get('idempotency-key') ?? '')
        if (init.body instanceof ReadableStream) await init.body.getReader().read()
      }
      this.most = Math.max(this.most, ++this.running)
      try {
        await this.#wait(
          end === 'hangs' ? Number.POSITIVE_INFINITY : delay,
          end === 'deaf' ? undefined : signal,
        )
      } finally {
        this.running--
      }
      if (end === 'refused' || end === 'reset') {
        const code = end === 'refused' ? 'ECONNREFUSED' : 'ECONNRESET'
        throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) })
      }
      const status = typeof end === 'number' ? end : 200
      const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
      return new Response(this.#body(body, signal), { status, headers })
    }
  }

  #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const timer = this.clock.setTimer(resolve, ms)
      signal?.addEventListener('abort', () => {
        timer.cancel()
        reject(signal.reason)
      })
    })
  }

  #body(kind: Body, signal: AbortSignal): ReadableStream | null {
    if (kind === 'none') return null
    this.tally.open++
    let pieces = 0
    let isOpen = true
    const close = (): void => {
      if (isOpen) this.tally.open--
      isOpen = false
    }
    return new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        signal.addEventListener('abort', () => {
          if (isOpen) controller.error(signal.reason)
          close()
        })
      },
      pull: async (controller) => {
        const wait =
          kind === 'slow' ? 700 : kind === 'stalls' && pieces > 0 ? Number.POSITIVE_INFINITY : 1
        await this.#wait(wait, signal).catch(() => {})
        if (!isOpen) return
        if (pieces === 3 && kind === 'breaks') {
          close()
          controller.error(new TypeError('terminated', { cause: { code: 'UND_ERR_SOCKET' } }))
        } else if (pieces === 3) {
          close()
          controller.close()
          controller.byobRequest?.respond(0)
        } else {
          pieces++
          controller.enqueue(new Uint8Array(10).fill(65))
        }
      },
      cancel: close,
    })
  }
}

async function use(response: Response, how: Request['use']): Promise<void> {
  if (how === 'text') await response.text()
  if (how === 'cancel') await response.body?.cancel()
  if (how === 'stream') for await (const _piece of response.body ?? []);
  if (how === 'clone') await Promise.all([response.clone().text(), response.text()])
}

async function play(requests: readonly Request[]): Promise<void> {
  const world = new World()
  const { clock } = world
  const fetch = resilientFetch({
    clock,
    random: () => 0.5,
    fetch: world.fetch(requests),
    timeout: TOTAL,
    attemptTimeout: 1_000,
    idleTimeout: 2_000,
    bulkhead: { maxConcurrent: SLOTS, maxQueue: 2, abandonAfter: 60_000 },
  })
  /** How long each call took, its body included. */
  const durations: number[] = []
  requests.forEach((one, index) => {
    const { at, method, keyed, streamed, abortAfter, use: how } = one
    clock.setTimer(async () => {
      const controller = new AbortController()
      if (abortAfter !== undefined) clock.setTimer(() => controller.abort('user'), abortAfter)
      const began = clock.now()
      const content = streamed ? new Blob(['body']).stream() : 'body'
      const init = {
        method,
        signal: controller.signal,
        headers: keyed ? { 'idempotency-key': `key ${index}` } : {},
        ...(method === 'GET' ? {} : { body: content, duplex: 'half' }),
      } as RequestInit
      await fetch(`https://api.example/${index}`, init)
        .then((response) => use(response, how))
        .catch(() => {})
      durations[index] = clock.now() - began
    }, at)
  })
  // Work that takes no notice of its signal ends later than its caller's patience.
  await clock.advance(20_000)

  expect(Object.keys(durations)).toHaveLength(requests.length)
  expect(Math.max(...durations)).toBeLessThanOrEqual(TOTAL)
  requests.forEach(({ method, keyed, streamed }, index) => {
    const mayRepeat = (method !== 'POST' || keyed) && (method === 'GET' || !streamed)
    if (!mayRepeat) expect(world.effects[index] ?? 0).toBeLessThanOrEqual(1)
    expect(world.keys[index]?.size ?? 1).toBe(1)
  })
  expect(world.most).toBeLessThanOrEqual(SLOTS)
  expect(world.tally.open).toBe(0)
  expect(fetch.stats()[0]?.stats.inFlight ?? 0).toBe(0)
  await clock.advance(200_000)
  clock.assertIdle()
}

describe('random requests over a fetch that fails in every way', () => {
  it('are sent no more than they may be, end in time, and leave nothing behind', async () => {
    const noise: unknown[] = []
    const onNoise = (reason: unknown): void => void noise.push(reason)
    process.on('unhandledRejection', onNoise)
    try {
      await holds(fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 6 }), play), 1_000)
    } finally {
      process.off('unhandledRejection', onNoise)
    }
    expect(noise).toEqual([])
  }, 300_000)
})
