import { AsyncLocalStorage } from 'node:async_hooks'
import {
  bulkhead,
  type Clock,
  type Context,
  circuitBreaker,
  coalesce,
  type HoldfastEvent,
  hedge,
  type PolicyLike,
  pipeline,
  retry,
  retryBudget,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import { withoutNoise } from '../../../test/support/leaks.ts'
import { bulkheadFull } from '../../../test/support/thrown.ts'

/** A function whose every call is a gate of its own. */
function gates<T = string>() {
  const calls: { readonly held: Gate<T>; readonly context: Context }[] = []
  const fn = (context: Context): Promise<T> => {
    const held = gate<T>()
    calls.push({ held, context })
    return held.promise
  }
  return { calls, fn }
}

const down = new Error('down')

describe('a hedge', () => {
  it('makes a slow call once more, and takes the first answer', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 100, budget: false, clock })
    const { calls, fn } = gates()
    const answer = watch(policy.execute(fn))

    await clock.advance(99)
    expect(calls).toHaveLength(1)
    await clock.advance(1)
    expect(calls.map(({ context }) => context.attempt)).toEqual([1, 2])
    calls[1]?.held.open('second')
    await quiet()

    expect(answer.value).toBe('second')
    expect(policy.stats()).toMatchObject({ calls: 1, succeeded: 1, hedges: 1, won: 1, delay: 100 })
    expect(clock.timers).toEqual([])
  })

  it('makes no further call when the answer comes in time', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 100, clock })
    const { calls, fn } = gates()
    const answer = policy.execute(fn)
    await clock.advance(99)
    calls[0]?.held.open('first')

    expect(await answer).toBe('first')
    await clock.advance(1_000)
    expect(calls).toHaveLength(1)
    expect(policy.stats()).toMatchObject({ hedges: 0, won: 0 })
  })

  it('makes as many further calls as it may, each a delay after the last', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, maxHedges: 3, budget: false, clock })
    const { calls, fn } = gates()
    const answer = policy.execute(fn)
    const seen: number[] = []
    for (const _ of times(6, () => 0)) {
      await clock.advance(10)
      seen.push(calls.length)
    }
    calls[3]?.held.open('fourth')

    expect(seen).toEqual([2, 3, 4, 4, 4, 4])
    expect(await answer).toBe('fourth')
  })

  it('makes all calls at once without a delay', async () => {
    const { calls, fn } = gates()
    const answer = hedge({ delay: 0, maxHedges: 2, budget: false }).execute(fn)
    expect(calls).toHaveLength(3)
    calls[1]?.held.open('second')
    expect(await answer).toBe('second')
  })

  it('does not wait for the delay when a call fails', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 1_000, budget: false, clock })
    const { calls, fn } = gates()
    const answer = watch(policy.execute(fn))
    calls[0]?.held.fail(down)
    await quiet()

    expect(calls).toHaveLength(2)
    calls[1]?.held.open('second')
    await quiet()
    expect(answer.value).toBe('second')
  })

  it.each([
    ['what will be the same again', Object.assign(new Error('not found'), { status: 404 })],
    ['a bug', new TypeError('undefined is not a function')],
    ['a refusal', bulkheadFull()],
  ])('makes no further call after %s', async (_what, error) => {
    const clock = virtualClock()
    const { calls, fn } = gates()
    const answer = watch(hedge({ delay: 10, clock }).execute(fn))
    calls[0]?.held.fail(error)
    await clock.advance(100)

    expect(answer.reason).toBe(error)
    expect(calls).toHaveLength(1)
  })

  it('asks its user which failures are worth a further call, and survives the answer', async () => {
    const broken = (): never => {
      throw new Error('broken')
    }
    const notFound = Object.assign(new Error('not found'), { status: 404 })
    for (const [shouldHedge, expected] of [
      [() => true, 2],
      [() => false, 1],
      [() => undefined, 1],
      [broken, 1],
    ] as const) {
      let calls = 0
      const policy = hedge({ delay: 10, budget: false, shouldHedge })
      const fail = (): never => {
        calls++
        throw notFound
      }
      expect(await rejection(policy.execute(fail))).toBe(notFound)
      expect(calls).toBe(expected)
    }
  })

  it('takes a result that is worth a further call for want of a better one only', async () => {
    const shouldHedgeResult = (result: unknown): boolean => result !== 'good'
    const run = async (results: readonly unknown[]): Promise<unknown> => {
      const left = [...results]
      const policy = hedge({ delay: 50, maxHedges: 2, budget: false, shouldHedgeResult })
      const answer = await policy.execute(async () => {
        const result = left.shift()
        if (result instanceof Error) throw result
        return result
      })
      return [answer, results.length - left.length, policy.stats().won]
    }

    expect(await run(['poor', 'good'])).toEqual(['good', 2, 1])
    expect(await run(['poor', 'poorer', 'poorest'])).toEqual(['poor', 3, 0])
    expect(await run([down, 'poor', down])).toEqual(['poor', 3, 1])
  })

  it('takes a result as it is when its user cannot say what it is worth', async () => {
    let calls = 0
    const shouldHedgeResult = (): never => {
      throw new Error('broken')
    }
    await hedge({ delay: 50, shouldHedgeResult }).execute(() => ++calls)

    expect(calls).toBe(1)
  })

  it('fails with the first failure when all fail, as it came', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, maxHedges: 2, budget: false, clock })
    const { calls, fn } = gates()
    const answer = watch(policy.execute(fn))
    await clock.advance(20)
    calls[1]?.held.fail(new Error('second'))
    calls[0]?.held.fail(down)
    await quiet()
    expect(answer.status).toBe('pending')
    calls[2]?.held.fail(new Error('third'))
    await quiet()

    expect((answer.reason as Error).message).toBe('second')
    expect(policy.stats()).toMatchObject({ failed: 1, hedges: 2, won: 0, inFlight: 0 })
  })

  it('prefers the failure of a call that was made to a refusal', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: 5, clock })
    const policy = pipeline('p', hedge({ delay: 10, budget: false, clock }), slots)
    const { calls, fn } = gates()
    const answer = watch(policy.execute(fn))
    await clock.advance(20)
    calls[0]?.held.fail(down)
    await quiet()

    // The further call was refused for want of a slot, which is no failure.
    expect(answer.reason).toBe(down)
    expect(calls).toHaveLength(1)
  })

  it('tells how it came to its answer', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, budget: false, clock })
    const { calls, fn } = gates()
    const detailed = policy.executeDetailed(fn)
    calls[0]?.held.fail(down)
    await quiet()
    calls[1]?.held.open('second')

    expect(await detailed).toEqual({
      value: 'second',
      source: 'primary',
      degraded: false,
      attempts: 2,
      duration: 0,
      errors: [down],
    })
  })

  it('tells of what it does', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 0, minPerSecond: 0.1, clock })
    const policy = hedge({ name: 'search', delay: 10, maxHedges: 2, budget, clock })
    const events: HoldfastEvent[] = []
    policy.subscribe((event) => void events.push(event))
    const { calls, fn } = gates()
    const answer = policy.execute(fn)
    calls[0]?.held.fail(down)
    await clock.advance(20)
    calls[1]?.held.open('second')
    await answer

    const base = { policy: 'search', pipeline: 'search' }
    expect(events).toMatchObject([
      { type: 'hedge', ...base, what: 'sent', attempt: 2, at: 0, error: down },
      { type: 'hedge', ...base, what: 'refused', at: 10 },
      { type: 'hedge', ...base, what: 'won', attempt: 2, at: 20 },
      { type: 'call', ending: 'succeeded', attempts: 2 },
    ])
    expect(policy.stats()).toMatchObject({ hedges: 1, refused: 1, won: 1 })
  })

  it('runs each call in the async context of its caller', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, maxHedges: 2, budget: false, clock })
    const who = new AsyncLocalStorage<string>()
    const seen: string[] = []
    const call = (name: string): Promise<unknown> =>
      who.run(name, () =>
        policy.execute(({ attempt }) => {
          seen.push(`${name} in the context of ${who.getStore()}`)
          return attempt === 3 ? attempt : new Promise(() => {})
        }),
      )
    const answers = [call('anna'), call('ben')]
    await clock.advance(10)
    await clock.advance(10)
    await Promise.all(answers)

    const right = ['anna in the context of anna', 'ben in the context of ben']
    expect(seen.toSorted()).toEqual([...right, ...right, ...right].sort())
  })
})

describe('the timer of a hedge', () => {
  it('is let go when no further call is worth it, although others still run', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, maxHedges: 2, budget: false, clock })
    const { calls, fn } = gates()
    const answer = policy.execute(fn)
    await clock.advance(10)
    expect(clock.timers).toHaveLength(1)
    calls[1]?.held.fail(Object.assign(new Error('not found'), { status: 404 }))
    await quiet()

    expect(clock.timers).toEqual([])
    calls[0]?.held.open('first')
    expect(await answer).toBe('first')
  })

  it('makes no further call when the answer comes in the same breath', async () => {
    let now = 0
    let ring = (): void => undefined
    const clock: Clock = {
      now: () => now,
      wallTime: () => now,
      setTimer: (callback) => {
        ring = callback
        return { cancel() {}, ref() {}, unref() {} }
      },
    }
    const { calls, fn } = gates()
    const answer = hedge({ delay: 10, budget: false, clock }).execute(fn)
    now = 10
    calls[0]?.held.open('first')
    ring()

    expect(await answer).toBe('first')
    expect(calls).toHaveLength(1)
  })
})

describe('the losers of a hedge', () => {
  it('are told to stop by signals of their own, and their ends are nobody’s business', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, maxHedges: 2, budget: false, clock })
    const { calls, fn } = gates()

    await withoutNoise(async () => {
      const answer = policy.execute(fn)
      await clock.advance(20)
      const [first, second, third] = calls.map(({ context }) => context)
      expect(first?.signal.aborted).toBe(false)
      calls[1]?.held.open('second')
      expect(await answer).toBe('second')

      expect([first, second, third].map((context) => context?.signal.aborted)).toEqual([
        true,
        false,
        true,
      ])
      expect(first?.signal.reason).toMatchObject({
        name: 'AbortError',
        message: 'hedge "hedge": another call was faster',
      })
      expect([first?.remaining, first?.deadline]).toEqual([0, Number.POSITIVE_INFINITY])
      calls[0]?.held.fail(down)
      calls[2]?.held.open('third')
    })
  })

  it('hand over what they still bring', async () => {
    const clock = virtualClock()
    const discarded: unknown[] = []
    const discard = (value: unknown): never => {
      discarded.push(value)
      throw new Error('broken')
    }
    const policy = hedge({ delay: 10, budget: false, discard, clock })
    const { calls, fn } = gates()
    const answer = policy.execute(fn)
    await clock.advance(10)
    calls[1]?.held.open('second')
    await answer
    calls[0]?.held.open('too late')
    await quiet()

    expect(discarded).toEqual(['too late'])
  })

  it('let go of the body of a response that comes too late, and of nothing that the caller has', async () => {
    const cancelled: string[] = []
    const response = (name: string): Response =>
      new Response(new ReadableStream({ cancel: () => void cancelled.push(name) }))
    const { calls, fn } = gates<unknown>()
    const answer = hedge({ delay: 0, maxHedges: 6, budget: false }).execute(fn)
    const given = response('given')
    const broken = {
      get body(): never {
        throw new Error('no')
      },
    }
    for (const value of [given, response('late'), given, { body: 'text' }, null, broken]) {
      calls.shift()?.held.open(value)
      await quiet()
    }

    expect(await answer).toBe(given)
    expect(cancelled).toEqual(['late'])
  })

  it.each([false, true])(
    'hold the slots outside until they have ended (in a pipeline: %s)',
    async (inside) => {
      const clock = virtualClock()
      const slots = bulkhead({ maxConcurrent: 1, clock })
      const alone = hedge({ delay: 10, budget: false, clock })
      const { calls, fn } = gates()
      const answer = inside
        ? pipeline('p', slots, alone).execute(fn)
        : slots.execute((context) => alone.execute(fn, context))
      await clock.advance(10)
      calls[1]?.held.open('second')
      await answer

      expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })
      calls[0]?.held.open('too late')
      await quiet()
      expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
    },
  )
})

describe('the caller of a hedge', () => {
  it.each(['abort', 'limit outside', 'deadline'] as const)(
    'stops all calls by its %s',
    async (how) => {
      const clock = virtualClock()
      const alone = hedge({ delay: 10, budget: false, clock })
      const policy =
        how === 'limit outside' ? pipeline('p', timeout({ duration: 50, clock }), alone) : alone
      const controller = new AbortController()
      const { calls, fn } = gates()
      const { signal } = controller
      const answer = watch(policy.execute(fn, how === 'deadline' ? { deadline: 50 } : { signal }))
      await clock.advance(49)
      const signals = calls.map(({ context }) => context.signal)
      expect(calls).toHaveLength(2)
      expect(calls.map(({ context }) => context.remaining)).toEqual(
        how === 'abort' ? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] : [1, 1],
      )
      if (how === 'abort') controller.abort('enough')
      else await clock.advance(2)
      await quiet()

      expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
      if (how === 'abort') expect(answer.reason).toBe('enough')
      else expect(answer.reason).toMatchObject({ code: 'ERR_TIMEOUT' })
      await clock.advance(1_000)
      expect(calls).toHaveLength(2)
      expect(clock.timers).toEqual([])
    },
  )

  it.each([false, true])(
    'may be made to leave by the function itself (in a pipeline: %s)',
    async (inside) => {
      const clock = virtualClock()
      const slots = bulkhead({ maxConcurrent: 1, clock })
      const alone = hedge({ delay: 10, budget: false, clock })
      const controller = new AbortController()
      const { signal } = controller
      const held = gate<string>()
      let calls = 0
      const call = (): Promise<string> => {
        calls++
        controller.abort('enough')
        return held.promise
      }
      const answer = inside
        ? watch(pipeline('p', slots, alone).execute(call, { signal }))
        : watch(slots.execute((context) => alone.execute(call, context), { signal }))
      await clock.advance(100)

      expect([answer.reason, calls, slots.stats().running]).toEqual(['enough', 1, 1])
      held.open('too late')
      await quiet()
      expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
      expect(clock.timers).toEqual([])
    },
  )

  it('keeps a slot outside as long as any of the calls runs', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const policy = pipeline('p', slots, hedge({ delay: 10, budget: false, clock }))
    const controller = new AbortController()
    const { calls, fn } = gates()
    const answer = watch(policy.execute(fn, { signal: controller.signal }))
    await clock.advance(10)
    controller.abort('enough')
    await quiet()
    expect([answer.reason, slots.stats().running]).toEqual(['enough', 1])
    calls[0]?.held.fail(down)
    await quiet()
    expect(slots.stats().running).toBe(1)
    calls[1]?.held.open('too late')
    await quiet()
    expect(slots.stats().running).toBe(0)
  })
})

describe('a hedge whose caller has no time left', () => {
  it('makes no further call, also when nobody has told it yet', async () => {
    const time = virtualClock()
    const later: (() => void)[] = []
    const clock: Clock = {
      now: () => time.now(),
      wallTime: () => time.wallTime(),
      setTimer: (callback, delay) => time.setTimer(callback, delay),
      defer: (callback) => void later.push(callback),
    }
    const policy = hedge({ delay: 1_000, budget: false, clock })
    const { calls, fn } = gates()
    const answer = watch(policy.execute(fn, { deadline: 30 }))
    // Its deadline has passed; answers that wait in the same turn go first.
    await time.advance(30)
    calls[0]?.held.fail(down)
    await quiet()

    expect(answer.reason).toBe(down)
    for (const callback of later) callback()
    expect(calls).toHaveLength(1)
  })
})

describe('a hedge by percentile', () => {
  const took = (ms: number, clock: ReturnType<typeof virtualClock>) => () =>
    new Promise((resolve) => void clock.setTimer(() => resolve(ms), ms))

  it('waits until enough calls were seen, then as long as most of them took', async () => {
    const clock = virtualClock()
    const policy = hedge({ percentile: 0.9, budget: false, clock })
    for (const n of times(50, (index) => index)) {
      void policy.execute(took(n < 44 ? 20 : 200, clock))
      await clock.advance(200)
      if (n < 49) expect(policy.stats().delay).toBeNull()
    }
    expect(policy.stats().delay).toBeGreaterThanOrEqual(200)
    for (const _ of times(50, () => 0)) {
      void policy.execute(took(20, clock))
      await clock.advance(200)
    }
    const { delay } = policy.stats()
    expect(delay).toBeGreaterThanOrEqual(20)
    expect(delay).toBeLessThanOrEqual(20 * 1.04)

    const { calls, fn } = gates()
    void policy.execute(fn)
    await clock.advance(22)
    expect(calls).toHaveLength(2)
  })

  it('uses the delay until then, if one is given', async () => {
    const clock = virtualClock()
    const policy = hedge({ percentile: 0.9, delay: 70, budget: false, clock })
    const { calls, fn } = gates()
    void policy.execute(fn)
    await clock.advance(69)
    expect([calls.length, policy.stats().delay]).toEqual([1, 70])
    await clock.advance(1)
    expect(calls).toHaveLength(2)
  })

  it('forgets what its window has left behind', async () => {
    const clock = virtualClock()
    const policy = hedge({ percentile: 0.5, window: 10_000, budget: false, clock })
    const send = async (ms: number, count: number): Promise<void> => {
      for (const _ of times(count, () => 0)) {
        void policy.execute(took(ms, clock))
        await clock.advance(100)
      }
    }
    await send(100, 60)
    expect(policy.stats().delay).toBeCloseTo(100, -1)
    await send(10, 160)
    expect(policy.stats().delay).toBeLessThanOrEqual(10.4)
    await clock.advance(60_000)
    await send(50, 60)
    expect(policy.stats().delay).toBeGreaterThanOrEqual(50)
  })

  it('never waits less than a millisecond', async () => {
    const clock = virtualClock()
    const policy = hedge({ percentile: 0.5, clock })
    for (const _ of times(50, () => 0)) await policy.execute(() => 1)
    expect(policy.stats().delay).toBe(1)
  })

  it('does not hedge more and more because the slow ones were cut off', async () => {
    const clock = virtualClock()
    const policy = hedge({ percentile: 0.9, budget: false, clock })
    let calls = 0
    for (const n of times(1_000, (index) => index)) {
      const answer = policy.execute(({ attempt }) => {
        calls++
        return took(attempt === 1 && n % 10 === 9 ? 300 : 20, clock)()
      })
      await clock.advance(320)
      await answer
    }
    expect(calls).toBeLessThan(1_150)
    expect(policy.stats().won).toBeGreaterThan(50)
  })
})

describe('the options of a hedge', () => {
  it.each([
    [{}, TypeError, 'delay or percentile is required'],
    [{ delay: -1 }, RangeError, 'delay must be'],
    [{ delay: Number.POSITIVE_INFINITY }, RangeError, 'delay must be'],
    [{ percentile: 1 }, RangeError, 'percentile must be'],
    [{ percentile: 95 }, RangeError, 'did you mean 0.95?'],
    [{ delay: 1, window: 5_000 }, TypeError, 'window needs percentile'],
    [{ percentile: 0.9, window: 5 }, RangeError, 'window must be'],
    [{ delay: 1, maxHedges: 0 }, RangeError, 'maxHedges must be'],
    [{ delay: 1, maxHedges: 11 }, RangeError, 'maxHedges must be'],
    [{ delay: 1, budget: true }, RangeError, 'budget must be'],
    [{ delay: 1, budget: {} }, TypeError, 'budget must be'],
    [{ delay: 1, discard: 'yes' }, TypeError, 'discard must be'],
  ])('are refused: %o', (options, kind, message) => {
    expect(() => hedge(options as never)).toThrow(kind)
    expect(() => hedge(options as never)).toThrow(message)
  })

  it('are described with what is in force', () => {
    expect(hedge({ delay: 50 }).describe().options).toEqual({
      delay: 50,
      window: 60_000,
      maxHedges: 1,
      budget: { ratio: 0.1, minPerSecond: 1, window: 10_000 },
    })
    expect(hedge({ delay: 50, budget: false }).describe().options).toMatchObject({ budget: false })
  })
})

describe('what stands inside a hedge', () => {
  it('tells of each failure once', async () => {
    const policy = pipeline(
      'p',
      hedge({ delay: 1_000, maxHedges: 3, budget: false, shouldHedge: () => true }),
      circuitBreaker(),
      retry({ maxRetries: 1, baseDelay: 0 }),
    )
    let calls = 0
    const failures = times(3, (n) => new Error(`failure ${n}`))
    const detailed = await policy.executeDetailed(() => {
      const failure = failures[calls++]
      if (failure === undefined) return 'answer'
      throw failure
    })

    expect(detailed).toMatchObject({ value: 'answer', attempts: 4, source: 'primary' })
    expect(detailed.errors).toEqual(failures)
  })

  it('sees each call by itself, and losers are nobody’s failure', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const slots = bulkhead({ maxConcurrent: 2, clock })
    const policy = pipeline(
      'p',
      hedge({ delay: 10, budget: false, clock }),
      breaker,
      slots,
      timeout({ duration: 1_000, clock }),
    )
    for (const _ of times(20, () => 0)) {
      const answer = policy.execute(({ attempt, signal }) =>
        attempt === 2
          ? 'second'
          : new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason)),
            ),
      )
      await clock.advance(10)
      expect(await answer).toBe('second')
    }
    expect(breaker.state).toBe('closed')
    expect(breaker.stats()).toMatchObject({ failed: 0, aborted: 20, succeeded: 20, inFlight: 0 })
    expect(slots.stats()).toMatchObject({ running: 0, aborted: 20, succeeded: 20 })
    expect(policy.stats()).toMatchObject({ succeeded: 20, failed: 0, calls: 20 })
    expect(clock.pending).toBe(0)
  })

  it.each([
    ['alone', []],
    ['behind a policy of the user’s own', [{ execute: (run: () => never) => run() }]],
    ['behind another cut', [coalesce({ key: () => 'same' })]],
  ] as const)('is told of to whoever listens to the pipeline: %s', async (_where, outside) => {
    const seen: unknown[] = []
    const policy = pipeline(
      { name: 'shop', onEvent: (event) => event.type === 'hedge' && seen.push(event) },
      ...(outside as readonly PolicyLike[]),
      hedge({ delay: 1_000, budget: false }),
      timeout(1_000),
    )
    let calls = 0
    await policy.execute(() => (++calls === 1 ? Promise.reject(down) : 'answer'))

    expect(seen).toMatchObject([
      { pipeline: 'shop', policy: 'hedge', what: 'sent', error: down },
      { pipeline: 'shop', what: 'won' },
    ])
  })

  it('counts once outside: one call, one outcome', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const policy = pipeline('p', breaker, hedge({ delay: 10, maxHedges: 3, budget: false, clock }))

    expect(await rejection(policy.execute(() => Promise.reject(down)))).toBe(down)
    expect(breaker.stats()).toMatchObject({ consecutiveFailures: 1, failed: 1, state: 'closed' })
  })
})
