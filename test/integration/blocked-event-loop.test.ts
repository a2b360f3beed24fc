import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { circuitBreaker, pipeline, retry, timeout } from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { caught, hangs } from '../support/calls.ts'

/** A server with an event loop of its own: it answers while ours is blocked. */
const source = `
  const { createServer } = require('node:http')
  const { parentPort } = require('node:worker_threads')
  const server = createServer((_, response) => {
    parentPort.postMessage('asked')
    setTimeout(() => response.end('answer'), 20)
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`

let worker: Worker
let url: string
beforeAll(async () => {
  worker = new Worker(source, { eval: true })
  const [port] = await once(worker, 'message')
  url = `http://127.0.0.1:${port}/`
  // Warmed up: what fetch loads at first is not part of the experiment.
  await Promise.all([asked(), call()])
})
afterAll(() => worker.terminate())

/** The server has got the request; its answer comes 20 ms later. */
const asked = (): Promise<unknown> => once(worker, 'message')

const call = async (): Promise<string> => (await fetch(url)).text()

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('TO5 a blocked event loop makes a false timeout', () => {
  it('delivers the answer that came during the block, and charges nobody', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const calls = pipeline('calls', breaker, timeout(100))
    for (let round = 0; round < 5; round++) {
      const answer = calls.execute(call)
      await asked()
      block(200)

      expect(await answer).toBe('answer')
    }

    expect(breaker.stats()).toMatchObject({ state: 'closed', succeeded: 5, timedOut: 0 })
  })

  it('delivers it to a call with a deadline of its caller as well', async () => {
    const calls = pipeline('calls')
    const answer = calls.execute(call, { deadline: performance.now() + 100 })
    await asked()
    block(200)

    expect(await answer).toBe('answer')
  })

  it('delivers it to a call that began in the very turn that was blocked', async () => {
    const calls = timeout(100)
    const answer = calls.execute(call)
    block(200)

    expect(await answer).toBe('answer')
  })

  it('does not count the block against that call when another one’s limit ends right after it', async () => {
    const calls = timeout(100)
    const earlier = caught(calls.execute(hangs))
    await sleep(50)
    const answer = calls.execute(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return await call()
    })
    block(200)

    expect(await answer).toBe('answer')
    expect((await earlier).error).toMatchObject({ code: 'ERR_TIMEOUT' })
  })

  it('delivers it to the second attempt of a retry as well', async () => {
    const calls = pipeline('calls', retry({ maxRetries: 1, baseDelay: 1 }), timeout(100))
    let attempts = 0
    const answer = calls.execute(async () => {
      if (++attempts === 1) throw new Error('down')
      const text = call()
      await asked()
      block(200)
      return await text
    })

    expect(await answer).toBe('answer')
    expect(attempts).toBe(2)
  })

  it('still ends a call that really hangs, soon after the block', async () => {
    const calls = timeout(50)
    const end = caught(calls.execute(hangs))
    await sleep(5)
    block(200)
    const unblocked = performance.now()

    expect((await end).error).toMatchObject({ code: 'ERR_TIMEOUT', duration: 50 })
    expect(performance.now() - unblocked).toBeLessThan(150)
  })

  it('never fires early, and at most a little late when nothing is blocked', async () => {
    const calls = timeout(60)
    const ends = await Promise.all(
      [0, 7, 13, 29].map(async (delay) => {
        await sleep(delay)
        const began = performance.now()
        await caught(calls.execute(hangs))
        return performance.now() - began
      }),
    )

    for (const took of ends) {
      expect(took).toBeGreaterThanOrEqual(60)
      expect(took).toBeLessThan(300)
    }
  })
})
