/** Hooks of the user's own run after the attempt was let pass, and before there is a request to cut. */
import got from 'got'
import { resilientGot } from 'holdfast/got'
import { afterEach, describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'
import {
  type Behaviour,
  type HostileServer,
  hostileServer,
  ok,
  sequence,
  stallAfter,
} from '../support/hostile-server.ts'

let server: HostileServer
afterEach(() => server.close())

/** A client whose hook takes longer than the limit of an attempt, as often as told. */
async function clientOf(behaviour: Behaviour, slowHooks: number, timeout: number) {
  server = await hostileServer({ '/': behaviour })
  const protection = resilientGot({
    ...{ timeout, attemptTimeout: 300, circuitBreaker: false },
    retry: { baseDelay: 1, maxRetries: 3 },
  })
  let calls = 0
  const slow = async (): Promise<void> => {
    if (++calls <= slowHooks) await new Promise((resolve) => setTimeout(resolve, 400))
  }
  const client = got.extend(protection.extension as object, { hooks: { beforeRequest: [slow] } })
  return { client, protection, url: `${server.url}/` }
}

describe('a limit that ends before got has made its request', () => {
  it('cuts the request as soon as it is there: an attempt, and then all of them', async () => {
    const { client, url } = await clientOf(stallAfter(), Number.POSITIVE_INFINITY, 5_000)

    expect(await rejection(client(url))).toMatchObject({ code: 'ERR_TIMEOUT' })
  })

  it('costs that attempt alone', async () => {
    const { client, protection, url } = await clientOf(sequence(stallAfter(), ok), 1, 10_000)

    expect(await client(url).text()).toBe('ok')
    await expect.poll(() => protection.stats()[0]?.stats.inFlight).toBe(0)
    expect(protection.stats()[0]?.stats).toMatchObject({ calls: 1, succeeded: 1 })
  })

  it('cuts it at the limit of all', async () => {
    const { client, url } = await clientOf(stallAfter(), Number.POSITIVE_INFINITY, 300)

    expect(await rejection(client(url))).toMatchObject({ code: 'ERR_TIMEOUT' })
  })
})
