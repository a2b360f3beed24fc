import { describe, expect, it } from 'vitest'
import type { EnqueueOptions } from '../../core/deferred-queue.ts'
import { TimeoutError } from '../../core/errors.ts'
import { QueueFullError } from '../../core/queue-errors.ts'
import { pipeline } from '../../pipeline/pipeline.ts'
import { memoryQueue } from '../../resources/deferred-queue/memory-queue.ts'
import { scripted } from '../../testing/scripted.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { circuitBreaker } from '../circuit-breaker/circuit-breaker.ts'
import { fallback } from '../fallback.ts'
import { retry } from '../retry/retry.ts'
import { timeout } from '../timeout.ts'
import { isQueued, queueForLater } from './queue-for-later.ts'

const id = (): string => 'order-7'

/** A queue that remembers what it was asked for. */
function recorder() {
  const jobs: { payload: unknown; options: EnqueueOptions | undefined }[] = []
  const enqueue = async (payload: unknown, options?: EnqueueOptions) => {
    jobs.push({ payload, options })
    return { id: options?.id ?? 'random', duplicate: false }
  }
  return { name: 'orders', jobs, enqueue }
}

/** A circuit that is open by hand: it refuses, and nothing is called. */
function isolated() {
  const breaker = circuitBreaker()
  breaker.isolate()
  return breaker
}

const down = async (): Promise<string> => {
  throw new Error('down')
}

describe('queueForLater', () => {
  it('answers with a receipt when the queue has the job', async () => {
    const queue = memoryQueue<readonly unknown[]>({ name: 'orders' })
    const orders = pipeline('orders', fallback(queueForLater(queue, { id })))

    const answer = await orders.wrap((_order: string, _sum: number) => down())('o-7', 12)

    expect(answer).toEqual({ queued: true, id: 'order-7', queue: 'orders', duplicate: false })
    expect(await queue.get('order-7')).toMatchObject({ payload: ['o-7', 12], state: 'waiting' })
  })

  it('says that the queue knew the call already', async () => {
    const queue = memoryQueue<readonly unknown[]>()
    const orders = fallback(queueForLater(queue, { id }))

    await orders.execute(down)

    expect(await orders.execute(down)).toMatchObject({ id: 'order-7', duplicate: true })
  })

  it('does not touch the queue when the call succeeds', async () => {
    const queue = recorder()

    expect(await fallback(queueForLater(queue, { id })).execute(() => 'done')).toBe('done')
    expect(queue.jobs).toEqual([])
  })

  it('maps the call to a payload, a key, a deadline and a trace', async () => {
    const queue = recorder()
    const clock = virtualClock({ wallTime: 1_000 })
    const later = queueForLater(queue, {
      clock,
      payload: ({ args }, error) => ({ order: args[0], why: (error as Error).message }),
      id: ({ args }) => `charge-${args[0]}`,
      key: ({ args }) => String(args[0]),
      delay: 50,
      expiresAfter: 500,
      trace: () => ({ traceparent: '00-1' }),
    })

    await fallback(later).wrap((_order: number) => down())(7)

    expect(queue.jobs).toEqual([
      {
        payload: { order: 7, why: 'down' },
        options: {
          id: 'charge-7',
          key: '7',
          delay: 50,
          context: { deadline: 1_500, attempts: 1, trace: { traceparent: '00-1' } },
        },
      },
    ])
  })

  it('tells how often the call had been made', async () => {
    const queue = recorder()
    const refused = pipeline('refused', fallback(queueForLater(queue, { id })), isolated())
    const retried = pipeline(
      'retried',
      fallback(queueForLater(queue, { id })),
      retry({ maxRetries: 2, baseDelay: 0 }),
    )

    await refused.execute(down)
    await retried.execute(down)

    expect(queue.jobs.map(({ options }) => options?.context?.attempts)).toEqual([0, 3])
  })

  describe('without an id', () => {
    it('queues what was refused and never called', async () => {
      const queue = recorder()
      const orders = pipeline('orders', fallback(queueForLater(queue)), isolated())

      expect(isQueued(await orders.execute(down))).toBe(true)
    })

    it('does not queue what was called: it may have had its effect', async () => {
      const queue = recorder()
      const clock = virtualClock()
      const orders = pipeline(
        'orders',
        fallback(queueForLater(queue)),
        timeout({ duration: 5, clock }),
      )

      await expect(orders.execute(down)).rejects.toThrow('down')
      const hung = orders.execute(scripted(['hang'])).catch((error: unknown) => error)
      await clock.advance(5)
      expect(await hung).toBeInstanceOf(TimeoutError)
      expect(queue.jobs).toEqual([])
    })

    it('does not queue what was called when its `id` gives none: nobody could tell the second time', async () => {
      const queue = recorder()
      const orders = fallback(queueForLater(queue, { id: () => undefined }))

      await expect(orders.execute(down)).rejects.toThrow('down')
      expect(queue.jobs).toEqual([])
      expect(await pipeline('p', orders, isolated()).execute(down)).toMatchObject({ queued: true })
    })

    it('does not queue what was refused only after it had been called', async () => {
      const queue = recorder()
      const orders = pipeline(
        'orders',
        fallback(queueForLater(queue)),
        retry({ maxRetries: 1, baseDelay: 0, shouldRetry: () => true }),
        circuitBreaker({ failureThreshold: 1 }),
      )

      await expect(orders.execute(down)).rejects.toMatchObject({ code: 'ERR_FALLBACK_EXHAUSTED' })
      expect(queue.jobs).toEqual([])
    })
  })

  describe('with an id', () => {
    it.each([
      ['a failure that may get better', new Error('down'), true],
      ['a server error', Object.assign(new Error('500'), { status: 500 }), true],
      ['a timeout', new TimeoutError('payment', 100), true],
      ['an answer that stays the same', Object.assign(new Error('404'), { status: 404 }), false],
      ['a bug', new TypeError('x is undefined'), false],
      ['an abort', new DOMException('gone', 'AbortError'), false],
    ])('of %s: %o queued is %s', async (_what, error, isQueuedThen) => {
      const queue = recorder()

      const answer = await fallback(queueForLater(queue, { id }))
        .execute(() => Promise.reject(error))
        .catch((thrown: unknown) => thrown)

      expect(answer === error).toBe(!isQueuedThen)
      expect(isQueued(answer)).toBe(isQueuedThen)
    })
  })

  it('leaves the choice to `when`', async () => {
    const queue = recorder()
    const when = (error: unknown): boolean => (error as Error).message === 'down'
    const orders = fallback(queueForLater(queue, { when }))

    expect(isQueued(await orders.execute(down))).toBe(true)
    await expect(orders.execute(() => Promise.reject(new Error('other')))).rejects.toThrow('other')
  })

  it('goes on to the next step when the queue refuses', async () => {
    const queue = memoryQueue<readonly unknown[]>({ maxSize: 1 })
    await queue.enqueue([])
    const orders = fallback(queueForLater(queue, { id }), (error) => (error as Error).message)

    expect(await orders.execute(down)).toBe('down')
    const alone = fallback(queueForLater(queue, { id }))
    await expect(alone.execute(down)).rejects.toMatchObject({
      errors: [expect.any(Error), expect.any(QueueFullError)],
    })
  })

  it('goes on to the next step when the queue does not answer in time', async () => {
    const clock = virtualClock()
    const queue = { name: 'orders', enqueue: () => new Promise<never>(() => {}) }
    const orders = fallback(queueForLater(queue, { id, clock, timeout: 300 }))

    const answer = orders.execute(down).catch((error: unknown) => error)
    await clock.advance(299)
    expect(clock.pending).toBe(1)
    await clock.advance(1)

    expect(await answer).toMatchObject({
      errors: [expect.any(Error), expect.objectContaining({ code: 'ERR_TIMEOUT', duration: 300 })],
    })
    clock.assertIdle()
  })

  it('leaves no timer behind when the queue answers, one way or the other', async () => {
    const clock = virtualClock()
    const queue = memoryQueue<readonly unknown[]>({ maxSize: 1 })
    const orders = fallback(queueForLater(queue, { id: ({ args }) => String(args[0]), clock }))

    await orders.execute(down, { args: ['a'] })
    await orders.execute(down, { args: ['b'] }).catch(() => {})

    clock.assertIdle()
  })

  it('says in a detailed answer that it is not the real one', async () => {
    const orders = fallback(queueForLater(recorder(), { id, name: 'later' }))

    expect(await orders.executeDetailed(down)).toMatchObject({ source: 'later', degraded: true })
  })

  it.each([
    [{ timeout: 0 }, /queueForLater: timeout must be/],
    [{ expiresAfter: -1 }, /queueForLater: expiresAfter must be/],
    [{ id: 'order' }, /queueForLater: id must be a function/],
    [{ ids: id }, /did you mean "id"/],
  ])('refuses %o', (options, message) => {
    expect(() => queueForLater(recorder(), options as never)).toThrow(message)
  })

  it('refuses what is no queue', () => {
    expect(() => queueForLater({} as never)).toThrow(/queueForLater: queue must be a queue/)
  })
})

describe('isQueued', () => {
  it('knows a receipt, also after JSON', async () => {
    const receipt = await fallback(queueForLater(recorder(), { id })).execute(down)

    expect(isQueued(JSON.parse(JSON.stringify(receipt)))).toBe(true)
  })

  it.each([
    null,
    undefined,
    'queued',
    {},
    { queued: true },
    { queued: 'true', id: 'x', queue: 'q' },
  ])('takes %o for a result', (value) => {
    expect(isQueued(value)).toBe(false)
  })
})
