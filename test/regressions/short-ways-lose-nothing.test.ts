import {
  bulkhead,
  type Clock,
  type Context,
  circuitBreaker,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/core/deferred.ts'
import { pulseOf } from '../../src/core/pulse.ts'

// What the fast path leaves out, it must leave out only where nobody misses it.
describe('a short way', () => {
  it('measures what is inside a policy that takes the long one', async () => {
    const inner = retry({ latency: true })
    const breaker = circuitBreaker({ isFailureResult: () => false })
    const stack = pipeline('stack', breaker, inner)

    for (const call of [1, 2]) await stack.execute(() => call)

    expect(inner.stats()).toMatchObject({ succeeded: 2, latency: { count: 2 } })
  })

  it('keeps nothing for the end of a turn on a clock without turns', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, clock })
    let kept = 0
    pulseOf(clock).atTurnEnd = () => void kept++

    for (let round = 0; round < 3; round++) {
      await Promise.all([slots.execute(() => 1), slots.execute(() => 2)])
    }

    expect([slots.stats().succeeded, kept]).toEqual([6, 0])
  })

  it('lets a trial through even if the turn of the loop never ends', async () => {
    let now = 0
    // Each reading takes time; the turn that it is stamped with ends never.
    const clock: Clock = {
      now: () => now++,
      wallTime: () => 0,
      setTimer: (callback, delay) => virtualClock().setTimer(callback, delay),
      defer: () => undefined,
    }
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 50, clock })
    await breaker.execute(() => Promise.reject(new Error('down'))).catch(() => undefined)
    now = 1_000

    let tries = 0
    let answer: unknown
    while (answer === undefined && tries++ < 1_000) {
      answer = await breaker.execute(() => 'back').catch(() => undefined)
    }

    expect(answer).toBe('back')
  })

  it('lets nobody wait beside a slot that became free while the priority was asked for', async () => {
    const slots = bulkhead({
      maxConcurrent: 1,
      maxQueue: 1,
      priority: () => {
        slots.resize(2)
        return 0
      },
    })
    const work = deferred<string>()
    const first = slots.execute(() => work.promise)

    const second = slots.wrap((answer: string) => answer)('in')

    expect(slots.stats()).toMatchObject({ running: 2, queued: 0 })
    await expect(second).resolves.toBe('in')
    work.resolve('done')
    await first
    expect(slots.stats()).toMatchObject({ running: 0, inFlight: 0, succeeded: 2 })
  })

  it('asks for the priority with the arguments of the call that waits, whoever it is', async () => {
    const asked: unknown[] = []
    const slots = bulkhead({
      maxConcurrent: 1,
      maxQueue: 5,
      priority: (args) => {
        asked.push(...args)
        return args[0] as number
      },
    })
    const work = deferred()
    const served: number[] = []
    const answers = [slots.execute(() => work.promise)]
    const call = pipeline('line', retry(), slots).wrap(async (urgency: number) => {
      served.push(urgency)
    })

    for (const urgency of [1, 3, 2]) answers.push(call(urgency))
    work.resolve()
    await Promise.all(answers)

    expect([asked, served]).toEqual([
      [1, 3, 2],
      [3, 2, 1],
    ])
  })
  it('burdens no call with what is begun in the name of one before it', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const brief = timeout({ duration: 5, clock })
    const contexts: Context[] = []
    await slots.execute((context) => void contexts.push(context))
    const work = deferred()
    const second = slots.execute(() => work.promise)

    const hangs = deferred()
    const stray = brief.execute(() => hangs.promise, contexts[0]).catch(() => 'given up')
    await clock.advance(6)
    expect(await stray).toBe('given up')
    work.resolve()
    await second

    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0, inFlight: 0 })
    hangs.resolve()
  })
})
