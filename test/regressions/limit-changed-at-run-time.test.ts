import { bulkhead } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { gate, quiet, times, watch } from '../support/calls.ts'
import { expectConserved, expectFreeSlots } from '../support/conservation.ts'

describe('BH9 the limit changes at run time', () => {
  it('starts waiters at once when it rises', async () => {
    const slots = bulkhead({ maxConcurrent: 2, maxQueue: 10 })
    const held = gate()
    let started = 0
    const calls = times(12, () =>
      slots.execute(() => {
        started++
        return held.promise
      }),
    )
    expect(started).toBe(2)

    slots.resize(5)
    await quiet()

    expect(started).toBe(5)
    expect(slots.stats()).toMatchObject({ running: 5, queued: 7, maxConcurrent: 5 })
    held.open()
    await Promise.all(calls)
    await expectFreeSlots(slots, 5)
  })

  it('stops nobody when it falls, and starts the next only when there is room', async () => {
    const slots = bulkhead({ maxConcurrent: 5, maxQueue: 1 })
    const gates = times(6, () => gate())
    const started: number[] = []
    const calls = gates.map(({ promise }, n) =>
      slots.execute(() => {
        started.push(n)
        return promise
      }),
    )
    slots.resize(1)
    for (const n of [0, 1, 2, 3]) {
      gates[n]?.open()
      await quiet()
      expect(started).toHaveLength(5)
    }
    gates[4]?.open()
    await quiet()

    expect(started).toHaveLength(6)
    gates[5]?.open()
    await Promise.all(calls)
    await expectFreeSlots(slots, 1)
  })

  it('loses no slot over random resizes', async () => {
    const clock = virtualClock()
    const random = seededRandom('resizes')
    const slots = bulkhead({ maxConcurrent: 3, maxQueue: 10_000, maxWait: 100_000, clock })
    let running = 0
    const calls: Promise<void>[] = []
    for (let step = 0; step < 500; step++) {
      const limit = random.integer(1, 9)
      slots.resize(limit)
      for (let call = random.integer(0, 5); call > 0; call--) {
        const work = async (): Promise<void> => {
          expect(++running).toBeLessThanOrEqual(9)
          await new Promise<void>((done) => clock.setTimer(done, random.integer(0, 9)))
          running--
        }
        calls.push(slots.execute(work))
      }
      if (step % 5 === 0) await clock.advance(random.integer(0, 20))
    }
    await clock.advance(100_000)
    await Promise.all(calls)

    expectConserved(slots.stats(), calls.length)
    slots.resize(4)
    await expectFreeSlots(slots, 4)
  })

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null])(
    'refuses %s and stays as it was',
    async (limit) => {
      const slots = bulkhead({ maxConcurrent: 2 })

      expect(() => slots.resize(limit as number)).toThrow(/maxConcurrent/)

      await expectFreeSlots(slots, 2)
    },
  )
})

describe('BH14 starvation and unfair order', () => {
  it('runs 1,000 waiters in the order in which they came', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1_000 })
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const order: number[] = []
    const calls = times(1_000, (n) => slots.execute(async () => void order.push(n)))
    held.open()
    await holder
    await Promise.all(calls)

    expect(order).toEqual(times(1_000, (n) => n))
  })

  it('lets nobody who comes when a slot falls free overtake who waits', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 10 })
    const order: string[] = []
    const first = slots.execute(async () => {
      await quiet()
      // In the very tick in which the slot falls free.
      queueMicrotask(() => newcomers.push(slots.execute(() => void order.push('newcomer'))))
    })
    const newcomers: Promise<void>[] = []
    const waiter = slots.execute(() => void order.push('waiter'))
    void first.then(() => newcomers.push(slots.execute(() => void order.push('newcomer'))))
    await Promise.all([first, waiter])
    await quiet()
    await Promise.all(newcomers)

    expect(order).toEqual(['waiter', 'newcomer', 'newcomer'])
  })

  it('serves the higher priority first, and in order within one', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 100, priority: 0 })
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const order: string[] = []
    const calls = [0, 5, -10, 5, 10, 0].map((priority, n) =>
      slots.execute(() => void order.push(`${priority}#${n}`), { priority }),
    )
    held.open()
    await holder
    await Promise.all(calls)

    expect(order).toEqual(['10#4', '5#1', '5#3', '0#0', '0#5', '-10#2'])
  })

  it('is work-conserving: no slot is free while somebody waits', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 3, maxQueue: 1_000, clock })
    const calls = times(200, (n) =>
      watch(
        slots.execute(() => new Promise((done) => clock.setTimer(() => done(n), (n * 13) % 7))),
      ),
    )
    for (let ms = 0; ms < 400; ms++) {
      const { running, queued } = slots.stats()
      if (queued > 0) expect(running).toBe(3)
      await clock.advance(1)
    }

    expect(calls.every(({ status }) => status === 'fulfilled')).toBe(true)
  })
})
