import {
  bulkhead,
  circuitBreaker,
  fallback,
  type HoldfastEvent,
  type Policy,
  pipeline,
  retry,
  timeout,
  timeWindow,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { down, fail, openCircuit } from '../support/breakers.ts'
import { caught, gate, hangs, quiet, times } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import { withoutNoise } from '../support/leaks.ts'

describe('OB5 statistics at their edges', () => {
  it('has only finite numbers before the first call', () => {
    const clock = virtualClock()
    const policies: Policy<unknown>[] = [
      circuitBreaker({
        failureRate: 0.5,
        slowCallRate: 0.5,
        slowCallDuration: 1,
        clock,
        latency: true,
      }),
      circuitBreaker({ failureRate: 0.5, window: timeWindow(1_000), clock }),
      retry({ clock, latency: true }),
      bulkhead({ maxConcurrent: 1, clock, latency: true }),
      timeout({ duration: 1, clock, latency: true }),
      fallback({ steps: [() => 1], clock, latency: true }),
      pipeline({ name: 'p', clock, latency: true }),
    ]

    for (const policy of policies) {
      const stats = policy.stats()
      expectConserved(stats, 0)
      const text = JSON.stringify(stats)
      expect(JSON.parse(text)).toEqual(stats)
      expect(text).not.toMatch(/NaN/)
    }
  })

  it('has a rate of 0 once a window has emptied without a call, and of 1 after the next failure', async () => {
    const clock = virtualClock()
    const window = timeWindow(1_000)
    const breaker = circuitBreaker({ failureRate: 1, window, minimumCalls: 10, clock })
    await fail(breaker, 3)
    expect(breaker.stats().failureRate).toBe(1)

    await clock.advance(10_000)
    expect(breaker.stats().failureRate).toBe(0)
    await breaker.execute(() => 'fine')
    expect(breaker.stats().failureRate).toBe(0)
    await fail(breaker, 1)
    expect(breaker.stats().failureRate).toBe(0.5)
  })

  it('counts 100,000 calls in one window without a timer', async () => {
    const clock = virtualClock()
    const window = timeWindow(1_000)
    const breaker = circuitBreaker({ failureRate: 1, window, minimumCalls: 10, clock })
    for (let call = 0; call < 100_000; call++) await breaker.execute(() => call)

    expectConserved(breaker.stats(), 100_000)
    expect(clock.timers).toEqual([])
  })

  it('measures latencies of 0, of an hour and of a clock that stands', async () => {
    const clock = virtualClock()
    const policy = pipeline({ name: 'p', clock, latency: true })
    await policy.execute(() => 'at once')
    await policy.execute(() => clock.advance(3_600_000))
    const { latency } = policy.stats()

    expect(latency?.count).toBe(2)
    expect(latency?.p50).toBeLessThan(0.01)
    expect(latency?.max).toBe(3_600_000)
    expect(latency?.mean).toBe(1_800_000)
    expect((latency?.p99 ?? 0) / 3_600_000).toBeCloseTo(1, 1)
  })

  it('keeps every percentile within 3.2 % above the true value', async () => {
    const clock = virtualClock()
    const policy = pipeline({ name: 'p', clock, latency: true })
    const calls = times(1_000, (n) =>
      policy.execute(() => new Promise((done) => clock.setTimer(() => done(n), n + 1))),
    )
    await clock.advance(1_001)
    await Promise.all(calls)
    const { p50 = 0, p90 = 0, p99 = 0, mean } = policy.stats().latency ?? {}

    for (const [found, truth] of [
      [p50, 500],
      [p90, 900],
      [p99, 990],
    ] as const) {
      expect(found).toBeGreaterThanOrEqual(truth)
      expect(found).toBeLessThanOrEqual(truth * 1.032)
    }
    expect(mean).toBeCloseTo(500.5, 5)
  })

  it('adds up over calls of every ending, in each policy of a stack', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1_000, clock })
    const slots = bulkhead({ maxConcurrent: 5, maxQueue: 5, maxWait: 20, clock })
    const limit = timeout({ duration: 50, clock })
    const calls = pipeline({ name: 'p', clock }, breaker, slots, limit)
    const controller = new AbortController()
    const mixed = [
      async () => 1,
      down,
      hangs,
      () => new Promise((d) => clock.setTimer(() => d(1), 30)),
    ]
    const ends = times(60, (n) =>
      caught(
        calls
          .execute(mixed[n % 4] as typeof hangs, n % 7 === 0 ? { signal: controller.signal } : {})
          .then(() => Promise.reject('done')),
      ),
    )
    await clock.advance(10)
    controller.abort()
    await clock.advance(1_000)
    await Promise.all(ends)

    expectConserved(calls.stats(), 60)
    expectConserved(breaker.stats(), 60)
    const { rejected } = slots.stats()
    expect(rejected).toBeGreaterThan(0)
    expect(slots.stats().calls).toBe(60)
    expect(limit.stats().calls + slots.stats().rejected).toBeLessThanOrEqual(60)
    expect(limit.stats().inFlight).toBe(0)
  })

  it('says how many are in flight, in line and abandoned at this moment', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 2, maxQueue: 5, clock })
    const calls = pipeline({ name: 'p', clock }, slots)
    const held = gate()
    const ends = times(4, () => caught(calls.execute(() => held.promise, { deadline: 50 })))
    expect(slots.stats()).toMatchObject({ running: 2, queued: 2, inFlight: 4, abandoned: 0 })
    expect(calls.stats().inFlight).toBe(4)
    await clock.advance(50)
    await Promise.all(ends)
    expect(slots.stats()).toMatchObject({ running: 2, queued: 0, inFlight: 0, abandoned: 2 })
    expect(calls.stats().inFlight).toBe(0)
    held.open()
    await quiet()
    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
  })
})

describe('OB8 observing slows or breaks the work', () => {
  it('tells each fact once, in causal order', async () => {
    const clock = virtualClock()
    const calls = pipeline(
      { name: 'p', clock },
      fallback({ name: 'f', steps: [{ name: 'cache', run: () => 'cached' }], clock }),
      retry({ name: 'r', maxRetries: 1, baseDelay: 10, jitter: 'none', clock }),
      circuitBreaker({ name: 'c', failureThreshold: 2, clock }),
      timeout({ name: 't', duration: 50, clock }),
    )
    const told: string[] = []
    calls.subscribe((event) => told.push(`${event.at} ${event.policy} ${event.type}`))
    const answer = calls.execute(hangs)
    await clock.advance(200)

    expect(await answer).toBe('cached')
    expect(told).toEqual([
      '50 t timeout',
      '50 r retry',
      '110 t timeout',
      '110 c state-change',
      '110 r give-up',
      '110 f fallback',
      '110 p call',
    ])
  })

  it('tells a timeout before what follows from it, also without anything to retry', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const limit = timeout({ duration: 50, clock })
    const calls = pipeline({ name: 'p', clock }, breaker, limit)
    const told: string[] = []
    calls.subscribe(({ type }) => told.push(type))
    const call = caught(calls.execute(hangs))
    await clock.advance(50)
    await call

    expect(told).toEqual(['timeout', 'state-change', 'call'])
  })

  it('tells a shared policy’s facts to each pipeline that they concern, and only to those', async () => {
    const clock = virtualClock()
    const shared = retry({ name: 'shared', maxRetries: 1, baseDelay: 0, clock })
    const one = pipeline({ name: 'one', clock }, shared)
    const two = pipeline({ name: 'two', clock }, shared)
    const told: string[] = []
    const tell = (who: string) => (event: HoldfastEvent) => void told.push(`${who}: ${event.type}`)
    one.subscribe(tell('one'))
    two.subscribe(tell('two'))
    shared.subscribe(tell('shared'))

    told.length = 0
    await caught(one.execute(down))

    expect(told).toEqual([
      'one: retry',
      'shared: retry',
      'one: give-up',
      'shared: give-up',
      'one: call',
    ])
  })

  it('replays to the state that the circuit reports', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 100, clock })
    let state = 'closed'
    let opened = 0
    breaker.subscribe((event) => {
      if (event.type !== 'state-change') return
      expect(event.from).toBe(state)
      state = event.to
      if (state === 'open') opened++
    })
    for (let step = 0; step < 200; step++) {
      if (step % 5 < 3) await fail(breaker, 1)
      else await caught(breaker.execute(() => 'fine').then(() => Promise.reject('done')))
      if (step % 11 === 0) breaker.isolate()
      if (step % 13 === 0) breaker.close()
      await clock.advance(step % 40)
      const reported = breaker.state
      expect(state).toBe(reported)
    }
    expect(opened).toBe(breaker.stats().opened)
    expect(opened).toBeGreaterThan(0)
  })

  it('is not held up by listeners that are slow or reject later', async () => {
    await withoutNoise(async () => {
      const policy = retry({ maxRetries: 1, baseDelay: 0 })
      let ended = 0
      policy.subscribe(async () => {
        await quiet()
        ended++
        throw new Error('too late')
      })

      expect(await policy.execute(() => 'fine')).toBe('fine')
      expect(ended).toBe(0)
      await quiet()
      await quiet()
      expect(ended).toBe(1)
    })
  })

  it('tells why a circuit opened, for how long, and by what', async () => {
    const { breaker, clock } = await openCircuit()
    breaker.reset()
    const events: HoldfastEvent[] = []
    breaker.subscribe((event) => events.push(event))
    await clock.advance(5)
    await fail(breaker, 1)

    expect(events.find(({ type }) => type === 'state-change')).toEqual({
      type: 'state-change',
      policy: 'circuitBreaker',
      at: 5,
      from: 'closed',
      to: 'open',
      reason: expect.stringContaining('failure'),
      cause: new Error('down'),
      resetTimeout: 1_000,
    })
  })
})
