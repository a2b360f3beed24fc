import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { circuitBreaker, pipeline, retry, timeout } from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { caught, hangs } from '../support/calls.ts'

/** A server with an event loop of its own: it answers while ours is blocked, `/held` when it is told to. */
const source = `
  const { createServer } = require('node:http')
  const { parentPort, workerData: answers } = require('node:worker_threads')
  const held = []
  const server = createServer((request, response) => {
    response.on('finish', () => {
      Atomics.add(answers, 0, 1)
      Atomics.notify(answers, 0)
    })
    if (request.url !== '/held') return response.end('answer')
    held.push(response)
    parentPort.postMessage('held')
  })
  parentPort.on('message', () => held.shift().end('answer'))
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`

/** How many answers the server has handed to the system: those wait for us. */
const answers = new Int32Array(new SharedArrayBuffer(4))

let worker: Worker
let url: string
beforeAll(async () => {
  worker = new Worker(source, { eval: true, workerData: answers })
  const [port] = await once(worker, 'message')
  url = `http://127.0.0.1:${port}/`
  // Warmed up: what fetch loads at first is not part of the experiment.
  await call()
})
afterAll(() => worker.terminate())

const call = async (path = ''): Promise<string> => (await fetch(url + path)).text()

/** A request that the server has got; it waits for {@link blockUntilAnswered}. */
async function underWay(): Promise<{ readonly text: Promise<string> }> {
  const text = call('held')
  await once(worker, 'message')
  return { text }
}

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

/** Has the request answered while the event loop is blocked, for longer than any limit here. */
function blockUntilAnswered(): void {
  const before = Atomics.load(answers, 0)
  worker.postMessage('answer')
  expect(Atomics.wait(answers, 0, before, 20_000)).not.toBe('timed-out')
  block(400)
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('TO5 a blocked event loop makes a false timeout', () => {
  it('delivers the answer that came during the block, and charges nobody', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const calls = pipeline('calls', breaker, timeout(200))
    for (let round = 0; round < 5; round++) {
      const { text } = await underWay()
      const answer = calls.execute(() => text)
      await turn()
      blockUntilAnswered()

      expect(await answer).toBe('answer')
    }

    expect(breaker.stats()).toMatchObject({ state: 'closed', succeeded: 5, timedOut: 0 })
  })

  it('delivers it to a call with a deadline of its caller as well', async () => {
    const calls = pipeline('calls')
    const { text } = await underWay()
    const answer = calls.execute(() => text, { deadline: performance.now() + 200 })
    await turn()
    blockUntilAnswered()

    expect(await answer).toBe('answer')
  })

  it('delivers it to a call that began in the very turn that was blocked', async () => {
    const calls = timeout(1_000)
    const answer = calls.execute(() => call())
    block(1_200)

    expect(await answer).toBe('answer')
  })

  it('does not count the block against that call when another one’s limit ends right after it', async () => {
    const calls = timeout(1_000)
    const earlier = caught(calls.execute(hangs))
    await sleep(50)
    const answer = calls.execute(async () => {
      await turn()
      return await call()
    })
    block(1_200)

    expect(await answer).toBe('answer')
    expect((await earlier).error).toMatchObject({ code: 'ERR_TIMEOUT' })
  })

  it('delivers it to the second attempt of a retry as well', async () => {
    const calls = pipeline('calls', retry({ maxRetries: 1, baseDelay: 1 }), timeout(200))
    const { text } = await underWay()
    let attempts = 0
    const answer = calls.execute(async () => {
      if (++attempts === 1) throw new Error('down')
      await turn()
      blockUntilAnswered()
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
    expect(performance.now() - unblocked).toBeLessThan(2_000)
  })

  it('never fires early, and at most a little late when nothing is blocked', async () => {
    const calls = timeout(60)
    const ends = await Promise.all(
      [0, 7, 13, 29].map(async (delay) => {
        await sleep(delay)
        const began = performance.now()
        // A timer of the same length: what makes both late is the machine.
        const timer = sleep(60).then(() => performance.now() - began)
        await caught(calls.execute(hangs))
        return { took: performance.now() - began, timer: await timer }
      }),
    )

    for (const { took, timer } of ends) {
      expect(took).toBeGreaterThanOrEqual(60)
      expect(took - timer).toBeLessThan(200)
    }
  })
})
