import { describe, expect, it } from 'vitest'
import type { HoldfastEvent } from '../../core/events.ts'
import type { PolicyLike } from '../../core/policy.ts'
import { pipeline } from '../../pipeline/pipeline.ts'
import { memoryQueue } from '../../resources/deferred-queue/memory-queue.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { circuitBreaker } from '../circuit-breaker/circuit-breaker.ts'
import { fallback } from '../fallback.ts'
import { type DrainOptions, drainQueue, type QueueDrain } from './drain-queue.ts'
import { queueForLater } from './queue-for-later.ts'

type Order = { readonly n: number }

/** A dependency that is down until it is told otherwise, behind a breaker, with a queue beside it. */
function open(options: Partial<DrainOptions<Order>> = {}) {
  const clock = virtualClock()
  const queue = memoryQueue<Order>({ name: 'orders', clock, random: () => 0.5 })
  const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 1_000, clock })
  const through = pipeline('payment', breaker)
  const world = { isDown: false, calls: 0, running: 0, most: 0, takes: 1, done: [] as number[] }
  const events: HoldfastEvent[] = []
  queue.subscribe((event) => events.push(event))
  const call = async (n: number): Promise<number> => {
    world.calls++
    world.running++
    world.most = Math.max(world.most, world.running)
    await new Promise<void>((resolve) => clock.setTimer(resolve, world.takes))
    world.running--
    if (world.isDown) throw new Error('payment is down')
    world.done.push(n)
    return n
  }
  const begin = () =>
    drainQueue(queue, { clock, through, run: (job) => call(job.payload.n), ...options })
  const fill = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await queue.enqueue({ n }, { id: `o-${n}` })
  }
  const changes = (change: string) =>
    events.filter((event) => event.type === 'job' && event.change === change).length
  return { clock, queue, breaker, through, world, begin, fill, changes, call }
}

/** Opens a circuit by calls that fail. */
async function trip({ through, world, call, clock }: ReturnType<typeof open>): Promise<void> {
  world.isDown = true
  for (const n of [1, 2]) {
    const failed = through.execute(() => call(n)).catch(() => {})
    await clock.advance(world.takes)
    await failed
  }
}

/** Stops it while jobs are under way: they end as time goes on. */
async function end({ clock }: ReturnType<typeof open>, drain: QueueDrain): Promise<void> {
  const stopped = drain.stop()
  await clock.advance(1_000)
  await stopped
}

describe('drainQueue', () => {
  it('does what was queued, through the pipeline', async () => {
    const shop = open()
    await shop.fill(3)
    const drain = shop.begin()

    await shop.clock.advance(100)

    expect(shop.world.done).toEqual([0, 1, 2])
    expect(shop.through.stats()).toMatchObject({ succeeded: 3 })
    await drain.stop()
  })

  it('hands the job and the context of the pipeline to run', async () => {
    const seen: unknown[] = []
    const shop = open({
      run: (job, context) => {
        seen.push(job.id, context.attempt, context.deadline, context.args)
      },
    })
    const deadline = shop.clock.wallTime() + 5_000
    await shop.queue.enqueue({ n: 1 }, { id: 'o-1', context: { deadline } })
    const drain = shop.begin()

    await shop.clock.advance(1)

    expect(seen).toEqual(['o-1', 1, 5_000, [{ n: 1 }]])
    await drain.stop()
  })

  it('takes nothing while the circuit is open, and burns no attempt', async () => {
    const shop = open({ probe: false })
    await shop.fill(5)
    await trip(shop)
    const drain = shop.begin()

    await shop.clock.advance(10_000)

    expect(shop.world.calls).toBe(2)
    expect(shop.changes('started')).toBe(0)
    expect((await shop.queue.get('o-0'))?.attempts).toBe(0)
    await drain.stop()
  })

  it('sends one job as the trial call, and no second one before it has ended', async () => {
    const shop = open()
    await shop.fill(5)
    await trip(shop)
    shop.world.takes = 50
    shop.world.most = 0
    const drain = shop.begin()

    await shop.clock.advance(1_049)

    expect(shop.world.calls).toBe(3)
    expect(shop.world.most).toBe(1)
    expect(drain.limit).toBe(1)
    await end(shop, drain)
  })

  it('keeps the attempts of jobs through an outage of hours', async () => {
    const shop = open({ maxAttempts: 3 })
    await shop.fill(3)
    await trip(shop)
    const drain = shop.begin()

    for (let minute = 0; minute < 30; minute++) await shop.clock.advance(1_000)
    shop.world.isDown = false
    await shop.clock.advance(60_000)

    expect(shop.changes('dead')).toBe(0)
    expect([...shop.world.done].sort()).toEqual([0, 1, 2])
    await drain.stop()
  })

  it('ramps up to its most', async () => {
    const shop = open({ maxConcurrent: 4, rampUp: 4_000 })
    shop.world.takes = 100
    await shop.fill(120)
    const drain = shop.begin()
    const running: number[] = []

    for (let second = 0; second < 5; second++) {
      await shop.clock.advance(1_000)
      running.push(shop.world.running)
    }

    expect(running).toEqual([1, 2, 3, 4, 4])
    expect(shop.world.most).toBe(4)
    await end(shop, drain)
  })

  it('begins the ramp anew when the circuit has been open', async () => {
    const shop = open({ maxConcurrent: 8, rampUp: 1_000 })
    const drain = shop.begin()
    await shop.clock.advance(1_000)
    expect(drain.limit).toBe(8)

    await trip(shop)
    expect(drain.limit).toBe(1)
    shop.breaker.close()
    expect(drain.limit).toBe(1)
    await shop.clock.advance(500)

    expect(drain.limit).toBe(4)
    await drain.stop()
  })

  it('halves its pace when a job fails', async () => {
    const shop = open({ maxConcurrent: 10, rampUp: 1_000 })
    const drain = shop.begin()
    await shop.clock.advance(1_000)
    expect(drain.limit).toBe(10)

    shop.world.isDown = true
    await shop.fill(1)
    await shop.clock.advance(2)

    expect(drain.limit).toBe(5)
    await drain.stop()
  })

  it('begins no more than its rate allows', async () => {
    const shop = open({ maxConcurrent: 10, rampUp: 0, rateLimit: { limit: 5, interval: 1_000 } })
    await shop.fill(100)
    const drain = shop.begin()

    await shop.clock.advance(4_000)

    expect(shop.world.calls).toBeGreaterThanOrEqual(19)
    expect(shop.world.calls).toBeLessThanOrEqual(22)
    await end(shop, drain)
  })

  it('sets jobs past their deadline aside, not run', async () => {
    const shop = open()
    await shop.queue.enqueue(
      { n: 1 },
      { id: 'o-1', context: { deadline: shop.clock.wallTime() + 10 } },
    )
    await shop.clock.advance(11)
    const drain = shop.begin()
    await shop.clock.advance(1)

    expect(shop.world.calls).toBe(0)
    expect(await shop.queue.get('o-1')).toMatchObject({ state: 'dead', reason: 'expired' })
    await drain.stop()
  })

  it('sets a job aside at once when another try cannot help', async () => {
    const shop = open({
      run: () => Promise.reject(Object.assign(new Error('no such order'), { status: 404 })),
    })
    await shop.fill(1)
    const drain = shop.begin()
    await shop.clock.advance(1)

    expect(await shop.queue.get('o-0')).toMatchObject({ state: 'dead', reason: 'not-retryable' })
    await drain.stop()
  })

  it('takes the answer of a fallback for what it is: the job is not done', async () => {
    const shop = open()
    const through = pipeline(
      'payment',
      fallback({ name: 'default', run: () => 'free' }),
      shop.breaker,
    )
    await shop.fill(1)
    shop.world.isDown = true
    const drain = drainQueue(shop.queue, {
      through,
      clock: shop.clock,
      run: (job) => shop.call(job.payload.n),
      backoff: () => 10,
    })
    await shop.clock.advance(5)
    expect(shop.changes('completed')).toBe(0)

    shop.world.isDown = false
    await shop.clock.advance(20)

    expect(shop.world.done).toEqual([0])
    await drain.stop()
  })

  it('takes the answer of a cache for what it is: nothing was called', async () => {
    const shop = open()
    let isCached = true
    const cache: PolicyLike = {
      name: 'cache',
      execute: async <T>(operation: () => T | PromiseLike<T>) =>
        isCached ? ('seen before' as T) : operation(),
    }
    await shop.fill(1)
    const drain = drainQueue(shop.queue, {
      through: pipeline('payment', cache, shop.breaker),
      clock: shop.clock,
      run: (job) => shop.call(job.payload.n),
      backoff: () => 10,
    })
    await shop.clock.advance(5)
    expect(shop.changes('completed')).toBe(0)

    isCached = false
    await shop.clock.advance(20)

    expect(shop.world.done).toEqual([0])
    await drain.stop()
  })

  it('is not answered with a receipt by the pipeline that queues', async () => {
    const shop = open()
    const later = queueForLater(shop.queue, {
      payload: () => ({ n: 99 }),
      id: () => 'o-0',
      clock: shop.clock,
    })
    const through = pipeline('payment', fallback(later), shop.breaker)
    await shop.fill(1)
    shop.world.isDown = true
    const run = (n: number) => shop.call(n)
    const drain = drainQueue(shop.queue, {
      through,
      clock: shop.clock,
      run: (job) => run(job.payload.n),
      backoff: () => 10,
    })
    await shop.clock.advance(5)
    expect(shop.changes('duplicate')).toBe(0)
    expect(shop.changes('completed')).toBe(0)

    shop.world.isDown = false
    await shop.clock.advance(20)
    expect(shop.world.done).toEqual([0])
    await drain.stop()
  })

  it('does not take the receipt of a nested call for done', async () => {
    const shop = open()
    const later = queueForLater(shop.queue, {
      payload: ({ args }) => args[0] as Order,
      id: () => 'o-0',
    })
    const live = fallback(later).wrap((order: Order) => shop.call(order.n))
    await shop.fill(1)
    shop.world.isDown = true
    const drain = drainQueue(shop.queue, {
      through: shop.through,
      clock: shop.clock,
      run: (job) => live(job.payload),
      backoff: () => 10,
    })

    await shop.clock.advance(5)

    expect(shop.changes('completed')).toBe(0)
    expect((await shop.queue.get('o-0'))?.errors[0]?.message).toMatch(/queued again/)
    await drain.stop()
  })

  it('does not wait for the end of a trial that somebody else makes', async () => {
    const shop = open()
    await shop.fill(1)
    await trip(shop)
    shop.world.isDown = false
    await shop.clock.advance(1_000)
    shop.world.takes = 20
    const live = shop.through.execute(() => shop.call(100))
    const drain = shop.begin()
    await shop.clock.advance(20)
    await live

    await shop.clock.advance(300)

    expect(shop.world.done).toEqual([100, 0])
    expect((await shop.queue.get('o-0'))?.attempts).toBe(1)
    await drain.stop()
  })

  it('asks circuits that are not in the pipeline, too', async () => {
    const other = circuitBreaker()
    other.isolate()
    const shop = open({ breakers: [other] })
    await shop.fill(1)
    const drain = shop.begin()
    await shop.clock.advance(5_000)
    expect(shop.world.calls).toBe(0)

    other.close()
    await shop.clock.advance(1_001)

    expect(shop.world.done).toEqual([0])
    await drain.stop()
  })

  it('leaves no timer behind when it is stopped', async () => {
    const shop = open()
    await shop.fill(1)
    await trip(shop)
    const drain = shop.begin()
    await shop.clock.advance(100)

    await drain.stop()

    shop.clock.assertIdle()
  })

  it.each([
    [{ rampUp: -1 }, /drainQueue: rampUp must be/],
    [{ maxConcurrent: 0 }, /drainQueue: maxConcurrent must be/],
    [{ breakers: [{}] }, /drainQueue: breakers must be a list of circuit breakers/],
    [{ through: {} }, /drainQueue: through must be a pipeline/],
    [{ maxAttempts: -1 }, /process: maxAttempts must be/],
    [{ rampup: 1 }, /did you mean "rampUp"/],
  ])('refuses %o', (options, message) => {
    expect(() => open(options as never).begin()).toThrow(message)
  })
})
