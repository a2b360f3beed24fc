import { BulkheadFullError, type HoldfastEvent, pipeline, timeout } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, hangs, quiet, rejection, times, watch } from '../../test/support/calls.ts'
import { expectFreeSlots } from '../../test/support/conservation.ts'
import { TurningClock } from '../../test/support/turning-clock.ts'
import { type Bulkhead, type BulkheadOptions, bulkhead } from './bulkhead.ts'

interface Busy {
  readonly slots: Bulkhead
  readonly clock: VirtualClock
  /** The work in each slot. */
  readonly works: Gate<string>[]
  readonly calls: Promise<unknown>[]
}

/** A bulkhead whose slots are all taken. */
function busy(options: BulkheadOptions = { maxConcurrent: 1 }): Busy {
  const clock = virtualClock()
  const slots = bulkhead({ clock, ...options })
  const works = times(options.maxConcurrent, () => gate<string>())
  const calls = works.map(({ promise }) => slots.execute(() => promise))
  return { slots, clock, works, calls }
}

describe('a bulkhead', () => {
  it('lets as many calls run as it has slots, and refuses the next at once', async () => {
    const { slots } = busy({ name: 'payment', maxConcurrent: 2 })
    let called = false

    const error = await rejection(
      slots.execute(() => {
        called = true
      }),
    )

    expect(error).toBeInstanceOf(BulkheadFullError)
    expect(error).toMatchObject({
      policy: 'payment',
      running: 2,
      queued: 0,
      maxConcurrent: 2,
      maxQueue: 0,
      waited: 0,
    })
    expect(called).toBe(false)
    expect(slots.stats()).toMatchObject({ rejected: 1, running: 2, inFlight: 2 })
  })

  it('has the slot free again as soon as the work has ended, however it ended', async () => {
    const { slots, works, calls } = busy()

    works[0]?.fail('down')
    expect(await rejection(calls[0] as Promise<unknown>)).toBe('down')
    const ends = [
      slots.execute(() => 'value'),
      slots.execute(() => {
        throw new Error('at once')
      }),
      slots.execute(() => 'refused'),
    ]

    expect(await ends[0]).toBe('value')
    await Promise.allSettled(ends)
    await expectFreeSlots(slots, 1)
  })

  it('lets as many wait as it has places in line, first come first served', async () => {
    const { slots, works } = busy({ maxConcurrent: 1, maxQueue: 2 })
    const started: number[] = []
    const waiting = [1, 2].map((n) => slots.execute(() => started.push(n)))

    const error = await rejection(slots.execute(hangs))
    expect(error).toMatchObject({ running: 1, queued: 2, maxQueue: 2, waited: 0 })
    expect(slots.stats()).toMatchObject({ running: 1, queued: 2, inFlight: 3, maxQueue: 2 })
    works[0]?.open('done')
    await Promise.all(waiting)

    expect(started).toEqual([1, 2])
    expect(slots.stats()).toMatchObject({ running: 0, queued: 0, succeeded: 3 })
  })

  it('lets nobody overtake who comes when a slot becomes free', async () => {
    const { slots, works, calls } = busy({ maxConcurrent: 1, maxQueue: 5 })
    const started: string[] = []
    const waiter = slots.execute(() => started.push('waiter'))

    works[0]?.open('done')
    await calls[0]
    const newcomer = slots.execute(() => started.push('newcomer'))
    await Promise.all([waiter, newcomer])

    expect(started).toEqual(['waiter', 'newcomer'])
  })

  it('refuses who has waited for maxWait, and says how long that was', async () => {
    const { slots, clock } = busy({ maxConcurrent: 1, maxQueue: 5, maxWait: 100 })
    const first = rejection(slots.execute(hangs))
    await clock.advance(40)
    const second = rejection(slots.execute(hangs))

    await clock.advance(59)
    expect(slots.stats().queued).toBe(2)
    await clock.advance(1)

    expect(await first).toMatchObject({ waited: 100 })
    expect(slots.stats().queued).toBe(1)
    await clock.advance(40)
    expect(await second).toMatchObject({ waited: 100, message: /no slot within 100 ms/ })
    expect(slots.stats()).toMatchObject({ queued: 0, rejected: 2 })
    expect(clock.timers).toEqual([])
  })

  it('lets wait for half a minute by default', async () => {
    const { slots, clock } = busy({ maxConcurrent: 1, maxQueue: 1 })
    const call = rejection(slots.execute(hangs))

    await clock.advance(29_999)
    expect(slots.stats().queued).toBe(1)
    await clock.advance(1)

    expect(await call).toMatchObject({ waited: 30_000 })
  })

  it('lets wait for ever, without a timer, when maxWait is Infinity', async () => {
    const { slots, clock, works } = busy({
      maxConcurrent: 1,
      maxQueue: 1,
      maxWait: Number.POSITIVE_INFINITY,
    })
    const call = slots.execute(() => 'at last')

    expect(clock.timers).toEqual([])
    await clock.advance(1e12)
    works[0]?.open('done')

    expect(await call).toBe('at last')
  })

  it('keeps one timer for the whole line, and none for an empty one', async () => {
    const { slots, clock, works } = busy({ maxConcurrent: 1, maxQueue: 50 })
    const calls = times(50, () => slots.execute(() => 'served'))
    expect(clock.timers).toHaveLength(1)

    works[0]?.open('done')
    await Promise.all(calls)

    expect(clock.timers).toEqual([])
  })
})

describe('a line on a clock with turns', () => {
  const waiting = (): {
    clock: TurningClock
    slots: Bulkhead
    work: Gate<string>
    enter(): { status: string; reason?: unknown }
  } => {
    const clock = new TurningClock()
    clock.block(1_000)
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 5, maxWait: 100, clock })
    const work = gate<string>()
    void slots.execute(() => work.promise)
    return { clock, slots, work, enter: () => watch(slots.execute(() => 'served')) }
  }

  it('uses a clock that is an object of a class', async () => {
    const { clock, enter } = waiting()
    const waiter = enter()
    clock.endTurn()

    await clock.virtual.advance(100)
    clock.endTurn()
    await quiet()

    expect(waiter).toMatchObject({ status: 'rejected', reason: { waited: 100 } })
  })

  it('takes no account of a turn that was busy with something else', async () => {
    const { clock, slots, enter } = waiting()
    const waiter = enter()
    clock.block(80)
    clock.endTurn()

    await clock.virtual.advance(99)
    clock.endTurn()
    await quiet()
    expect(slots.stats().queued).toBe(1)
    await clock.virtual.advance(1)
    clock.endTurn()
    await quiet()

    expect(waiter).toMatchObject({ status: 'rejected', reason: { waited: 100 } })
    expect(clock.virtual.timers).toEqual([])
  })

  it.each([
    [1, 101],
    [1.5, 100],
  ])('takes a turn of up to a millisecond as no time at all: %d ms', async (busy, waited) => {
    const { clock, enter } = waiting()
    const waiter = enter()
    clock.block(busy)
    clock.endTurn()

    await clock.virtual.advance(100)
    clock.endTurn()
    await quiet()

    expect(waiter).toMatchObject({ status: 'rejected', reason: { waited } })
  })

  it('begins the wait of each at the end of its own turn', async () => {
    const { clock, slots, enter } = waiting()
    enter()
    clock.endTurn()
    await clock.virtual.advance(60)
    enter()
    clock.block(30)
    clock.endTurn()

    await clock.virtual.advance(40)
    clock.endTurn()
    await quiet()
    expect(slots.stats().queued).toBe(1)
    await clock.virtual.advance(59)
    clock.endTurn()
    await quiet()
    expect(slots.stats().queued).toBe(1)
    await clock.virtual.advance(1)
    clock.endTurn()
    await quiet()

    expect(slots.stats().queued).toBe(0)
  })

  it('gives a slot that is about to become free one turn to be', async () => {
    const { clock, slots, work, enter } = waiting()
    const waiter = enter()
    clock.endTurn()
    clock.block(500)

    await clock.virtual.advance(100)
    work.open('done')
    await quiet()
    clock.endTurn()
    await quiet()

    expect(waiter).toMatchObject({ status: 'fulfilled', value: 'served' })
    expect(slots.stats()).toMatchObject({ rejected: 0, queued: 0 })
    expect(clock.virtual.timers).toEqual([])
  })

  it('leaves no timer behind when the line empties and fills between timer and look', async () => {
    const { clock, slots, work, enter } = waiting()
    enter()
    clock.endTurn()
    await clock.virtual.advance(100)
    work.open('done')
    await quiet()
    const next = gate<string>()
    void slots.execute(() => next.promise)
    const waiter = enter()

    clock.endTurn()
    expect(clock.virtual.timers).toHaveLength(1)
    next.open('done')
    await quiet()
    clock.endTurn()

    expect(waiter).toMatchObject({ status: 'fulfilled' })
    expect(clock.virtual.timers).toEqual([])
  })
})

describe('the place in line', () => {
  const order = async (
    priority: BulkheadOptions['priority'],
    calls: readonly { name: string; priority?: number }[],
  ): Promise<string[]> => {
    const { slots, works } = busy({ maxConcurrent: 1, maxQueue: 10, ...(priority && { priority }) })
    const started: string[] = []
    const waiting = calls.map(({ name, ...options }) =>
      slots.execute(() => started.push(name), { ...options, args: [name] }),
    )
    works[0]?.open('done')
    await Promise.all(waiting)
    return started
  }

  it('is by priority, larger first, and 0 by default', async () => {
    const calls = [
      { name: 'low', priority: -1 },
      { name: 'plain' },
      { name: 'high', priority: 10 },
      { name: 'plain too', priority: 0 },
    ]

    expect(await order(undefined, calls)).toEqual(['high', 'plain', 'plain too', 'low'])
  })

  it('is by what the bulkhead says of the arguments, unless the call says it itself', async () => {
    const byName = ([name]: readonly unknown[]): number => (name === 'vip' ? 5 : -5)
    const calls = [{ name: 'one' }, { name: 'vip' }, { name: 'told', priority: 0 }]

    expect(await order(byName, calls)).toEqual(['vip', 'told', 'one'])
    expect(await order(3, calls)).toEqual(['one', 'vip', 'told'])
  })

  it.each<[string, unknown, number]>([
    ['beyond 10 as 10', 99, 10],
    ['beyond -10 as -10', Number.NEGATIVE_INFINITY, -10],
    ['a fraction as the nearest whole number', 2.4, 2],
    ['NaN as 0', Number.NaN, 0],
    ['a text as 0', '5', 0],
    ['nothing as 0', undefined, 0],
    ['a promise as 0', (): unknown => Promise.reject(new Error('no idea')), 0],
  ])('takes %s', async (_what, answer, meant) => {
    // Neighbours above, at and below what is meant tell where it stands.
    const priority = ([name]: readonly unknown[]): number =>
      name === 'odd' ? ((typeof answer === 'function' ? answer() : answer) as number) : Number(name)
    const neighbours = [meant + 1, meant, meant - 1].filter((one) => Math.abs(one) <= 10)
    const calls = [{ name: 'odd' }, ...neighbours.map((one) => ({ name: String(one) }))]

    const started = await order(priority, calls)

    const expected = neighbours.map(String)
    expected.splice(neighbours.indexOf(meant), 0, 'odd')
    expect(started).toEqual(expected)
  })

  it('is the plain one when a priority throws', async () => {
    const broken = ([name]: readonly unknown[]): number => {
      if (name === 'odd') throw new Error('no idea')
      return Number(name)
    }

    expect(await order(broken, [{ name: '-1' }, { name: 'odd' }, { name: '1' }])).toEqual([
      '1',
      'odd',
      '-1',
    ])
  })

  it('is given up at once by who aborts, and counted as such', async () => {
    const { slots, clock, works } = busy({ maxConcurrent: 1, maxQueue: 2 })
    const controller = new AbortController()
    const gone = rejection(slots.execute(hangs, { signal: controller.signal }))
    const next = slots.execute(() => 'next')

    controller.abort('enough')
    expect(slots.stats().queued).toBe(1)
    expect(await gone).toBe('enough')
    works[0]?.open('done')

    expect(await next).toBe('next')
    expect(slots.stats()).toMatchObject({ aborted: 1, succeeded: 2, abandoned: 0 })
    expect(clock.timers).toEqual([])
  })
})

describe('a slot', () => {
  it('follows the work: it is held after the caller has gone, until the work ends', async () => {
    const { clock } = busy()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const stack = pipeline('stack', slots, timeout({ duration: 50, clock }))
    const work = gate<string>()

    const call = rejection(stack.execute(() => work.promise))
    await clock.advance(50)
    await call
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1, inFlight: 0, timedOut: 1 })
    await rejection(slots.execute(hangs))
    work.fail('late')
    await quiet()

    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    await expectFreeSlots(slots, 1)
  })

  it('goes to the first in line when abandoned work ends', async () => {
    const { slots, works } = busy({ maxConcurrent: 1, maxQueue: 1 })
    works[0]?.open('done')
    await quiet()
    const controller = new AbortController()
    const work = gate<string>()
    const abandoned = rejection(slots.execute(() => work.promise, { signal: controller.signal }))
    const waiter = slots.execute(() => 'served')
    controller.abort('enough')
    await abandoned
    expect(slots.stats()).toMatchObject({ running: 1, queued: 1, abandoned: 1 })

    work.open('at last')

    expect(await waiter).toBe('served')
  })

  it('is forgotten after abandonAfter, even if the work never ends', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, abandonAfter: 200, clock })
    const controller = new AbortController()
    const work = gate<string>()
    const call = rejection(slots.execute(() => work.promise, { signal: controller.signal }))
    controller.abort('enough')
    await call

    expect(clock.timers).toEqual([{ due: 200, unref: true }])
    await clock.advance(199)
    expect(slots.stats().abandoned).toBe(1)
    await clock.advance(1)
    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    work.open('much later')
    await quiet()

    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    await expectFreeSlots(slots, 1)
  })

  it('needs no timer any more when abandoned work ends before', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, abandonAfter: 200, clock })
    const controller = new AbortController()
    const work = gate<string>()
    const call = rejection(slots.execute(() => work.promise, { signal: controller.signal }))
    controller.abort('enough')
    await call

    work.open('late')
    await quiet()

    expect(clock.timers).toEqual([])
    expect(slots.stats().abandoned).toBe(0)
  })

  it('is held for ever by default', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const controller = new AbortController()
    const call = rejection(slots.execute(hangs, { signal: controller.signal }))
    controller.abort('enough')
    await call

    expect(clock.timers).toEqual([])
    await clock.advance(1e9)

    expect(slots.stats().abandoned).toBe(1)
  })
})

describe('resize', () => {
  it('starts waiters at once when it grows', async () => {
    const { slots } = busy({ maxConcurrent: 1, maxQueue: 5 })
    const started: number[] = []
    for (const n of [1, 2, 3]) {
      void slots.execute(() => {
        started.push(n)
        return hangs()
      })
    }

    slots.resize(3)
    await quiet()

    expect(started).toEqual([1, 2])
    expect(slots.stats()).toMatchObject({ maxConcurrent: 3, running: 3, queued: 1 })
  })

  it('stops nobody when it shrinks', async () => {
    const { slots, works, calls } = busy({ maxConcurrent: 3 })

    slots.resize(1)
    expect(slots.stats()).toMatchObject({ maxConcurrent: 1, running: 3 })
    for (const work of works) work.open('done')

    expect(await Promise.all(calls)).toEqual(['done', 'done', 'done'])
    await expectFreeSlots(slots, 1)
  })

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d slots', (size) => {
    const slots = bulkhead({ maxConcurrent: 2 })

    expect(() => slots.resize(size)).toThrow(RangeError)
    expect(() => slots.resize(size)).toThrow('bulkhead: maxConcurrent must be')
    expect(slots.stats().maxConcurrent).toBe(2)
  })
})

describe('events', () => {
  it('tell of refusals', async () => {
    const { slots } = busy({ maxConcurrent: 1 })
    const heard: HoldfastEvent[] = []
    slots.subscribe((event) => heard.push(event))

    const error = await rejection(slots.execute(hangs))

    expect(heard).toMatchObject([
      { type: 'reject', policy: 'bulkhead', pipeline: 'bulkhead', error },
      { type: 'call', ending: 'rejected', attempts: 0 },
    ])
  })

  it('tell of slots that are held without a caller, and of their end', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 2, abandonAfter: 100, clock })
    const heard: HoldfastEvent[] = []
    slots.subscribe((event) => {
      if (event.type === 'abandon') heard.push(event)
    })
    const controller = new AbortController()
    const work = gate<string>()
    const calls = [work.promise, hangs()].map((promise) =>
      rejection(slots.execute(() => promise, { signal: controller.signal })),
    )
    await clock.advance(10)

    controller.abort('enough')
    await Promise.all(calls)
    work.open('late')
    await quiet()
    await clock.advance(100)

    const told = { type: 'abandon', policy: 'bulkhead' }
    expect(heard).toEqual([
      { ...told, at: 10, slot: 'held', abandoned: 1 },
      { ...told, at: 10, slot: 'held', abandoned: 2 },
      { ...told, at: 10, slot: 'ended', abandoned: 1 },
      { ...told, at: 110, slot: 'forgotten', abandoned: 0 },
    ])
  })
})

describe('the options of a bulkhead', () => {
  it('describe themselves', () => {
    const slots = bulkhead({
      name: 'payment',
      maxConcurrent: 5,
      maxQueue: 0,
      maxWait: Number.POSITIVE_INFINITY,
      abandonAfter: 0,
      priority: -10,
    })

    expect(slots.describe()).toEqual({
      policy: 'bulkhead',
      name: 'payment',
      options: {
        maxConcurrent: 5,
        maxQueue: 0,
        maxWait: 'Infinity',
        abandonAfter: 0,
        priority: -10,
      },
    })
    expect(slots.stats()).toMatchObject({ name: 'payment', maxConcurrent: 5, maxQueue: 0 })
  })

  it.each<[unknown, typeof Error, string]>([
    [undefined, TypeError, 'bulkhead'],
    [{}, TypeError, 'maxConcurrent is required'],
    [{ maxConcurrent: 0 }, RangeError, 'maxConcurrent must be'],
    [{ maxConcurrent: 1.5 }, RangeError, 'maxConcurrent must be'],
    [{ maxConcurrent: '5' }, TypeError, 'maxConcurrent must be'],
    [{ maxConcurrent: 1, maxQueue: -1 }, RangeError, 'maxQueue must be'],
    [{ maxConcurrent: 1, maxQueue: 0.5 }, RangeError, 'maxQueue must be'],
    [{ maxConcurrent: 1, maxWait: 0 }, RangeError, 'maxWait must be'],
    [{ maxConcurrent: 1, maxWait: -5 }, RangeError, 'maxWait must be'],
    [{ maxConcurrent: 1, abandonAfter: -1 }, RangeError, 'abandonAfter must be'],
    [{ maxConcurrent: 1, priority: 11 }, RangeError, 'priority must be'],
    [{ maxConcurrent: 1, priority: 0.5 }, RangeError, 'priority must be'],
    [{ maxConcurrent: 1, priority: 'high' }, TypeError, 'priority must be'],
    [{ maxConcurrent: 1, queue: 5 }, TypeError, 'queue'],
  ])('are refused: %o', (options, kind, message) => {
    expect(() => bulkhead(options as BulkheadOptions)).toThrow(kind)
    expect(() => bulkhead(options as BulkheadOptions)).toThrow(message)
  })
})
