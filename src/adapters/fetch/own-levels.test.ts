import {
  adaptiveConcurrency,
  bulkhead,
  circuitBreaker,
  hedge,
  type PolicyLike,
  pipeline,
  rateLimiter,
  retry,
  timeout,
} from 'holdfast'
import { resilientFetch } from 'holdfast/fetch'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { gate, quiet, rejection, watch } from '../../../test/support/calls.ts'

const url = 'https://api.example/things'

/** A server that answers when it is told to, and takes notice of an abort. */
function slowServer() {
  const sent: { readonly method: string; readonly signal: AbortSignal }[] = []
  const answers = [gate<Response>(), gate<Response>(), gate<Response>(), gate<Response>()]
  const fetch = (
    _input: string,
    init: RequestInit & { signal: AbortSignal },
  ): Promise<Response> => {
    const { method = 'GET', signal } = init
    const answer = answers[sent.push({ method, signal }) - 1]
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      answer?.promise.then(resolve, reject)
    })
  }
  return { sent, answers, fetch }
}

/** Endless, so that somebody has to let go of it. */
function body(cancelled: string[], name: string): ReadableStream {
  return new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    cancel: () => void cancelled.push(name),
  })
}

describe('a level of your own that makes requests wait', () => {
  const levels: Record<string, (clock: VirtualClock) => PolicyLike> = {
    'an adaptive limit': (clock) =>
      adaptiveConcurrency({ initialLimit: 1, maxLimit: 1, maxQueue: 9, clock }),
    'a pipeline': (clock) =>
      pipeline({ name: 'own', clock }, bulkhead({ maxConcurrent: 1, maxQueue: 9, clock })),
  }

  it.each(Object.entries(levels))(
    '%s: is left by whoever aborts, and by whose time is up',
    async (_what, make) => {
      const clock = virtualClock()
      const { sent, fetch: send } = slowServer()
      const fetch = resilientFetch({
        clock,
        fetch: send,
        retry: false,
        timeout: 1_000,
        bulkhead: () => make(clock),
      })
      const controller = new AbortController()
      watch(fetch(url, { resilience: { timeout: 60_000, attemptTimeout: 60_000 } }))
      const aborted = watch(fetch(url, { signal: controller.signal }))
      const late = watch(fetch(url))
      await quiet()
      controller.abort('gone')
      await clock.advance(1_000)
      expect([aborted.reason, late.reason]).toMatchObject(['gone', { code: 'ERR_TIMEOUT' }])

      const next = watch(fetch(url, { resilience: { timeout: 5_000 } }))
      await clock.advance(1_100)
      expect([next.status, sent.length]).toEqual(['pending', 1])
    },
  )

  it('gives the turn of whoever aborted to the next', async () => {
    const clock = virtualClock()
    const fetch = resilientFetch({
      clock,
      fetch: async () => new Response(null),
      bulkhead: () => rateLimiter({ limit: 1, interval: 1_000, maxQueue: 9, clock }),
    })
    await fetch(url)
    const controller = new AbortController()
    const aborted = watch(fetch(url, { signal: controller.signal }))
    const next = watch(fetch(url))
    await quiet()
    controller.abort('gone')
    await clock.advance(1_000)
    expect([aborted.reason, next.status]).toEqual(['gone', 'fulfilled'])
  })

  it('serves the important first', async () => {
    const seen: string[] = []
    const first = gate()
    const fetch = resilientFetch({
      bulkhead: { maxConcurrent: 1, maxQueue: 9 },
      fetch: async (input: string) => {
        seen.push(input.slice(url.length))
        await first.promise
        return new Response(null)
      },
    })
    const calls = ['/a', '/b', '/c'].map((path) => fetch(url + path))
    calls.push(fetch(`${url}/vip`, { resilience: { priority: 5 } }))
    first.open()
    await Promise.all(calls)
    expect(seen).toEqual(['/a', '/vip', '/b', '/c'])
  })
})

describe('a level of your own that gives up', () => {
  it.each(['circuitBreaker', 'bulkhead'] as const)('ends its request (%s)', async (level) => {
    const clock = virtualClock()
    const { sent, answers, fetch: send } = slowServer()
    const fetch = resilientFetch({
      clock,
      fetch: send,
      [level]: () => timeout({ duration: 50, clock }),
      retry: { baseDelay: 1 },
    })
    const pending = watch(fetch(url))
    await clock.advance(60)
    answers[1]?.open(new Response('second'))
    await quiet()
    expect([pending.status, sent.length, sent[0]?.signal.aborted]).toEqual(['fulfilled', 2, true])
  })
})

describe('an event stream that lasts longer than the total limit', () => {
  const events = (pieces: string[]): Response => {
    const body = new ReadableStream({
      pull(controller) {
        const piece = pieces.shift()
        if (piece === undefined) controller.close()
        else controller.enqueue(new TextEncoder().encode(piece))
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  const outlasts = async (clock: VirtualClock, response: Response): Promise<void> => {
    const reader = response.body?.getReader()
    await reader?.read()
    await clock.advance(5_000)
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('two')
    expect((await reader?.read())?.done).toBe(true)
  }

  it('goes on, although its request stood in line', async () => {
    const clock = virtualClock()
    const { answers, fetch: send } = slowServer()
    const bulkhead = { maxConcurrent: 1, maxQueue: 1 }
    const fetch = resilientFetch({ clock, fetch: send, timeout: 1_000, bulkhead })
    const [first, second] = [fetch(url), fetch(url)]
    answers[0]?.open(new Response(null))
    await first
    answers[1]?.open(events(['one', 'two']))
    await outlasts(clock, await second)
  })

  it('goes on, although it is the trial of its circuit', async () => {
    const clock = virtualClock()
    const { answers, fetch: send } = slowServer()
    const circuit = circuitBreaker({ failureThreshold: 1, resetTimeout: 100, clock })
    const circuitLevel = pipeline({ name: 'guarded', clock }, circuit)
    const fetch = resilientFetch({
      ...{ clock, fetch: send, timeout: 1_000, retry: false },
      circuitBreaker: circuitLevel,
    })
    answers[0]?.open(new Response(null, { status: 503 }))
    await fetch(url)
    await clock.advance(100)
    expect(circuit.state).toBe('half-open')
    answers[1]?.open(events(['one', 'two']))
    await outlasts(clock, await fetch(url))
  })
})

describe('a policy in place of the retry that makes two requests at a time', () => {
  it('gets the first answer, and lets go of the loser', async () => {
    const clock = virtualClock()
    const { sent, answers, fetch: send } = slowServer()
    const fetch = resilientFetch({ clock, fetch: send, retry: () => hedge({ delay: 10, clock }) })
    const pending = watch(fetch(url))
    await clock.advance(10)
    answers[1]?.open(new Response('second'))
    await quiet()
    expect(await (pending.value as Response).text()).toBe('second')
    expect([sent.length, sent[0]?.signal.aborted]).toEqual([2, true])
    expect(fetch.stats()[0]?.stats).toMatchObject({ calls: 1, succeeded: 1, inFlight: 0 })
  })

  it('does so too when it cancels nobody', async () => {
    const { sent, answers, fetch: send } = slowServer()
    const race: PolicyLike = {
      execute: (operation, options) =>
        Promise.race([operation(options), operation(options)]) as never,
    }
    const fetch = resilientFetch({ fetch: send, retry: race })
    const pending = fetch(url)
    await quiet()
    answers[1]?.open(new Response('second'))
    expect(await (await pending).text()).toBe('second')
    expect([sent.length, sent[0]?.signal.aborted]).toEqual([2, true])
  })

  it('never sends at the same time what must not be sent twice', async () => {
    const clock = virtualClock()
    const { sent, answers, fetch: send } = slowServer()
    const fetch = resilientFetch({
      clock,
      fetch: send,
      retry: () => hedge({ delay: 0, maxHedges: 3, clock }),
    })
    const pending = fetch(url, { method: 'POST', body: 'pay' })
    await quiet()
    answers[0]?.open(new Response('paid'))
    expect(await (await pending).text()).toBe('paid')
    expect(sent).toHaveLength(1)
  })

  it('nor after it has given up on the first', async () => {
    const clock = virtualClock()
    const { sent, fetch: send } = slowServer()
    const own = pipeline(
      { name: 'again', clock },
      retry({ baseDelay: 0, clock }),
      timeout({ duration: 50, clock }),
    )
    const fetch = resilientFetch({ clock, fetch: send, retry: own })
    const pending = watch(fetch(url, { method: 'POST', body: 'pay' }))
    await clock.advance(60)
    expect(pending.reason).toMatchObject({ code: 'ERR_TIMEOUT', duration: 50 })
    expect([sent.length, sent[0]?.signal.aborted]).toEqual([1, true])
  })

  it('ends all of them with the caller', async () => {
    const { sent, fetch: send } = slowServer()
    const fetch = resilientFetch({ fetch: send, retry: () => hedge({ delay: 0, maxHedges: 2 }) })
    const controller = new AbortController()
    const pending = rejection(fetch(url, { signal: controller.signal }))
    await quiet()
    controller.abort('gone')
    expect(await pending).toBe('gone')
    await quiet()
    expect(sent.map(({ signal }) => signal.aborted)).toEqual([true, true, true])
  })

  it('gets a bad answer as it came when all were bad, and lets go of the others', async () => {
    const cancelled: string[] = []
    let calls = 0
    const fetch = resilientFetch({
      retry: () => hedge({ delay: 0, maxHedges: 2, budget: false }),
      fetch: async () => {
        const name = `answer ${++calls}`
        return new Response(body(cancelled, name), { status: 503, headers: { name } })
      },
    })
    const response = await fetch(url)
    await quiet()
    const given = response.headers.get('name')
    expect([response.status, calls]).toEqual([503, 3])
    expect(cancelled.toSorted()).toEqual(
      ['answer 1', 'answer 2', 'answer 3'].filter((name) => name !== given),
    )
    await response.body?.cancel()
  })

  it('lets go of a bad answer when a good one came', async () => {
    const cancelled: string[] = []
    let calls = 0
    const fetch = resilientFetch({
      retry: () => hedge({ delay: 1_000 }),
      fetch: async () =>
        ++calls === 1
          ? new Response(body(cancelled, 'bad'), { status: 503 })
          : new Response('good'),
    })
    expect(await (await fetch(url)).text()).toBe('good')
    await quiet()
    expect(cancelled).toEqual(['bad'])
  })
})
