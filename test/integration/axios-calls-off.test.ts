/** The ways in which axios calls a request off, over the real client: each of them ends everything at once. */
import axios, { type AxiosRequestConfig } from 'axios'
import { type ResilientAdapter, resilientAdapter } from 'holdfast/axios'
import { afterEach, describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'
import {
  always,
  type Behaviour,
  drip,
  type HostileServer,
  hostileServer,
  stallAfter,
} from '../support/hostile-server.ts'
import { withoutNoise } from '../support/leaks.ts'

type CalledOff = readonly [config: AxiosRequestConfig, callOff: () => void]

/** A signal of another make: of another realm, or a polyfill. */
class OtherSignal extends EventTarget {
  aborted = false
  abort(): void {
    this.aborted = true
    this.dispatchEvent(new Event('abort'))
  }
}

const ways: Record<string, () => CalledOff> = {
  'a signal': () => {
    const controller = new AbortController()
    return [{ signal: controller.signal }, () => controller.abort()]
  },
  'a signal of another make': () => {
    const signal = new OtherSignal()
    return [{ signal }, () => signal.abort()]
  },
  'a token': () => {
    const { token, cancel } = axios.CancelToken.source()
    return [{ cancelToken: token }, () => cancel('called off')]
  },
}

let server: HostileServer
let adapter: ResilientAdapter<never, never>

async function clientOf(behaviour: Behaviour) {
  server = await hostileServer({ '/': behaviour })
  const made = resilientAdapter(axios.getAdapter('http'), {
    retry: { baseDelay: 10_000 },
    circuitBreaker: { failureThreshold: 1 },
  })
  adapter = made as never
  return axios.create({ baseURL: server.url, adapter: made })
}

const stats = () => adapter.stats()[0]?.stats

afterEach(() => server?.close())

describe.each(Object.entries(ways))('%s', (_what, make) => {
  it.each<[string, Behaviour]>([
    ['while axios waits for the answer', stallAfter()],
    ['in a pause', always(503)],
  ])('ends a request %s, and nothing is sent any more', async (_when, behaviour) => {
    const client = await clientOf(behaviour)
    const [config, callOff] = make()
    const began = performance.now()
    const pending = rejection(client.get('/', config))
    await until(() => server.count('/') === 1)
    callOff()

    expect(axios.isCancel(await pending)).toBe(true)
    expect(performance.now() - began).toBeLessThan(5_000)
    expect([server.count('/'), stats()?.aborted]).toEqual([1, 1])
  })

  it('ends a stream, which is not held against the server', async () => {
    const client = await clientOf(drip(10))
    const [config, callOff] = make()
    await withoutNoise(async () => {
      const { data } = await client.get('/', { ...config, responseType: 'stream' })
      const read = (async () => {
        for await (const _ of data);
      })()
      callOff()
      expect(axios.isCancel(await rejection(read))).toBe(true)
    })
    await until(() => server.connections.open === 0)

    expect((await client.get('/next')).status).toBe(200)
  })
})

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { interval: 5 }).toBe(true)
}
