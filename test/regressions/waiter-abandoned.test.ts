import { bulkhead, pipeline, timeout } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, quiet, times, watch } from '../support/calls.ts'
import { expectConserved, expectFreeSlots } from '../support/conservation.ts'
import { listenersOn } from '../support/leaks.ts'

/** One slot, taken; and who stands in line for it. */
function taken(maxQueue = 10) {
  const clock = virtualClock()
  const slots = bulkhead({ maxConcurrent: 1, maxQueue, maxWait: 1_000, clock })
  const held = gate()
  const holder = slots.execute(() => held.promise)
  return { clock, slots, held, holder }
}

describe('BH1 a waiter aborts or times out', () => {
  it('leaves the line at once, is never run, and frees its place', async () => {
    const { slots, held, holder, clock } = taken(1)
    const operation = scripted(['ok'])
    for (let round = 0; round < 5; round++) {
      const controller = new AbortController()
      const call = watch(slots.execute(operation, { signal: controller.signal }))
      expect(slots.stats().queued).toBe(1)
      controller.abort('enough')
      await quiet()
      expect(call).toEqual({ status: 'rejected', reason: 'enough' })
      expect(slots.stats().queued).toBe(0)
      expect(listenersOn(controller.signal)).toBe(0)
    }
    held.open()
    await holder

    expect(operation.calls).toBe(0)
    expect(clock.timers).toEqual([])
    await expectFreeSlots(slots, 1)
  })

  it('is told after maxWait how long it has waited', async () => {
    const { slots, held, holder, clock } = taken()
    const operation = scripted(['ok'])
    const call = watch(slots.execute(operation))
    await clock.advance(400)
    const later = watch(slots.execute(operation))

    await clock.advance(599)
    expect(call.status).toBe('pending')
    await clock.advance(1)
    expect(call).toMatchObject({
      reason: { code: 'ERR_BULKHEAD_FULL', waited: 1_000, running: 1, maxConcurrent: 1 },
    })
    expect(later.status).toBe('pending')
    await clock.advance(400)
    expect(later.status).toBe('rejected')
    held.open()
    await holder

    expect(operation.calls).toBe(0)
    expect(clock.timers).toEqual([])
    expectConserved(slots.stats(), 3)
    await expectFreeSlots(slots, 1)
  })

  it.each([true, false])(
    'ends with one owner when grant and abort meet in one tick (abort first: %s)',
    async (abortFirst) => {
      const { slots, held, holder } = taken()
      const controller = new AbortController()
      const operation = scripted(['ok'])
      const call = watch(slots.execute(operation, { signal: controller.signal }))
      const next = watch(slots.execute(operation))
      await quiet()

      if (abortFirst) controller.abort('enough')
      held.open()
      if (!abortFirst) controller.abort('enough')
      await holder
      await quiet()

      expect(call).toEqual({ status: 'rejected', reason: 'enough' })
      expect(next).toEqual({ status: 'fulfilled', value: 'ok' })
      expectConserved(slots.stats(), 3)
      await expectFreeSlots(slots, 1)
    },
  )

  it('gives the slot on when the grant itself makes the waiter’s caller abort', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 10, clock })
    const controller = new AbortController()
    const first = slots.execute(async () => {
      await quiet()
      controller.abort('enough')
    })
    const doomed = watch(slots.execute(() => 'doomed', { signal: controller.signal }))
    const next = watch(slots.execute(() => 'next'))
    await first
    await quiet()

    expect(doomed.status).toBe('rejected')
    expect(next).toEqual({ status: 'fulfilled', value: 'next' })
    await expectFreeSlots(slots, 1)
  })

  it('gives the slot on when its caller aborts between the grant and the start', async () => {
    const { slots, held, holder } = taken()
    const controller = new AbortController()
    const operation = scripted(['ok'])
    const doomed = watch(slots.execute(operation, { signal: controller.signal }))
    const next = watch(slots.execute(() => 'next'))
    await quiet()

    // The grant is made now; the call itself starts in its own context, a little later.
    slots.resize(2)
    controller.abort('enough')
    await quiet()

    expect(doomed).toEqual({ status: 'rejected', reason: 'enough' })
    expect(next).toEqual({ status: 'fulfilled', value: 'next' })
    expect(operation.calls).toBe(0)
    held.open()
    await holder
    expectConserved(slots.stats(), 3)
    await expectFreeSlots(slots, 2)
  })

  it.each([0, 1])(
    'settles grant and maxWait of one tick by what came first (grant first: %d)',
    async (grantFirst) => {
      const { slots, held, holder, clock } = taken()
      if (grantFirst) clock.setTimer(() => held.open(), 1_000)
      const call = watch(slots.execute(() => 'granted'))
      if (!grantFirst) clock.setTimer(() => held.open(), 1_000)

      await clock.advance(1_000)
      await holder

      expect(call.status).toBe(grantFirst ? 'fulfilled' : 'rejected')
      expectConserved(slots.stats(), 2)
      expect(clock.timers).toEqual([])
      await expectFreeSlots(slots, 1)
    },
  )

  it('leaves no slot behind after 1,000 waiters of every fate', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 3, maxQueue: 50, maxWait: 40, clock })
    const calls = pipeline({ name: 'p', clock }, timeout({ duration: 60, clock }), slots)
    const ends: Promise<unknown>[] = []
    for (let n = 0; n < 1_000; n++) {
      const controller = new AbortController()
      const work = (): Promise<void> => new Promise((done) => clock.setTimer(done, (n * 7) % 30))
      ends.push(calls.execute(work, { signal: controller.signal }).catch(() => {}))
      if (n % 3 === 0) clock.setTimer(() => controller.abort(), n % 50)
      if (n % 10 === 0) await clock.advance(n % 13)
    }
    await clock.advance(1_000)
    await Promise.all(ends)

    expect(clock.timers).toEqual([])
    expectConserved(calls.stats(), 1_000)
    expect(slots.stats()).toMatchObject({ running: 0, queued: 0, abandoned: 0, inFlight: 0 })
    await expectFreeSlots(slots, 3)
  })
})

describe('BH3 aborting the next in line stops the queue', () => {
  it('goes on with whoever is alive, wherever the aborted ones stood', async () => {
    const { slots, held, holder } = taken(100)
    const controllers = times(20, () => new AbortController())
    const done: number[] = []
    const calls = controllers.map(({ signal }, n) =>
      caught(slots.execute(() => void done.push(n), { signal }).then(() => Promise.reject('ran'))),
    )
    await quiet()
    for (const [n, controller] of controllers.entries()) if (n % 2 === 0) controller.abort()
    held.open()
    await holder
    await Promise.all(calls)

    expect(done).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
    await expectFreeSlots(slots, 1)
  })
})
