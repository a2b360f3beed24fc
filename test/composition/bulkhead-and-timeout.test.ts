import { bulkhead, circuitBreaker, pipeline, retry, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, times, watch } from '../support/calls.ts'
import { expectFreeSlots } from '../support/conservation.ts'

describe('timeout inside a bulkhead', () => {
  it('does not count the time in line', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 5, maxWait: 1_000, clock })
    const calls = pipeline({ name: 'p', clock }, slots, timeout({ duration: 50, clock }))
    const held = gate()
    void slots.execute(() => held.promise)

    const call = watch(
      calls.execute(() => new Promise((done) => clock.setTimer(() => done('in time'), 49))),
    )
    await clock.advance(900)
    held.open()
    await clock.advance(49)

    expect(call).toEqual({ status: 'fulfilled', value: 'in time' })
  })
})

describe('timeout around a bulkhead', () => {
  it('counts the time in line, and takes the caller out of it', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 5, maxWait: 1_000, clock })
    const calls = pipeline({ name: 'p', clock }, timeout({ duration: 50, clock }), slots)
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const operation = scripted(['ok'])

    const call = watch(calls.execute(operation))
    await clock.advance(50)

    expect(call).toMatchObject({ reason: { code: 'ERR_TIMEOUT' } })
    expect(slots.stats()).toMatchObject({ queued: 0, running: 1, abandoned: 0 })
    held.open()
    await holder
    await quiet()
    expect(operation.calls).toBe(0)
    expect(clock.timers).toEqual([])
    await expectFreeSlots(slots, 1)
  })

  it('counts one ending in each policy', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const limit = timeout({ duration: 50, clock })
    const calls = pipeline({ name: 'p', clock }, limit, slots)
    const call = caught(calls.execute(hangs))
    await clock.advance(50)
    await call

    for (const policy of [calls, limit]) {
      expect(policy.stats()).toMatchObject({ calls: 1, timedOut: 1, inFlight: 0 })
    }
    expect(slots.stats()).toMatchObject({ calls: 1, inFlight: 0, abandoned: 1 })
  })
})

describe('bulkhead beside the others', () => {
  it('inside a retry holds no slot while backoff sleeps', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const calls = pipeline(
      { name: 'p', clock },
      retry({ baseDelay: 1_000, jitter: 'none', clock }),
      slots,
    )
    const sleeping = watch(calls.execute(scripted(['fail', 'ok'])))
    await clock.advance(500)

    expect(slots.stats().running).toBe(0)
    expect(await slots.execute(() => 'meanwhile')).toBe('meanwhile')
    await clock.advance(500)
    expect(sleeping.status).toBe('fulfilled')
  })

  it('outside a retry holds its slot throughout, and check() says so', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const calls = pipeline({ name: 'p', clock }, slots, retry({ baseDelay: 1_000, clock }))
    const call = caught(calls.execute(scripted(['fail'])))
    await clock.advance(500)

    expect(slots.stats().running).toBe(1)
    expect(calls.check().map(({ code }) => code)).toContain('bulkhead-outside-retry')
    await clock.advance(100_000)
    await call
    await expectFreeSlots(slots, 1)
  })

  it('keeps two dependencies apart: one that hangs leaves the other its slots', async () => {
    const clock = virtualClock()
    const make = (name: string) =>
      pipeline(
        { name, clock },
        bulkhead({ name, maxConcurrent: 3, clock }),
        timeout({ duration: 100, clock }),
      )
    const payment = make('payment')
    const search = make('search')
    const stuck = times(10, () => caught(payment.execute(hangs)))

    expect(await Promise.all(times(3, (n) => search.execute(async () => n)))).toEqual([0, 1, 2])
    await clock.advance(100)
    await Promise.all(stuck)
    expect(payment.stats()).toMatchObject({ rejected: 7, timedOut: 3 })
  })

  it('that is full neither opens nor closes the circuit around it', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const calls = pipeline({ name: 'p', clock }, breaker, slots)
    const held = gate()
    const holder = calls.execute(() => held.promise)
    await Promise.all(times(20, () => caught(calls.execute(hangs))))

    expect(breaker.stats()).toMatchObject({ state: 'closed', ignored: 20, rejected: 20 })
    held.open()
    await holder
    expect(breaker.stats().inFlight).toBe(0)
  })
})
