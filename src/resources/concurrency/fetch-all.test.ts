import { type FetchAllOptions, fetchAll, retry } from 'holdfast'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { caught, hangs } from '../../../test/support/calls.ts'

const ok: FetchAllOptions['fetch'] = async (url) => new Response(`page of ${url}`)

afterEach(() => void vi.unstubAllGlobals())

describe('fetchAll', () => {
  it('gives the responses in order, whatever their status', async () => {
    const fetch: FetchAllOptions['fetch'] = async (url) => new Response('', { status: Number(url) })
    const responses = await fetchAll(['200', '404', '500'], { fetch })
    expect(responses.map(({ status }) => status)).toEqual([200, 404, 500])
  })

  it('calls the fetch that is global at that moment', async () => {
    vi.stubGlobal('fetch', ok)
    const [response] = await fetchAll(['/a'])
    expect(await response?.text()).toBe('page of /a')
  })

  it('reads while it holds the place, and passes method, headers and signal', async () => {
    const inits: RequestInit[] = []
    const fetch: FetchAllOptions['fetch'] = async (url, init) => {
      inits.push(init)
      return new Response(JSON.stringify({ url }))
    }
    const read = async (response: Response, { index }: { index: number }): Promise<unknown> => [
      index,
      await response.json(),
    ]
    expect(await fetchAll(['a'], { fetch, read, init: { method: 'POST' } })).toEqual([
      [0, { url: 'a' }],
    ])
    expect(inits[0]).toMatchObject({ method: 'POST', signal: { aborted: false } })
  })

  it('runs each request under the policy', async () => {
    let calls = 0
    const fetch: FetchAllOptions['fetch'] = async () => {
      if (++calls === 1) throw new TypeError('fetch failed')
      return new Response('')
    }
    expect(await fetchAll(['a'], { fetch, policy: retry({ baseDelay: 0 }) })).toHaveLength(1)
    expect(calls).toBe(2)
  })

  it('cancels the bodies that nobody will get when it stops', async () => {
    const cancelled: string[] = []
    const late = new Map<string, (response: Response) => void>()
    const body = (url: string): ReadableStream =>
      new ReadableStream({ cancel: () => void cancelled.push(url) })
    const fetch: FetchAllOptions['fetch'] = (url) => {
      if (url === 'bad') return Promise.reject(new Error('refused'))
      if (url === 'late') return new Promise((resolve) => late.set(url, resolve))
      return Promise.resolve(new Response(body(String(url))))
    }
    const options = { fetch, concurrency: 2 }
    const { error } = await caught(fetchAll(['good', 'late', 'bad'], options))
    expect(error).toEqual(new Error('refused'))
    expect(cancelled).toEqual(['good'])
    late.get('late')?.(new Response(body('late')))
    await vi.waitFor(() => expect(cancelled).toEqual(['good', 'late']), 20_000)
  })

  it('cancels what a read that fails has left, before the next try', async () => {
    const told: string[] = []
    let calls = 0
    const fetch: FetchAllOptions['fetch'] = async () => {
      told.push(`call ${++calls}`)
      const body = new ReadableStream({ cancel: () => void told.push(`cancel ${calls}`) })
      return new Response(body, { status: calls === 1 ? 503 : 200 })
    }
    const read = (response: Response): number => {
      if (!response.ok) throw new Error('busy')
      return response.status
    }
    const policy = retry({ baseDelay: 0, shouldRetry: () => true })

    expect(await fetchAll(['a'], { fetch, read, policy })).toEqual([200])
    expect(told).toEqual(['call 1', 'cancel 1', 'call 2'])
  })

  it('refuses one address, which is no list of them', async () => {
    let calls = 0
    const fetch: FetchAllOptions['fetch'] = async () => {
      calls++
      return new Response('')
    }
    const { error } = await caught(fetchAll('http://127.0.0.1/', { fetch }))

    expect(error).toMatchObject({ name: 'TypeError', message: expect.stringContaining('[url]') })
    expect(calls).toBe(0)
    expect((await caught(fetchAll([], { init: 5 as never }))).error).toMatchObject({
      message: 'fetchAll: init must be a RequestInit, but was 5',
    })
  })

  it('leaves them to whoever wants the report', async () => {
    const results: unknown[] = []
    const fetch: FetchAllOptions['fetch'] = (url, init) =>
      url === 'bad' ? Promise.reject(new Error('refused')) : (ok?.(url, init) ?? hangs())
    await caught(
      fetchAll(['good', 'bad'], {
        fetch,
        concurrency: 1,
        onStop: (report) => results.push(...report.results),
      }),
    )
    const [good, bad] = results as PromiseSettledResult<Response>[]
    expect(good?.status === 'fulfilled' && (await good.value.text())).toBe('page of good')
    expect(bad).toMatchObject({ status: 'rejected' })
  })

  it('settles when asked to, and survives what is no response', async () => {
    const fetch = (async (url: string) => {
      if (url === 'bad') throw new Error('refused')
      return null
    }) as unknown as NonNullable<FetchAllOptions['fetch']>
    const settled = await fetchAll(['odd', 'bad'], { fetch, settle: true, concurrency: 1 })
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect((await caught(fetchAll(['odd', 'bad'], { fetch }))).error).toEqual(new Error('refused'))
    expect((await caught(fetchAll(['a'], { retries: 3 } as never))).error).toMatchObject({
      name: 'TypeError',
    })
  })
})
