import { bulkhead, fallback, type HoldfastEvent, pipeline, retry, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, type Gate, gate, hangs, quiet, times, watch } from '../support/calls.ts'
import { expectFreeSlots } from '../support/conservation.ts'

/** A function that hears no signal: each attempt ends when its gate is opened. */
function deafAttempts() {
  const attempts: Gate[] = []
  const deaf = (): Promise<void> => {
    const attempt = gate()
    attempts.push(attempt)
    return attempt.promise
  }
  return { attempts, deaf }
}

describe('BH6 work that timed out still runs', () => {
  it('never runs more at a time than there are slots, however impatient the callers are', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 2, maxQueue: 20, clock })
    const calls = pipeline({ name: 'p', clock }, slots, timeout({ duration: 50, clock }))
    let running = 0
    let most = 0
    let started = 0
    const deaf = async (): Promise<void> => {
      started++
      most = Math.max(most, ++running)
      await new Promise<void>((done) => clock.setTimer(done, 1_000))
      running--
    }

    const ends = times(20, () => caught(calls.execute(deaf)))
    await clock.advance(49)
    expect(slots.stats()).toMatchObject({ running: 2, queued: 18, abandoned: 0 })
    await clock.advance(1)
    expect(slots.stats()).toMatchObject({ running: 2, queued: 18, abandoned: 2 })
    await clock.advance(950)
    expect(started).toBe(4)
    await clock.advance(20_000)
    await Promise.all(ends)

    expect(most).toBe(2)
    expect(running).toBe(0)
    expect(slots.stats()).toMatchObject({ running: 0, queued: 0, abandoned: 0, inFlight: 0 })
    expect(clock.timers).toEqual([])
    await expectFreeSlots(slots, 2)
  })

  it.each(['around', 'inside'])(
    'keeps the slot after an abort by the caller, the timeout being %s',
    async (where) => {
      const clock = virtualClock()
      const slots = bulkhead({ maxConcurrent: 1, clock })
      const limit = timeout({ duration: 5_000, clock })
      const order = where === 'around' ? [limit, slots] : [slots, limit]
      const calls = pipeline({ name: 'p', clock }, ...order)
      const work = gate()
      const controller = new AbortController()
      const call = caught(calls.execute(() => work.promise, { signal: controller.signal }))
      controller.abort('enough')
      await call

      expect((await caught(calls.execute(() => 'no'))).error).toMatchObject({
        code: 'ERR_BULKHEAD_FULL',
      })
      expect(slots.stats().abandoned).toBe(1)
      work.open()
      await quiet()
      expect(slots.stats()).toMatchObject({ abandoned: 0, running: 0 })
      expect(await calls.execute(() => 'yes')).toBe('yes')
    },
  )

  it('counts every deaf attempt of a retry', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 2, clock })
    const calls = pipeline(
      { name: 'p', clock },
      retry({ maxRetries: 5, baseDelay: 10, jitter: 'none', clock }),
      slots,
      timeout({ duration: 50, clock }),
    )
    const { attempts, deaf } = deafAttempts()
    const call = watch(calls.execute(deaf))
    await clock.advance(10_000)

    // Two deaf attempts hold both slots: the third is refused, and a refusal is not retried.
    expect(attempts).toHaveLength(2)
    expect(call).toMatchObject({ reason: { code: 'ERR_BULKHEAD_FULL' } })
    expect(slots.stats().abandoned).toBe(2)
    attempts[0]?.open()
    await quiet()
    expect(slots.stats()).toMatchObject({ abandoned: 1, running: 1 })
    attempts[1]?.fail('late')
    await quiet()
    await expectFreeSlots(slots, 2)
  })

  it('holds one slot for all attempts of a retry that is inside', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const calls = pipeline(
      { name: 'p', clock },
      slots,
      retry({ maxRetries: 1, baseDelay: 10, jitter: 'none', clock }),
      timeout({ duration: 50, clock }),
    )
    const { attempts, deaf } = deafAttempts()
    const call = watch(calls.execute(deaf))
    await clock.advance(110)
    expect(call.status).toBe('rejected')
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })

    attempts[1]?.open()
    await quiet()
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })
    attempts[0]?.open()
    await quiet()
    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    await expectFreeSlots(slots, 1)
  })

  it('frees the slot after abandonAfter, once, and tells', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 5, abandonAfter: 500, clock })
    const told: string[] = []
    slots.subscribe((event: HoldfastEvent) => {
      if (event.type === 'abandon') told.push(`${event.slot} ${event.abandoned}`)
    })
    const calls = pipeline({ name: 'p', clock }, slots, timeout({ duration: 50, clock }))
    const work = gate()
    const call = caught(calls.execute(() => work.promise))
    const next = watch(slots.execute(() => 'next'))
    await clock.advance(549)
    await call
    expect(next.status).toBe('pending')
    await clock.advance(1)
    expect(next.status).toBe('fulfilled')

    work.open()
    await quiet()
    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    expect(told).toEqual(['held 1', 'forgotten 0'])
    expect(clock.timers).toEqual([])
    await expectFreeSlots(slots, 1)
  })

  it('lets no timer of an abandoned call keep a process alive, and cancels it at the end', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, abandonAfter: 500, clock })
    const work = gate()
    const call = caught(slots.execute(() => work.promise, { deadline: 10 }))
    await clock.advance(10)
    await call
    expect(clock.timers).toEqual([{ due: 510, unref: true }])

    work.open()
    await quiet()

    expect(clock.timers).toEqual([])
    await expectFreeSlots(slots, 1)
  })

  it('keeps the slot for a deaf fallback step inside it', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const step = gate<string>()
    const calls = pipeline(
      { name: 'p', clock },
      slots,
      fallback(() => step.promise),
    )
    const call = caught(calls.execute(() => Promise.reject(new Error('down')), { deadline: 50 }))
    await clock.advance(50)
    await call
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })

    step.open('late')
    await quiet()

    await expectFreeSlots(slots, 1)
  })

  it('does not wait for work that the caller left but that never began', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, clock })
    const held = gate()
    const holder = slots.execute(() => held.promise)
    const waiting = caught(slots.execute(hangs, { deadline: 50 }))
    await clock.advance(50)
    await waiting
    held.open()
    await holder

    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    await expectFreeSlots(slots, 1)
  })
})
