import { createServer } from 'node:net'
import { retry } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, rejection } from '../support/calls.ts'
import { thrown } from '../support/thrown.ts'

async function callsAfter(error: unknown): Promise<number> {
  const clock = virtualClock()
  const operation = scripted([{ error }])
  const call = caught(retry({ maxRetries: 1, clock }).execute(operation))
  await clock.runAll()
  expect((await call).error === error).toBe(true)
  return operation.calls
}

const status = (code: number): Error => Object.assign(new Error(`HTTP ${code}`), { status: code })
const coded = (code: string): Error => Object.assign(new Error(code), { code })

describe('RT15 programming errors are retried', () => {
  const never: [string, unknown][] = [
    ['a TypeError', new TypeError('x is not a function')],
    ['a ReferenceError', new ReferenceError('x is not defined')],
    ['a SyntaxError', new SyntaxError('Unexpected token')],
    ['a RangeError', new RangeError('Invalid array length')],
    ['an assertion', Object.assign(new Error('no'), { name: 'AssertionError' })],
    ['a failed assert of Node', coded('ERR_ASSERTION')],
    ['HTTP 400', status(400)],
    ['HTTP 401', status(401)],
    ['HTTP 404', status(404)],
    ['HTTP 422', status(422)],
    ['HTTP 404 in a response', Object.assign(new Error('no'), { response: { status: 404 } })],
    ['an AbortError', new DOMException('stop', 'AbortError')],
  ]
  it.each(never)('makes one attempt after %s', async (_title, error) => {
    expect(await callsAfter(error)).toBe(1)
  })

  const always: [string, unknown][] = [
    ['a connection error', coded('ECONNRESET')],
    ['a refused connection', coded('ECONNREFUSED')],
    ['HTTP 500', status(500)],
    ['HTTP 503', status(503)],
    ['HTTP 408', status(408)],
    ['HTTP 429', status(429)],
    ['HTTP 503 as statusCode', Object.assign(new Error('no'), { statusCode: 503 })],
    ['a failed fetch', new TypeError('fetch failed', { cause: coded('ECONNREFUSED') })],
    ['a failed fetch of a browser', new TypeError('Failed to fetch')],
    ['an error of nobody knows what', new Error('hm')],
    ['a TimeoutError of somebody else', new DOMException('slow', 'TimeoutError')],
  ]
  it.each(always)('makes another attempt after %s', async (_title, error) => {
    expect(await callsAfter(error)).toBe(2)
  })

  it('sees that very error when the function has a bug', async () => {
    let calls = 0
    const nothing = undefined as unknown as { property: string }

    const error = await rejection(
      retry({ baseDelay: 0 }).execute(() => {
        calls++
        return nothing.property
      }),
    )

    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toContain('property')
    expect(calls).toBe(1)
  })

  it('retries a fetch to a closed port', async () => {
    const port = await closedPort()
    let calls = 0

    const error = await rejection(
      retry({ maxRetries: 1, baseDelay: 0 }).execute(() => {
        calls++
        return fetch(`http://127.0.0.1:${port}/`)
      }),
    )

    expect(error).toBeInstanceOf(TypeError)
    expect(calls).toBe(2)
  })

  it('lets shouldRetry decide otherwise, either way', async () => {
    const yes = scripted([{ error: new TypeError('bug') }, 'ok'])
    const no = scripted([{ error: status(503) }, 'ok'])

    expect(await retry({ baseDelay: 0, shouldRetry: () => true }).execute(yes)).toBe('ok')
    await rejection(retry({ baseDelay: 0, shouldRetry: () => false }).execute(no))
    expect(no.calls).toBe(1)
  })

  it('retries a result that is refused, and hands out the last one', async () => {
    const operation = scripted([{ value: 'pending' }])
    const policy = retry({ maxRetries: 2, baseDelay: 0, shouldRetryResult: (r) => r === 'pending' })

    expect(await policy.execute(operation)).toBe('pending')
    expect(operation.calls).toBe(3)
  })
})

describe('RT16 throwing what is no error', () => {
  it.each(thrown)(
    'passes %s unchanged from the first and from the last attempt',
    async (_title, make) => {
      const thing = make()
      for (const maxRetries of [0, 2]) {
        const clock = virtualClock()
        const policy = retry({ maxRetries, clock, shouldRetry: () => true })
        for (const fails of [() => throwIt(thing), async () => throwIt(thing)]) {
          const call = caught(policy.execute(fails))
          await clock.runAll()
          expect((await call).error === thing).toBe(true)
        }
        expect(policy.stats()).toMatchObject({ failed: 2, retries: 2 * maxRetries, inFlight: 0 })
      }
    },
  )
})

function throwIt(thing: unknown): never {
  throw thing
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
