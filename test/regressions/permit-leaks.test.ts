import {
  type Bulkhead,
  bulkhead,
  circuitBreaker,
  fallback,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, quiet, rejection, times, watch } from '../support/calls.ts'
import { expectFreeSlots } from '../support/conservation.ts'
import { heapInUse, withoutNoise } from '../support/leaks.ts'

describe('BH2 a synchronous throw leaks a permit', () => {
  it('gives every permit back after 100 functions that throw before they return', async () => {
    const slots = bulkhead({ maxConcurrent: 2 })
    for (let call = 0; call < 100; call++) {
      await caught(
        slots.execute(() => {
          throw new Error('sync')
        }),
      )
    }

    await expectFreeSlots(slots, 2)
  })

  it('gives every permit back when everything else around the call throws as well', async () => {
    await withoutNoise(async () => {
      const boom = (): never => {
        throw new Error('boom')
      }
      const slots = bulkhead({ maxConcurrent: 2, maxQueue: 5, priority: boom })
      slots.subscribe(boom)
      const calls = pipeline(
        { name: 'p', onEvent: boom },
        fallback({ steps: [{ run: boom, when: boom }], handles: boom }),
        retry({
          maxRetries: 1,
          baseDelay: 0,
          beforeAttempt: boom,
          afterAttempt: boom,
          shouldRetry: boom,
        }),
        circuitBreaker({ isFailure: boom, isFailureResult: boom, failureThreshold: 1_000 }),
        slots,
        timeout(1_000),
      )

      await Promise.all(times(7, () => caught(calls.execute(boom))))

      await expectFreeSlots(slots, 2)
    })
  })

  it('gives the permit back when the function hands out what cannot be awaited', async () => {
    const slots = bulkhead({ maxConcurrent: 1 })
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const biting = Object.defineProperty({}, 'then', {
      get() {
        throw new Error('hands off')
      },
    })

    for (const value of [proxy, biting]) await caught(slots.execute(() => value))

    await expectFreeSlots(slots, 1)
  })
})

describe('BH4 promises are left pending', () => {
  it('settles every promise that it hands out, in a line without end of waiting', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 100, clock })
    const held = gate()
    const calls = [
      watch(slots.execute(() => held.promise)),
      ...times(100, () => watch(slots.execute(() => 1))),
    ]

    await clock.advance(30_000)

    expect(calls.filter(({ status }) => status === 'rejected')).toHaveLength(100)
    held.open()
    await quiet()
    expect(calls.map(({ status }) => status)).not.toContain('pending')
  })
})

describe('BH5 many aborted or queued calls overflow the stack or go quadratic', () => {
  it('aborts 15,000 waiters at once, and drains as many that end at once', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 30_000 })
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const controller = new AbortController()
    let aborted = 0
    let ran = 0
    const calls = [
      ...times(15_000, () =>
        slots.execute(() => ran++, { signal: controller.signal }).catch(() => void aborted++),
      ),
      ...times(15_000, () => slots.execute(() => ran++)),
    ]

    controller.abort()
    held.open()
    await holder
    await Promise.all(calls)

    expect([aborted, ran]).toEqual([15_000, 15_000])
    await expectFreeSlots(slots, 1)
  })
})

describe('BH7 the bound of the queue is not kept', () => {
  it.each([0, 1, 7])('accepts exactly %d in line', async (maxQueue) => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue })
    const { accepted, refusals } = await crowd(slots, 50)

    expect(accepted).toBe(1 + maxQueue)
    for (const reason of refusals) {
      expect(reason).toMatchObject({
        code: 'ERR_BULKHEAD_FULL',
        queued: maxQueue,
        maxQueue,
        waited: 0,
      })
    }
  })

  it.each([Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER])(
    'accepts everybody with a bound of %d',
    async (maxQueue) => {
      const slots = bulkhead({ maxConcurrent: 1, maxQueue })

      expect((await crowd(slots, 5_000)).accepted).toBe(5_000)
    },
  )

  it('refuses at once, and 100,000 refusals leave nothing', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 })
    const held = gate()
    const holders = times(2, () => slots.execute(() => held.promise))
    const settledInMicrotasks = watch(slots.execute(() => 1))
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    expect(settledInMicrotasks.status).toBe('rejected')
    const before = heapInUse()

    for (let call = 0; call < 100_000; call++) await slots.execute(() => 1).catch(() => {})

    expect(heapInUse() - before).toBeLessThan(500_000)
    held.open()
    await Promise.all(holders)
  })

  async function crowd(slots: Bulkhead, size: number) {
    const held = gate()
    const calls = times(size, () => watch(slots.execute(() => held.promise)))
    await quiet()
    const refusals = calls.filter(({ status }) => status === 'rejected').map(({ reason }) => reason)
    held.open()
    await quiet()
    const accepted = calls.filter(({ status }) => status === 'fulfilled').length
    return { accepted, refusals }
  }

  it('is kept when a priority has other calls take the last place', async () => {
    let others = 3
    const nested: Promise<unknown>[] = []
    const slots = bulkhead({
      maxConcurrent: 1,
      maxQueue: 1,
      priority: () => {
        if (others-- > 0) nested.push(slots.execute(() => 'nested'))
        return 0
      },
    })
    const held = gate()
    const holder = slots.execute(() => held.promise)

    const refused = [slots.execute(() => 'last')].map((call) => watch(call))
    const seen = nested.map((call) => watch(call))
    expect(slots.stats()).toMatchObject({ running: 1, queued: 1 })
    held.open()
    await holder
    await quiet()

    const all = [...refused, ...seen].map(({ status }) => status)
    expect(all.filter((status) => status === 'fulfilled')).toHaveLength(1)
    expect(all.filter((status) => status === 'rejected')).toHaveLength(3)
    expect(slots.stats()).toMatchObject({ running: 0, queued: 0, rejected: 3 })
  })
})

describe('BH13 a nested call waits for itself', () => {
  it('ends within maxWait with an error that tells the numbers', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ name: 'db', maxConcurrent: 1, maxQueue: 1, maxWait: 200, clock })

    const call = rejection(slots.execute(() => slots.execute(() => 'never')))
    await clock.advance(200)

    expect(await call).toMatchObject({
      code: 'ERR_BULKHEAD_FULL',
      policy: 'db',
      running: 1,
      waited: 200,
    })
    await expectFreeSlots(slots, 1)
  })

  it('ends at once without a line', async () => {
    const slots = bulkhead({ maxConcurrent: 1 })

    const error = await rejection(slots.execute(() => slots.execute(() => 'never')))

    expect(error).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    await expectFreeSlots(slots, 1)
  })
})
