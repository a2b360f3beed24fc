import { AsyncLocalStorage } from 'node:async_hooks'
import {
  bulkhead,
  type Context,
  coalesce,
  type ExecuteOptions,
  fallback,
  type HoldfastEvent,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, rejection, times, watch } from '../../test/support/calls.ts'
import { expectConserved } from '../../test/support/conservation.ts'
import { listenersOn, withoutNoise } from '../../test/support/leaks.ts'

const byId = (id: string): string => id

describe('coalesce', () => {
  it('calls the function once for everybody who asks the same at the same time', async () => {
    const answer = gate<object>()
    let calls = 0
    const policy = coalesce({ key: byId })
    const product = policy.wrap((_id: string) => {
      calls++
      return answer.promise
    })

    const all = times(50, () => product('tea'))
    const other = product('salt')
    expect(policy.stats()).toMatchObject({ running: 2, joined: 49, inFlight: 51 })
    const value = { name: 'tea' }
    answer.open(value)

    for (const one of await Promise.all(all)) expect(one).toBe(value)
    await other
    expect(calls).toBe(2)
    expect(policy.stats()).toMatchObject({ succeeded: 51, running: 0 })
  })

  it('keeps nothing: who comes after the end calls anew, after an error too', async () => {
    const operation = scripted(['fail', { value: 1 }, { value: 2 }])
    const policy = coalesce({ key: () => 'all' })

    const together = [caught(policy.execute(operation)), caught(policy.execute(operation))]
    const [first, second] = await Promise.all(together)

    expect(first?.error).toBe(second?.error)
    expect(await policy.execute(operation)).toBe(1)
    expect(await policy.execute(operation)).toBe(2)
    expect(operation.calls).toBe(3)
  })

  it('answers each in its own async context, and calls in that of the first', async () => {
    const store = new AsyncLocalStorage<string>()
    const answer = gate<string>()
    const policy = coalesce({ key: () => 'all' })
    const seen: unknown[] = []
    const call = (user: string): Promise<void> =>
      store.run(user, async () => {
        await policy.execute(() => {
          seen.push(`called by ${store.getStore()}`)
          return answer.promise
        })
        seen.push(`answered ${store.getStore()}`)
      })

    const calls = ['ann', 'ben', 'cem'].map(call)
    answer.open('done')
    await Promise.all(calls)

    expect(seen).toEqual(['called by ann', 'answered ann', 'answered ben', 'answered cem'])
  })

  it('calls once for a key while the function is being called, even from within', async () => {
    const answer = gate<string>()
    const policy = coalesce({ key: () => 'all' })
    let inner: Promise<string> | undefined
    let calls = 0

    const outer = policy.execute(() => {
      calls++
      inner = policy.execute(() => 'never called')
      return answer.promise
    })
    answer.open('once')

    expect(await outer).toBe('once')
    expect(await inner).toBe('once')
    expect(calls).toBe(1)
  })

  describe('a caller that leaves', () => {
    it('leaves alone: the others get the answer, whoever began', async () => {
      const answer = gate<string>()
      const signals: AbortSignal[] = []
      const policy = coalesce({ key: () => 'all' })
      const began = new AbortController()
      const joined = new AbortController()
      const operation = ({ signal }: Context): Promise<string> => {
        signals.push(signal)
        return answer.promise
      }
      const first = caught(policy.execute(operation, { signal: began.signal }))
      const second = caught(policy.execute(operation, { signal: joined.signal }))
      const third = policy.execute(operation)

      began.abort('first')
      joined.abort('second')
      await quiet()

      expect((await first).error).toBe('first')
      expect((await second).error).toBe('second')
      expect(signals.map(({ aborted }) => aborted)).toEqual([false])
      answer.open('still here')
      expect(await third).toBe('still here')
      expect(listenersOn(began.signal) + listenersOn(joined.signal)).toBe(0)
      expectConserved(policy.stats(), 3)
    })

    it('ends the call when it was the last, with its reason, and nobody joins what is ending', async () => {
      const signals: AbortSignal[] = []
      const policy = coalesce({ key: () => 'all' })
      const callers = [new AbortController(), new AbortController()]
      const operation = (context: Context): Promise<never> => {
        signals.push(context.signal)
        return hangs()
      }
      const calls = callers.map(({ signal }) => caught(policy.execute(operation, { signal })))

      callers[0]?.abort('first')
      expect(signals[0]?.aborted).toBe(false)
      callers[1]?.abort('last')

      expect(signals[0]?.reason).toBe('last')
      expect(policy.stats().running).toBe(0)
      expect(await policy.execute(() => 'a new call')).toBe('a new call')
      await Promise.all(calls)
    })

    it('does not end a call that may finish alone', async () => {
      const answer = gate<string>()
      const operation = scripted(['hang'])
      const policy = coalesce({ key: () => 'all', finishAlone: true })
      const caller = new AbortController()
      const first = caught(policy.execute(operation, { signal: caller.signal }))

      caller.abort('why')
      await first

      expect(operation.signals[0]?.aborted).toBe(false)
      expect(policy.stats().running).toBe(1)
      const second = policy.execute(() => answer.promise)
      operation.settleHung()
      await quiet()
      expect(watch(second)).toBeDefined()
      expect(operation.calls).toBe(1)
    })

    it('leaves no unhandled rejection when the call that nobody waits for fails', async () => {
      const answer = gate()
      const policy = coalesce({ key: () => 'all' })
      const caller = new AbortController()

      await withoutNoise(async () => {
        const call = caught(policy.execute(async () => answer.promise, { signal: caller.signal }))
        caller.abort('gone')
        await call
        answer.fail(new Error('late'))
      })

      expectConserved(policy.stats(), 1)
    })

    it('leaves in no more time when ten thousand leave together', async () => {
      const policy = coalesce({ key: () => 'all' })
      const caller = new AbortController()
      let read = 0
      const options = (): ExecuteOptions => ({ signal: caller.signal, deadline: 1e12 })
      const calls = times(10_000, () => caught(policy.execute(hangs, options())))
      const before = process.cpuUsage()
      caller.abort('all at once')
      for (const { error } of await Promise.all(calls)) if (error === 'all at once') read++

      expect(read).toBe(10_000)
      // Ten thousand times ten thousand would take many seconds.
      const { user, system } = process.cpuUsage(before)
      expect((user + system) / 1_000).toBeLessThan(3_000)
      expect(policy.stats()).toMatchObject({ running: 0, inFlight: 0, aborted: 10_000 })
    })

    it('whose deadline is near does not cut the others short, who have more time', async () => {
      const clock = virtualClock()
      const policy = coalesce({ key: () => 'all', clock })
      const seen: number[] = []
      let context: Context | undefined
      const operation = (given: Context): Promise<string> => {
        context = given
        seen.push(given.deadline)
        return clock
          .advance(0)
          .then(() => new Promise((resolve) => clock.setTimer(() => resolve('late'), 500)))
      }

      const hasty = caught(policy.execute(operation, { deadline: 100 }))
      const patient = policy.execute(operation, { deadline: 1_000 })
      expect(context?.deadline).toBe(1_000)
      await clock.advance(600)

      expect((await hasty).error).toMatchObject({ code: 'ERR_TIMEOUT' })
      expect(await patient).toBe('late')
      expect(seen).toEqual([100])
    })
  })

  it('lets nobody join a call that hangs: the next calls anew', async () => {
    const clock = virtualClock()
    const policy = coalesce({ key: () => 'all', joinWithin: 1_000, clock })
    const stuck = watch(policy.execute(hangs))
    await clock.advance(1_000)
    const joined = watch(policy.execute(() => 'not called'))
    await clock.advance(1)

    expect(await policy.execute(() => 'anew')).toBe('anew')
    expect([stuck.status, joined.status]).toEqual(['pending', 'pending'])
  })

  describe('keys', () => {
    it('that are undefined make a call of its own', async () => {
      const operation = scripted(['ok', 'ok'])
      const policy = coalesce({ key: () => undefined })

      await Promise.all([policy.execute(operation), policy.execute(operation)])

      expect(operation.calls).toBe(2)
      expect(policy.stats()).toMatchObject({ joined: 0, running: 0 })
    })

    it('that want arguments are not made without: nobody gets the answer of another', async () => {
      const operation = scripted(['ok'])
      const policy = coalesce({ key: byId })

      const error = await rejection(policy.execute(operation))

      expect(error).toBeInstanceOf(TypeError)
      expect(String(error)).toContain('key wants 1 argument(s), but the call has none; not called')
      expect(operation.calls).toBe(0)
      expect(await policy.execute(operation, { args: ['tea'] })).toBe('ok')
    })

    it.each([42, null, {}, Symbol('key'), Promise.resolve('key')])(
      'that are %s are refused',
      async (key) => {
        const policy = coalesce({ key: (() => key) as never })

        expect(await rejection(policy.execute(() => 'unreached'))).toBeInstanceOf(TypeError)
        expectConserved(policy.stats(), 1)
      },
    )

    it('that cannot be made reject the call with what was thrown', async () => {
      const bug = new Error('no user')
      const policy = coalesce({
        key: () => {
          throw bug
        },
      })

      expect(await rejection(policy.execute(() => 'unreached'))).toBe(bug)
    })

    it.each([undefined, null, 'id', {}])('are made by a function, not by %s', (key) => {
      expect(() => coalesce({ key } as never)).toThrow('coalesce: key')
    })
  })

  it('tells who joined, and counts them', async () => {
    const events: HoldfastEvent[] = []
    const answer = gate()
    const policy = coalesce({ name: 'reads', key: byId })
    policy.subscribe((event) => events.push(event))
    const read = policy.wrap((_id: string) => answer.promise)

    const both = [read('tea'), read('tea')]
    answer.open()
    await Promise.all(both)

    expect(events).toMatchObject([
      { type: 'join', policy: 'reads', key: 'tea', waiting: 2 },
      { type: 'call', ending: 'succeeded', attempts: 1 },
      { type: 'call', ending: 'succeeded', attempts: 0 },
    ])
  })

  describe('in a pipeline', () => {
    it('retries, limits and counts the shared call once', async () => {
      const clock = virtualClock()
      const operation = scripted(['fail', { value: 'tea' }])
      const slots = bulkhead({ maxConcurrent: 1, clock })
      const reads = pipeline(
        { name: 'reads', clock },
        coalesce({ key: byId, clock }),
        retry({ maxRetries: 1, baseDelay: 100, clock }),
        slots,
        timeout({ duration: 1_000, clock }),
      ).wrap((_id: string) => operation({} as never))

      const all = Promise.all(times(20, () => reads('tea')))
      await clock.advance(200)

      expect(await all).toEqual(times(20, () => 'tea'))
      expect(operation.calls).toBe(2)
      expect(slots.stats()).toMatchObject({ calls: 2, rejected: 0 })
    })

    it('tells each caller in detail what happened to the call that they shared', async () => {
      const clock = virtualClock()
      const down = new Error('down')
      const reads = pipeline(
        { name: 'reads', clock },
        coalesce({ key: () => 'all', clock }),
        fallback({ name: 'default', run: () => 'guess' }),
      )
      const operation = async (): Promise<string> => {
        await Promise.resolve()
        throw down
      }

      const [first, second] = await Promise.all([
        reads.executeDetailed(operation),
        reads.executeDetailed(operation),
      ])

      const told = { value: 'guess', source: 'default', degraded: true, errors: [down] }
      expect(first).toMatchObject({ ...told, attempts: 1 })
      expect(second).toMatchObject({ ...told, attempts: 0 })
    })

    it('tells an error of the shared call once to each', async () => {
      const down = new Error('down')
      const policy = pipeline(
        'reads',
        fallback({ name: 'default', run: () => 'guess' }),
        coalesce({ key: () => 'all' }),
        retry({ maxRetries: 1, baseDelay: 0 }),
      )
      const operation = async (): Promise<never> => {
        throw down
      }

      const both = [policy.executeDetailed(operation), policy.executeDetailed(operation)]

      for (const { errors } of await Promise.all(both)) expect(errors).toEqual([down, down])
    })

    it('frees the slot of a caller that left while others wait, keeps that of the last', async () => {
      const answer = gate<string>()
      const slots = bulkhead({ maxConcurrent: 2 })
      const reads = pipeline('reads', slots, coalesce({ key: () => 'all' }))
      const callers = [new AbortController(), new AbortController()]
      const calls = callers.map(({ signal }) =>
        caught(reads.execute(() => answer.promise, { signal })),
      )

      callers[0]?.abort('first')
      await quiet()
      expect(slots.stats().running).toBe(1)
      callers[1]?.abort('last')
      await quiet()
      expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })
      answer.open('late')
      await quiet()

      expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
      await Promise.all(calls)
    })
  })
})
