/** Three services in a row over one that is down, each with a retry of four attempts. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { retry } from 'holdfast'
import { outgoingHeaders, withDeadline } from 'holdfast/node'
import { overloadGuard } from 'holdfast/server'
import { afterEach, describe, expect, it } from 'vitest'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
})

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Calls the next service up to four times; `aware` ones say so, and listen to those above. */
function caller(url: string, aware: boolean): () => Promise<string> {
  const again = retry({ maxRetries: 3, baseDelay: 0 })
  return () =>
    again.execute(async ({ attempt, signal }) => {
      const headers = aware ? outgoingHeaders({ attempt, maxAttempts: 4 }) : {}
      const answer = await fetch(url, { headers, signal })
      if (!answer.ok) throw Object.assign(new Error('below is down'), { status: 503 })
      return answer.text()
    })
}

async function row(aware: boolean) {
  const seen: (string | undefined)[] = []
  const last = await listen((request, response) => {
    seen.push(request.headers['x-deadline-ms'] as string | undefined)
    response.writeHead(503).end()
  })
  let next = last
  for (let layer = 0; layer < 2; layer++) {
    const call = caller(next, aware)
    const handle: RequestListener = (_request, response) => {
      call().then(
        (text) => response.end(text),
        () => response.writeHead(503).end(),
      )
    }
    next = await listen(aware ? overloadGuard().wrap(handle) : handle)
  }
  return { top: caller(next, aware), seen }
}

describe('retries over three layers', () => {
  it('multiply to 64 calls when no layer knows of the others', async () => {
    const { top, seen } = await row(false)

    await expect(top()).rejects.toThrow('below is down')

    expect(seen).toHaveLength(64)
  })

  it('stay 4 calls when each layer knows that the one above tries again', async () => {
    const { top, seen } = await row(true)

    await expect(top()).rejects.toThrow('below is down')

    expect(seen).toHaveLength(4)
  })

  it('carry the time that is left down to the last one', async () => {
    const { top, seen } = await row(true)

    await expect(withDeadline(5_000, top)).rejects.toThrow('below is down')

    const left = seen.map(Number)
    expect(left).toHaveLength(4)
    for (const time of left) expect(time).toBeLessThanOrEqual(5_000)
    expect([...left].sort((one, other) => other - one)).toEqual(left)
  })
})
