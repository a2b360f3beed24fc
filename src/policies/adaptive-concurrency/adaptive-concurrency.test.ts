import {
  adaptiveConcurrency,
  BulkheadFullError,
  type HoldfastEvent,
  pipeline,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { gate, hangs, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import type { AdaptiveConcurrency } from './adaptive-concurrency.ts'

const half = (): number => 0.5

/** Sends as many calls at a time as there are slots, each taking so long, for some rounds. */
async function busy(
  policy: AdaptiveConcurrency,
  clock: VirtualClock,
  ms: (inFlight: number) => number,
  rounds: number,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const { maxConcurrent } = policy.stats()
    const time = ms(maxConcurrent)
    for (let n = 0; n < maxConcurrent; n++) {
      void policy.execute(
        () => new Promise((resolve) => void clock.setTimer(() => resolve(1), time)),
      )
    }
    await clock.advance(time)
  }
}

describe('an adaptive limit', () => {
  it('is a bulkhead: slots, a line, and refusals with the numbers', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({ initialLimit: 1, maxQueue: 1, maxWait: 50, clock })
    const held = gate<string>()
    const first = policy.execute(() => held.promise)
    const second = watch(policy.execute(() => 'second'))

    const error = await rejection(policy.execute(() => 'third'))
    expect(error).toBeInstanceOf(BulkheadFullError)
    expect(error).toMatchObject({ running: 1, queued: 1, maxConcurrent: 1, maxQueue: 1, waited: 0 })
    expect(policy.stats()).toMatchObject({ running: 1, queued: 1, maxConcurrent: 1, abandoned: 0 })
    await clock.advance(50)
    expect(second.reason).toMatchObject({ code: 'ERR_BULKHEAD_FULL', waited: 50 })
    held.open('first')
    expect(await first).toBe('first')
  })

  it('keeps the slot of work whose caller has gone', async () => {
    const clock = virtualClock()
    const slots = adaptiveConcurrency({ initialLimit: 2, abandonAfter: 1_000, clock })
    const calls = pipeline('calls', slots, timeout({ duration: 10, clock }))
    const call = watch(calls.execute(hangs))
    await clock.advance(10)

    expect(call.reason).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1, inFlight: 0 })
    await clock.advance(1_000)
    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
  })

  it('grows while calls do not take longer, up to its maximum', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({ initialLimit: 5, maxLimit: 30, window: 100, clock })

    await busy(policy, clock, () => 50, 60)

    expect(policy.stats()).toMatchObject({ maxConcurrent: 30, baseline: 50, rtt: 50 })
  })

  it('shrinks when calls queue up at the other side', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({ initialLimit: 40, window: 100, random: half, clock })

    // Ten at a time are served, in 50 ms.
    await busy(policy, clock, (inFlight) => 50 * Math.max(1, inFlight / 10), 100)

    const { maxConcurrent, baseline } = policy.stats()
    expect(maxConcurrent).toBeGreaterThanOrEqual(10)
    expect(maxConcurrent).toBeLessThanOrEqual(18)
    expect(baseline).toBe(50)
  })

  it.each([
    ['a time limit inside', 'timeout'],
    ['a refusal of the other side', 429],
    ['its being unavailable', 503],
  ] as const)('shrinks by %s', async (_what, how) => {
    const clock = virtualClock()
    const slots = adaptiveConcurrency({ algorithm: 'aimd', initialLimit: 20, window: 0, clock })
    const calls = pipeline('calls', slots, timeout({ duration: 10, clock }))
    const fail =
      how === 'timeout'
        ? () => new Promise((resolve) => void clock.setTimer(() => resolve(1), 11))
        : () => Promise.reject(Object.assign(new Error('too much'), { status: how }))
    for (const _ of times(10, () => 0)) calls.execute(fail).catch(() => {})
    await clock.advance(20)

    expect(slots.stats().maxConcurrent).toBe(18)
  })

  it('learns nothing from failures, refusals and aborts: they are quick, not fast', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({ initialLimit: 10, window: 0, minSamples: 1, clock })
    const controller = new AbortController()

    await rejection(policy.execute(() => Promise.reject(new Error('down'))))
    const aborted = rejection(policy.execute(hangs, { signal: controller.signal }))
    controller.abort('gone')
    await aborted

    expect(policy.stats()).toMatchObject({ rtt: null, baseline: null, maxConcurrent: 10 })
  })

  it('asks its user which errors mean too much, and survives the answer', async () => {
    const clock = virtualClock()
    const options = {
      algorithm: 'aimd',
      initialLimit: 10,
      window: 0,
      minSamples: 1,
      clock,
    } as const
    const shed = adaptiveConcurrency({ ...options, isOverload: () => true })
    const broken = adaptiveConcurrency({
      ...options,
      isOverload: () => {
        throw new Error('broken')
      },
    })
    for (const policy of [shed, broken]) {
      expect(
        ((await rejection(policy.execute(() => Promise.reject(new Error('down'))))) as Error)
          .message,
      ).toBe('down')
    }
    expect([shed, broken].map((policy) => policy.stats().maxConcurrent)).toEqual([9, 10])
  })

  it('takes too long a mean time for overload, with AIMD', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({
      algorithm: 'aimd',
      initialLimit: 10,
      maxLatency: 100,
      window: 0,
      minSamples: 1,
      clock,
    })
    void policy.execute(() => new Promise((resolve) => void clock.setTimer(() => resolve(1), 101)))
    await clock.advance(101)
    expect(policy.stats()).toMatchObject({ maxConcurrent: 9, rtt: 101, baseline: null })
  })

  it.each(['vegas', 'gradient2', 'aimd'] as const)(
    'keeps a number as its limit when calls take no time, or a clock is too coarse to tell: %s',
    async (algorithm) => {
      const clock = virtualClock()
      const options = { algorithm, initialLimit: 5, maxLimit: 50, window: 0, minSamples: 1 }
      const policy = adaptiveConcurrency({ ...options, clock })
      for (const _ of times(300, () => 0)) {
        await Promise.all(times(policy.stats().maxConcurrent, () => policy.execute(() => 1)))
      }
      const { maxConcurrent, rtt, baseline } = policy.stats()
      expect(maxConcurrent).toBe(50)
      expect([rtt, baseline]).toEqual([0.1, algorithm === 'aimd' ? null : 0.1])
    },
  )

  it.each([1, 30])(
    'does not take the time of calls that were given up for that of answers (%d)',
    async (count) => {
      const clock = virtualClock()
      const slots = adaptiveConcurrency({ initialLimit: 30, window: 0, minSamples: count, clock })
      const calls = pipeline('calls', slots, timeout({ duration: 500, clock }))
      for (const _ of times(count, () => 0)) calls.execute(hangs).catch(() => undefined)
      await clock.advance(500)

      expect(slots.stats()).toMatchObject({ baseline: null })
      expect(slots.stats().maxConcurrent).toBeLessThan(30)
    },
  )

  it('tells of each change of its limit', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({ name: 'search', initialLimit: 40, window: 100, clock })
    const events: HoldfastEvent[] = []
    policy.subscribe((event) => event.type === 'limit' && events.push(event))

    await busy(policy, clock, (inFlight) => 50 * Math.max(1, inFlight / 10), 20)

    expect(events[0]).toEqual({
      type: 'limit',
      policy: 'search',
      at: 400,
      from: 40,
      to: 3,
      reason: 'probe',
      rtt: 200,
      baseline: 0,
    })
    expect(events[1]).toMatchObject({ from: 3, to: 13, reason: 'probed', baseline: 50 })
    expect(
      events.slice(2).every((event) => event.type === 'limit' && event.reason === 'latency'),
    ).toBe(true)
  })
})

describe('a measurement of the baseline', () => {
  const probing = async (
    maxQueue = 0,
  ): Promise<{ clock: VirtualClock; policy: AdaptiveConcurrency }> => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({
      initialLimit: 20,
      window: 0,
      maxQueue,
      random: half,
      clock,
    })
    await busy(policy, clock, () => 100, 1)
    expect(policy.stats()).toMatchObject({ probing: true, maxConcurrent: 2, probes: 1 })
    return { clock, policy }
  }

  it('does not begin while nobody uses the limit', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({ initialLimit: 20, window: 100, clock })
    for (const _ of times(200, () => 0)) {
      await Promise.all([...times(5, () => policy.execute(() => 1)), clock.advance(50)])
    }
    expect(policy.stats()).toMatchObject({ probes: 0, maxConcurrent: 20 })
  })

  it('is put off for about its interval', async () => {
    const clock = virtualClock()
    const policy = adaptiveConcurrency({
      initialLimit: 20,
      window: 100,
      probeInterval: 10_000,
      maxLimit: 20,
      random: half,
      clock,
    })
    await busy(policy, clock, () => 100, 99)
    expect(policy.stats()).toMatchObject({ probes: 1, probing: false })
    await busy(policy, clock, () => 100, 20)
    expect(policy.stats().probes).toBe(2)
  })

  it('ends although a call hangs: the limit comes back with the next call', async () => {
    const { clock, policy } = await probing()
    void policy.execute(hangs)
    void policy.execute(hangs)
    await clock.advance(1_300)
    expect(await rejection(policy.execute(() => 1))).toBeInstanceOf(BulkheadFullError)
    await clock.advance(1)

    expect(await policy.execute(() => 'served')).toBe('served')
    expect(policy.stats()).toMatchObject({ probing: false, maxConcurrent: 20 })
  })

  it('measures answers, and not the time of calls that were given up', async () => {
    const { clock, policy } = await probing()
    const calls = pipeline('calls', policy, timeout({ duration: 30, clock }))
    for (const _ of times(20, () => 0)) {
      calls.execute(hangs).catch(() => undefined)
      await clock.advance(30)
    }
    expect(policy.stats()).toMatchObject({ probing: true, baseline: null })
  })

  it('ends although nobody calls for long', async () => {
    const { clock, policy } = await probing()
    await clock.advance(60_000)
    await policy.execute(() => 1)
    await policy.execute(() => 1)

    expect(policy.stats()).toMatchObject({ probing: false, maxConcurrent: 20 })
  })

  it('serves its line when it is over', async () => {
    const { clock, policy } = await probing(100)
    const slow = (): Promise<unknown> =>
      new Promise((resolve) => void clock.setTimer(() => resolve(1), 100))
    const calls = times(60, () => watch(policy.execute(slow)))
    await clock.advance(500)
    expect(policy.stats()).toMatchObject({ probing: false, running: 20 })
    await clock.advance(5_000)
    expect(calls.every(({ status }) => status === 'fulfilled')).toBe(true)
    await quiet()
    expect(policy.stats()).toMatchObject({ running: 0, queued: 0, inFlight: 0 })
  })

  it.each([{ algorithm: 'aimd' }, { probeInterval: Number.POSITIVE_INFINITY }] as const)(
    'is not made with %o',
    async (options) => {
      const clock = virtualClock()
      const policy = adaptiveConcurrency({ initialLimit: 20, window: 100, ...options, clock })
      await busy(policy, clock, () => 100, 50)
      expect(policy.stats().probes).toBe(0)
    },
  )
})

describe('the options of an adaptive limit', () => {
  it('have defaults', () => {
    expect(adaptiveConcurrency().describe()).toEqual({
      policy: 'adaptiveConcurrency',
      name: 'adaptiveConcurrency',
      options: {
        algorithm: 'vegas',
        initialLimit: 20,
        minLimit: 1,
        maxLimit: 1_000,
        window: 1_000,
        minSamples: 10,
        probeInterval: 30_000,
        maxLatency: 5_000,
        maxQueue: 0,
        maxWait: 30_000,
        abandonAfter: 'Infinity',
        priority: 0,
      },
    })
    expect(adaptiveConcurrency({ maxLimit: 5 }).stats().maxConcurrent).toBe(5)
    expect(adaptiveConcurrency({ minLimit: 50 }).stats().maxConcurrent).toBe(50)
  })

  it.each([
    [{ algorithm: 'guess' }, RangeError, 'algorithm must be'],
    [{ initialLimit: 0 }, RangeError, 'initialLimit must be'],
    [{ minLimit: 1.5 }, RangeError, 'minLimit must be'],
    [{ maxLimit: Number.POSITIVE_INFINITY }, RangeError, 'maxLimit must be'],
    [{ window: -1 }, RangeError, 'window must be'],
    [{ minSamples: 0 }, RangeError, 'minSamples must be'],
    [{ isOverload: 503 }, TypeError, 'isOverload must be'],
    [{ minLimit: 9, maxLimit: 8 }, RangeError, 'must be in this order, but were 9, 9 and 8'],
    [{ initialLimit: 9, maxLimit: 8 }, RangeError, 'but were 1, 9 and 8'],
    [{ maxLatency: 100 }, TypeError, "maxLatency belongs to algorithm 'aimd'"],
  ])('are refused: %o', (options, kind, message) => {
    expect(() => adaptiveConcurrency(options as never)).toThrow(kind)
    expect(() => adaptiveConcurrency(options as never)).toThrow(message)
  })
})
