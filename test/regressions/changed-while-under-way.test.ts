/** RT11: what a caller changes after the call must change no attempt, and a body that stalls must not hang. */
import { resilientFetch } from 'holdfast/fetch'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it, vi } from 'vitest'
import { quiet, rejection, watch } from '../support/calls.ts'

/** Fails once for each address, and says what it was sent. */
function server() {
  const seen: { url: string; id: string | null; body: string }[] = []
  const known = new Set<string>()
  const fetch = async (input: Request | string, init: RequestInit): Promise<Response> => {
    const request = new Request(input, init)
    const { url } = request
    seen.push({ url, id: request.headers.get('x-id'), body: await request.text() })
    const isFirst = !known.has(url)
    known.add(url)
    return new Response(url, { status: isFirst ? 503 : 200 })
  }
  return { seen, fetch: resilientFetch({ fetch, retry: { baseDelay: 0 } }) }
}

describe('RT11 a retry goes with what the caller has changed since', () => {
  it('no: not to the address of the next request', async () => {
    const { fetch } = server()
    const url = new URL('https://api.example/list')
    const pages = [1, 2, 3].map((page) => {
      url.searchParams.set('page', String(page))
      return fetch(url).then((response) => response.text())
    })

    expect(await Promise.all(pages)).toEqual(
      [1, 2, 3].map((page) => `https://api.example/list?page=${page}`),
    )
  })

  const headers: Record<string, () => [RequestInit['headers'], (id: string) => void]> = {
    'an object': () => {
      const given: Record<string, string> = { 'x-id': 'first' }
      return [given, (id) => Object.assign(given, { 'x-id': id })]
    },
    Headers: () => {
      const given = new Headers({ 'x-id': 'first' })
      return [given, (id) => given.set('x-id', id)]
    },
    pairs: () => {
      const pair: [string, string] = ['x-id', 'first']
      return [[pair], (id) => Object.assign(pair, { 1: id })]
    },
  }

  it.each(Object.entries(headers))('no: not with other headers (%s)', async (_what, make) => {
    const { fetch, seen } = server()
    const [given, change] = make()
    const pending = fetch('https://api.example/', given === undefined ? {} : { headers: given })
    change('second')
    await pending

    expect(seen.map(({ id }) => id)).toEqual(['first', 'first'])
  })

  it('no: not with the headers that a Request has got since', async () => {
    const { fetch, seen } = server()
    const request = new Request('https://api.example/', { headers: { 'x-id': 'first' } })
    const pending = fetch(request)
    request.headers.set('x-id', 'second')
    await pending

    expect(seen.map(({ id }) => id)).toEqual(['first', 'first'])
  })

  const bodies: Record<string, () => [NonNullable<RequestInit['body']>, () => unknown]> = {
    bytes: () => {
      const bytes = new TextEncoder().encode('first')
      return [bytes, () => bytes.fill(0)]
    },
    'a form': () => {
      const form = new FormData()
      form.append('a', 'first')
      return [form, () => form.append('b', 'second')]
    },
    parameters: () => {
      const parameters = new URLSearchParams({ a: 'first' })
      return [parameters, () => parameters.append('b', 'second')]
    },
  }

  it.each(Object.entries(bodies))(
    'no: not with another body, even if only nothing could be sent (%s)',
    async (_what, make) => {
      const sent: string[] = []
      const fetch = resilientFetch({
        retry: { baseDelay: 0 },
        fetch: async (input: string, init: RequestInit) => {
          sent.push(await new Request(input, init).text())
          if (sent.length > 1) return new Response()
          const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
          throw new TypeError('fetch failed', { cause })
        },
      })
      const [body, change] = make()
      const pending = fetch('https://api.example/', { method: 'POST', body })
      change()
      await pending

      expect(sent).toHaveLength(2)
      for (const text of sent) {
        expect(text).toContain('first')
        expect(text).not.toContain('second')
      }
    },
  )
})

describe('RT11 a key that is none makes requests one', () => {
  it.each([undefined, '', 7, null])('no: a maker that gives %o is told so', async (made) => {
    let calls = 0
    const fetch = resilientFetch({
      idempotencyKey: () => made as string,
      fetch: async () => new Response(null, { status: ++calls && 200 }),
    })

    expect(String(await rejection(fetch('https://api.example/', { method: 'POST' })))).toMatch(
      'idempotencyKey: the key that was made must be a string',
    )
    expect(calls).toBe(0)
  })

  it('no: an empty one allows nothing', async () => {
    let calls = 0
    const fetch = resilientFetch({
      retry: { baseDelay: 0 },
      fetch: async () => new Response(null, { status: ++calls && 503 }),
    })
    await fetch('https://api.example/', { method: 'POST', headers: { 'idempotency-key': '' } })

    expect(calls).toBe(1)
  })
})

describe('TO9 the body of a Request that stalls makes its request hang', () => {
  const stalls = (cancelled: unknown[]): Request =>
    new Request('https://api.example/', {
      method: 'PUT',
      body: new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode('begun')),
        pull: () => new Promise(() => {}),
        cancel: (reason) => void cancelled.push(reason),
      }),
      duplex: 'half',
    } as RequestInit)

  it('no: it ends in time, and lets go of the body', async () => {
    const clock = virtualClock()
    const cancelled: unknown[] = []
    const sent: unknown[] = []
    const fetch = resilientFetch({
      clock,
      timeout: 500,
      fetch: async (input: Request) => {
        sent.push(input)
        return new Response()
      },
    })
    const pending = watch(fetch(stalls(cancelled)))
    await clock.advance(500)
    await quiet()

    expect(pending.reason).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect([cancelled.length, sent.length]).toEqual([1, 0])
    expect(fetch.stats()[0]?.stats.inFlight).toBe(0)
  })

  it('no: it ends with its caller', async () => {
    const cancelled: unknown[] = []
    const fetch = resilientFetch({ fetch: async () => new Response() })
    const controller = new AbortController()
    const pending = rejection(fetch(stalls(cancelled), { signal: controller.signal }))
    await quiet()
    controller.abort('gone')

    expect([await pending, cancelled]).toEqual(['gone', ['gone']])
  })
})

describe('TO9 the source of a body stays open when nobody sends it any more', () => {
  const never = (): Promise<never> => new Promise(() => {})
  /** As undici does it: waits for the next piece, whatever becomes of the request. */
  const send = async (input: string, init: RequestInit): Promise<Response> => {
    const aborted = new Promise<never>((_resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason))
    })
    return Promise.race([aborted, new Request(input, init).text().then(() => new Response())])
  }
  const sources: Record<string, (ended: () => void) => object> = {
    'a stream': (cancel) => new ReadableStream({ pull: never, cancel }),
    'an async iterable': (ended) => ({
      [Symbol.asyncIterator]: () => ({
        next: never,
        return: async () => {
          ended()
          return { done: true, value: undefined }
        },
      }),
    }),
  }

  it.each(Object.entries(sources))('no: %s is told', async (_what, make) => {
    const ended = vi.fn()
    const controller = new AbortController()
    const fetch = resilientFetch({ fetch: send })
    const init = { method: 'PUT', body: make(ended), duplex: 'half', signal: controller.signal }
    const pending = rejection(fetch('https://api.example/', init as RequestInit))
    await quiet()
    controller.abort('gone')

    expect(await pending).toBe('gone')
    await vi.waitFor(() => expect(ended).toHaveBeenCalled(), 20_000)
  })
})
