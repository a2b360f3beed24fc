import {
  bulkhead,
  type Clock,
  type Context,
  circuitBreaker,
  constant,
  type ExecuteOptions,
  fallback,
  type HoldfastEvent,
  type PolicyLike,
  retry,
  systemClock,
  timeout,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, rejection } from '../../test/support/calls.ts'
import { type PipelineOptions, pipeline } from './pipeline.ts'

const down = new Error('down')

/** A policy of the user's own that just passes on. */
const passing = (clock: Clock = systemClock, seen: unknown[] = []): PolicyLike => ({
  name: 'passing',
  execute(operation, options) {
    seen.push(options)
    return pipeline({ name: 'inside', clock }).execute(operation, options)
  },
})

describe('a pipeline', () => {
  it('passes its policies from left to right, and back', async () => {
    const order: string[] = []
    const mark = (name: string): PolicyLike => ({
      name,
      async execute(operation, options) {
        order.push(`into ${name}`)
        const answer = await pipeline(name).execute(operation, options)
        order.push(`out of ${name}`)
        return answer
      },
    })

    const answer = await pipeline('stack', mark('outer'), mark('inner')).execute(() => {
      order.push('called')
      return 'answer'
    })

    expect(answer).toBe('answer')
    expect(order).toEqual(['into outer', 'into inner', 'called', 'out of inner', 'out of outer'])
  })

  it('just calls when it is empty', async () => {
    const stack = pipeline('empty')

    expect(await stack.execute(() => 'answer')).toBe('answer')
    expect(await rejection(stack.execute(() => Promise.reject(down)))).toBe(down)
    expect(stack.stats()).toMatchObject({ name: 'empty', calls: 2, succeeded: 1, failed: 1 })
  })

  it('counts its own calls, whichever of its policies ended them', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 2, clock })
    const stack = pipeline('stack', breaker, timeout({ duration: 10, clock }))

    await stack.execute(() => 'answer')
    await rejection(stack.execute(() => Promise.reject(down)))
    const late = rejection(stack.execute(hangs))
    await clock.advance(10)
    await late
    await rejection(stack.execute(hangs))
    await rejection(stack.execute(hangs, { signal: AbortSignal.abort() }))

    expect(stack.stats()).toMatchObject({
      calls: 5,
      succeeded: 1,
      failed: 1,
      timedOut: 1,
      rejected: 1,
      aborted: 1,
      inFlight: 0,
    })
  })

  it('counts once what its retry called several times', async () => {
    const each = timeout(1_000)
    const stack = pipeline('stack', retry({ baseDelay: 0 }), each)

    await stack.execute(scripted(['fail', 'fail', 'ok']))

    expect(stack.stats()).toMatchObject({ calls: 1, succeeded: 1 })
    expect(each.stats()).toMatchObject({ calls: 3, succeeded: 1, failed: 2 })
  })

  it('shares its policies with other pipelines', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const [one, other] = [pipeline('one', breaker), pipeline('other', breaker)]

    await rejection(one.execute(() => Promise.reject(down)))

    expect(await rejection(other.execute(hangs))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(breaker.stats()).toMatchObject({ calls: 2, failed: 1, rejected: 1 })
  })

  it('can stand in another pipeline as a policy', async () => {
    const inner = pipeline('inner', retry({ maxRetries: 1, baseDelay: 0 }), timeout(1_000))
    const outer = pipeline(
      'outer',
      fallback(() => 'guess'),
      inner,
    )
    const operation = scripted(['fail'])

    expect(await outer.execute(operation)).toBe('guess')
    expect(operation.calls).toBe(2)
    expect(inner.stats()).toMatchObject({ calls: 1, failed: 1 })
    expect(outer.stats()).toMatchObject({ calls: 1, succeeded: 1 })
  })

  it('wraps a function, with its arguments, this and name', async () => {
    const stack = pipeline(
      'stack',
      fallback((_error, { args }) => `no ${String(args[0])}`),
    )
    async function product(this: { down: boolean }, id: string): Promise<string> {
      if (this.down) throw down
      return `product ${id}`
    }

    const wrapped = stack.wrap(product)

    expect([wrapped.name, wrapped.length]).toEqual(['product', 1])
    expect(await wrapped.call({ down: false }, '42')).toBe('product 42')
    expect(await wrapped.call({ down: true }, '42')).toBe('no 42')
  })

  it('is pinned while one of its policies is', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const stack = pipeline('stack', breaker, passing())
    expect(stack).toMatchObject({ pinned: false })

    await rejection(stack.execute(() => Promise.reject(down)))
    expect(stack).toMatchObject({ pinned: true })
    breaker.close()
    void stack.execute(hangs)

    expect(stack).toMatchObject({ pinned: true })
  })

  it('measures latency when it is asked to', async () => {
    const clock = virtualClock()
    const stack = pipeline(
      { name: 'stack', latency: true, clock },
      timeout({ duration: 90, clock }),
    )

    await stack.execute(() => clock.advance(40))

    expect(stack.stats().latency).toMatchObject({ count: 1, max: 40 })
  })
})

describe('its time', () => {
  it('is the one that it was given', () => {
    const [own, theirs] = [virtualClock(), virtualClock()]
    const stack = pipeline({ name: 'stack', clock: own }, timeout({ duration: 5, clock: theirs }))

    expect(stack).toMatchObject({ clock: own })
  })

  it('is otherwise the first that one of its policies was given', () => {
    const clock = virtualClock()

    const stack = pipeline(
      'stack',
      fallback(() => 'guess'),
      passing(),
      timeout({ duration: 5, clock }),
      timeout({ duration: 4, clock: virtualClock() }),
    )

    expect(stack).toMatchObject({ clock })
    expect(pipeline('stack', timeout(5))).toMatchObject({ clock: systemClock })
    expect(pipeline('empty')).toMatchObject({ clock: systemClock })
  })
})

describe('a policy of the user’s own', () => {
  it('is called in its place, with the limits of what is outside', async () => {
    const clock = virtualClock({ start: 100 })
    const seen: ExecuteOptions[] = []
    const controller = new AbortController()
    const stack = pipeline('stack', timeout({ duration: 70, clock }), passing(clock, seen))

    await stack.execute(
      ({ deadline, remaining }) => expect([deadline, remaining]).toEqual([170, 70]),
      {
        signal: controller.signal,
      },
    )

    expect(seen[0]?.deadline).toBe(170)
    expect(seen[0]?.signal).toBeInstanceOf(AbortSignal)
  })

  it('counts the calls of the function, whoever makes them', async () => {
    const clock = virtualClock()
    const attempts: number[] = []
    const stack = pipeline(
      { name: 'stack', clock },
      retry({ maxRetries: 1, baseDelay: 0, clock }),
      passing(),
      retry({ maxRetries: 1, baseDelay: 0, clock }),
    )

    await rejection(
      stack.execute(({ attempt }) => {
        attempts.push(attempt)
        throw down
      }),
    )

    expect(attempts).toEqual([1, 2, 3, 4])
  })

  it('may call with nothing, or with less than it was given', async () => {
    const calls: readonly (ExecuteOptions | undefined)[] = [undefined, {}, { deadline: 150 }]
    for (const given of calls) {
      const clock = virtualClock({ start: 100 })
      const careless: PolicyLike = {
        execute: (operation) => Promise.resolve(operation(given as Context)),
      }
      const stack = pipeline(
        { name: 'stack', clock },
        timeout({ duration: 70, clock }),
        careless,
        timeout({ duration: 60, clock }),
      )

      const answer = await stack.wrap((...args: number[]) => args)(1, 2)
      expect(answer).toEqual([1, 2])
      const deadline = await stack.execute((context) => context.deadline)

      expect(deadline).toBe(given?.deadline ?? 160)
    }
  })

  it('hides nothing: details, events and descriptions reach through it', async () => {
    const clock = virtualClock()
    const replica = fallback({ name: 'replica', run: () => 'guess' })
    const stack = pipeline(
      { name: 'stack', clock },
      passing(),
      replica,
      passing(),
      retry({ maxRetries: 1, baseDelay: 0, clock }),
    )
    const heard: string[] = []
    stack.subscribe(({ type }) => heard.push(type))

    const answer = await stack.executeDetailed(() => Promise.reject(down))

    expect(answer).toMatchObject({
      value: 'guess',
      source: 'replica',
      degraded: true,
      attempts: 2,
      errors: [down, down],
    })
    expect(heard).toEqual(['warning', 'retry', 'give-up', 'fallback', 'call'])
    expect(stack.describe().policies?.map(({ policy, name }) => [policy, name])).toEqual([
      ['custom', 'passing'],
      ['fallback', 'fallback'],
      ['custom', 'passing'],
      ['retry', 'retry'],
    ])
  })

  it('keeps the kind of what ended a call inside it', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    const stack = pipeline(
      { name: 'stack', clock },
      passing(),
      breaker,
      timeout({ duration: 5, clock }),
    )

    const late = rejection(stack.execute(hangs))
    await clock.advance(5)
    await late
    breaker.isolate()
    await rejection(stack.execute(hangs))

    expect(stack.stats()).toMatchObject({ timedOut: 1, rejected: 1, failed: 0 })
  })

  it('may fail by itself', async () => {
    const failing: PolicyLike = { execute: () => Promise.reject(down) }
    const throwing: PolicyLike = {
      execute: () => {
        throw down
      },
    }
    for (const policy of [failing, throwing]) {
      const stack = pipeline('stack', policy)
      expect(await rejection(stack.execute(() => 'unreached'))).toBe(down)
      expect(stack.stats()).toMatchObject({ failed: 1, inFlight: 0 })
    }
  })

  it('needs a function to call, like any other', async () => {
    const stack = pipeline('stack', passing())

    expect(await rejection(stack.execute('text' as never))).toBeInstanceOf(TypeError)
    expect(await rejection(stack.executeDetailed(undefined as never))).toBeInstanceOf(TypeError)
  })

  it('can make a pipeline that stands inside another', async () => {
    const inner = pipeline('inner', passing(), retry({ maxRetries: 1, baseDelay: 0 }))
    const outer = pipeline(
      'outer',
      fallback(() => 'guess'),
      inner,
      timeout(1_000),
    )
    const operation = scripted(['fail'])

    expect(await outer.execute(operation)).toBe('guess')
    expect(operation.calls).toBe(2)
    expect(inner.stats()).toMatchObject({ calls: 1, failed: 1 })
  })
})

describe('subscribe', () => {
  it('hears everything that its policies do in its own calls', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const stack = pipeline(
      { name: 'stack', clock },
      fallback({ steps: [() => 'guess'], clock }),
      retry({ maxRetries: 1, backoff: constant(0), clock }),
      breaker,
      timeout({ duration: 50, clock }),
    )
    const heard: string[] = []
    stack.subscribe((event) => heard.push(`${event.policy}: ${event.type}`))

    await stack.execute(() => Promise.reject(down))

    expect(heard).toEqual([
      'circuitBreaker: state-change',
      'retry: retry',
      'circuitBreaker: reject',
      'retry: give-up',
      'fallback: fallback',
      'stack: call',
    ])
  })

  it('hears nothing of the calls that its policies serve elsewhere, but what concerns all', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const [one, other] = [pipeline('one', breaker), pipeline('other', breaker)]
    const heard: string[] = []
    one.subscribe(({ type }) => heard.push(type))

    await rejection(other.execute(() => Promise.reject(down)))
    await rejection(other.execute(hangs))
    await rejection(breaker.execute(hangs))

    expect(heard).toEqual(['warning', 'state-change'])
  })

  it('hears each event once, even of a policy that stands in it twice', async () => {
    const breaker = circuitBreaker({ failureThreshold: 5 })
    const stack = pipeline('stack', breaker, breaker)
    const heard: string[] = []
    stack.subscribe(({ type }) => heard.push(type))

    breaker.isolate()

    expect(heard.filter((type) => type === 'state-change')).toHaveLength(1)
  })

  it('leaves no trace when it ends', async () => {
    const breaker = circuitBreaker()
    const stack = pipeline('stack', breaker, timeout(1_000))
    const heard: string[] = []

    const leave = stack.subscribe(({ type }) => heard.push(type))
    await stack.execute(() => 'heard')
    leave()
    await stack.execute(() => 'unheard')
    breaker.isolate()

    expect(heard).toEqual(['call'])
    expect(breaker).toMatchObject({ gate: { alert: 1 }, emitter: { observed: false } })
  })
})

describe('its warnings', () => {
  it('are told once, to the first who listens', () => {
    const heard: HoldfastEvent[] = []
    const clock = virtualClock({ start: 9 })
    const stack = pipeline({ name: 'stack', clock }, circuitBreaker(), retry())

    stack.subscribe((event) => heard.push(event))
    stack.subscribe((event) => heard.push(event))

    expect(heard).toMatchObject([
      { type: 'warning', policy: 'stack', at: 9, code: 'retry-inside-breaker' },
      { type: 'warning', policy: 'stack', at: 9, code: 'no-timeout' },
    ])
    expect(heard.map((event) => (event as { message: string }).message)).toEqual(
      stack.check().map(({ message }) => message),
    )
  })

  it('are heard by onEvent, as everything later is', async () => {
    const heard: string[] = []
    const stack = pipeline(
      { name: 'stack', onEvent: ({ type }) => heard.push(type) },
      circuitBreaker(),
    )

    await stack.execute(() => 'fine')

    expect(heard).toEqual(['warning', 'call'])
  })

  it('are errors when it is strict', () => {
    const strict = { name: 'stack', strict: true }

    expect(() => pipeline(strict, circuitBreaker(), retry())).toThrow(TypeError)
    expect(() => pipeline(strict, circuitBreaker(), retry())).toThrow(
      /^pipeline "stack" \(strict\): retry-inside-breaker: .*; no-timeout: nothing limits/,
    )
    expect(() => pipeline(strict, retry(), circuitBreaker(), timeout(1_000))).not.toThrow()
    expect(() => pipeline({ name: 'stack', strict: false }, circuitBreaker())).not.toThrow()
  })
})

describe('describe', () => {
  it('tells its options and its policies in order, as plain JSON', () => {
    const inner = pipeline('inner', timeout(100))
    const stack = pipeline(
      { name: 'stack', strict: false, latency: true, onEvent: () => undefined },
      timeout(9_000),
      { execute: passing().execute },
      inner,
    )

    const description = stack.describe()

    expect(description).toEqual({
      policy: 'pipeline',
      name: 'stack',
      options: { strict: false, latency: true, onEvent: 'function onEvent' },
      policies: [
        { policy: 'timeout', name: 'timeout', options: { duration: 9_000 } },
        { policy: 'custom', name: 'custom', options: {} },
        {
          policy: 'pipeline',
          name: 'inner',
          options: {},
          policies: [{ policy: 'timeout', name: 'timeout', options: { duration: 100 } }],
        },
      ],
    })
    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
  })
})

describe('the options of a pipeline', () => {
  it.each<[unknown, string]>([
    [undefined, 'pipeline'],
    [5, 'pipeline'],
    [{}, 'name is required'],
    [{ name: 5 }, 'name must be'],
    [{ name: 'stack', strict: 'yes' }, 'strict must be'],
    [{ name: 'stack', onEvent: 'log' }, 'onEvent must be'],
    [{ name: 'stack', clock: {} }, 'clock must be'],
    [{ name: 'stack', latency: 1 }, 'latency must be'],
    [{ name: 'stack', retries: 3 }, 'retries'],
  ])('are refused: %o', (options, message) => {
    expect(() => pipeline(options as PipelineOptions)).toThrow(TypeError)
    expect(() => pipeline(options as PipelineOptions)).toThrow(message)
  })

  it('need a name that is not empty', () => {
    expect(() => pipeline('')).toThrow(RangeError)
  })

  it('are told that the name comes first', () => {
    expect(() => pipeline(bulkhead({ maxConcurrent: 1 }) as never)).toThrow(
      new TypeError("pipeline: its name comes first: pipeline('name', ...policies)"),
    )
  })

  it.each([
    [[bulkhead({ maxConcurrent: 1 })], 'was an array (spread it: ...policies)'],
    [bulkhead, 'was a function (call it: it makes a policy)'],
  ])('say what to do with %o in place of a policy', (policy, advice) => {
    expect(() => pipeline('stack', policy as never)).toThrow(advice)
  })

  it.each([undefined, null, {}, 'retry', () => undefined])('refuse %o as a policy', (policy) => {
    expect(() => pipeline('stack', bulkhead({ maxConcurrent: 1 }), policy as never)).toThrow(
      'pipeline "stack": policy 2 must have an execute method, but was',
    )
  })
})
