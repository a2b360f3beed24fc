import {
  circuitBreaker,
  FallbackExhaustedError,
  type HoldfastEvent,
  pipeline,
  retry,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, quiet, rejection } from '../../test/support/calls.ts'
import { brokenPredicates } from '../../test/support/thrown.ts'
import { fallback, withFallback } from './fallback.ts'

const down = new Error('down')
const fails = (): Promise<never> => Promise.reject(down)

describe('a fallback', () => {
  it('stays out of the way of a call that succeeds', async () => {
    const policy = fallback(() => expect.fail('asked'))

    expect(await policy.execute(() => 'answer')).toBe('answer')
    expect(policy.stats()).toMatchObject({ succeeded: 1, degraded: 0, exhausted: 0, sources: {} })
  })

  it('answers in place of a call that failed', async () => {
    const policy = fallback(() => 'guess')

    expect(await policy.execute(fails)).toBe('guess')
    expect(policy.stats()).toMatchObject({ calls: 1, succeeded: 1, failed: 0, degraded: 1 })
  })

  it.each([undefined, null, 0, '', false])(
    'takes %o for an answer like any other',
    async (answer) => {
      const policy = fallback(() => answer)

      expect(await policy.execute(fails)).toBe(answer)
      expect(policy.stats().degraded).toBe(1)
    },
  )

  it('tries its alternatives in order, until one answers', async () => {
    const tried: string[] = []
    const policy = fallback(
      () => {
        tried.push('first')
        throw new Error('no luck')
      },
      async () => {
        tried.push('second')
        return 'second'
      },
      () => expect.fail('asked'),
    )

    expect(await policy.execute(fails)).toBe('second')
    expect(tried).toEqual(['first', 'second'])
  })

  it('gives each alternative the first failure and the context of the call', async () => {
    const seen: unknown[] = []
    const clock = virtualClock()
    const policy = fallback({
      steps: [
        (error, { args, attempt, signal, deadline }) => {
          seen.push([error, args, attempt, signal.aborted, deadline])
          throw new Error('no luck')
        },
        (error) => {
          seen.push(error)
          return 'answer'
        },
      ],
      clock,
    })

    await policy.execute(fails, { args: ['id', 7], deadline: 500 })

    expect(seen).toEqual([[down, ['id', 7], 1, false, 500], down])
  })

  it('gives a wrapped call its own arguments', async () => {
    const policy = fallback((_error, { args }) => `default for ${String(args[0])}`)
    const product = policy.wrap(async (_id: string): Promise<string> => fails())

    expect(await product('42')).toBe('default for 42')
  })

  it('rejects with every cause in order when all have failed', async () => {
    const [second, third] = [new Error('second'), 'third']
    const policy = fallback({
      name: 'catalogue',
      steps: [
        { name: 'replica', run: () => Promise.reject(second) },
        { name: 'cache', run: () => Promise.reject(third) },
      ],
    })

    const error = await rejection(policy.execute(fails))

    expect(error).toBeInstanceOf(FallbackExhaustedError)
    expect(error).toMatchObject({
      policy: 'catalogue',
      errors: [down, second, third],
      cause: down,
      message:
        'fallback "catalogue": the call failed and so did all 2 alternatives (replica, cache); first cause: Error: down',
    })
    expect(policy.stats()).toMatchObject({ failed: 1, succeeded: 0, exhausted: 1, degraded: 0 })
  })

  it('starts anew with each call', async () => {
    const replica = scripted([{ value: 'first' }, 'fail', 'ok'])
    const policy = fallback({ name: 'replica', run: () => replica() })

    expect(await policy.execute(fails)).toBe('first')
    expect(await rejection(policy.execute(fails))).toMatchObject({ errors: { length: 2 } })
    expect(await policy.execute(fails)).toBe('ok')
  })
})

describe('what it handles', () => {
  it.each<[string, unknown, boolean]>([
    ['an error', down, true],
    ['a status 404', { status: 404 }, true],
    ['nothing at all', undefined, true],
    ['a bug', new TypeError('x is not a function'), false],
    ['somebody else’s abort', AbortSignal.abort().reason, false],
  ])('%s: by default', async (_what, error, handled) => {
    const policy = fallback(() => 'guess')

    const result = await policy.execute(() => Promise.reject(error)).catch((caught) => caught)

    expect(result).toBe(handled ? 'guess' : error)
    expect(policy.stats()).toMatchObject({ degraded: handled ? 1 : 0, exhausted: 0 })
  })

  it('is a refusal of an inner policy as well', async () => {
    const breaker = circuitBreaker()
    breaker.isolate()

    expect(
      await pipeline(
        'stack',
        fallback(() => 'guess'),
        breaker,
      ).execute(hangs),
    ).toBe('guess')
  })

  it('is never the abort of its caller', async () => {
    const controller = new AbortController()
    const policy = fallback({ steps: [() => expect.fail('asked')], handles: () => true })

    const call = rejection(policy.execute(hangs, { signal: controller.signal }))
    controller.abort('enough')

    expect(await call).toBe('enough')
  })

  it('is what handles says', async () => {
    const policy = fallback({ steps: [() => 'guess'], handles: (error) => error !== down })

    expect(await rejection(policy.execute(fails))).toBe(down)
    expect(await policy.execute(() => Promise.reject(new TypeError('a bug')))).toBe('guess')
  })

  it.each(brokenPredicates)(
    'is nothing when a predicate %s: the caller sees the failure itself',
    async (_how, broken) => {
      const steps = [() => 'guess']

      expect(await rejection(fallback({ steps, handles: broken }).execute(fails))).toBe(down)
      expect(
        await rejection(
          fallback({ name: 'guess', run: () => 'guess', when: broken }).execute(fails),
        ),
      ).toBe(down)
    },
  )

  it('leaves out the steps that are not for this failure', async () => {
    const policy = fallback(
      { name: 'never', run: () => expect.fail('asked'), when: () => false },
      { name: 'late', run: () => 'late', when: (error) => error === 'late' },
      { name: 'other', run: () => 'other', when: (error) => error === down },
    )

    expect(await policy.execute(fails)).toBe('other')
    expect(await policy.execute(() => Promise.reject('late'))).toBe('late')
    expect(await rejection(policy.execute(() => Promise.reject('else')))).toBe('else')
    expect(policy.stats()).toMatchObject({ failed: 1, exhausted: 0 })
  })

  it('names in an exhausted fallback only the steps that were tried', async () => {
    const policy = fallback(
      { name: 'left out', run: () => 'x', when: () => false },
      { name: 'tried', run: fails },
    )

    expect(await rejection(policy.execute(fails))).toMatchObject({
      message: expect.stringContaining('so did its alternative (tried)'),
    })
  })
})

describe('what it tells', () => {
  it('names its steps after themselves, their functions, or their place', async () => {
    function fromReplica(): Promise<never> {
      return fails()
    }
    const policy = fallback(
      fromReplica,
      { name: 'cache', run: fails },
      { run: fromReplica },
      fails.bind(undefined),
      (() => fails)(),
      (
        () => () =>
          'answer'
      )(),
    )
    const sources: string[] = []
    policy.subscribe((event) => {
      if (event.type === 'fallback') sources.push(event.source)
    })

    await policy.execute(fails)

    expect(sources).toEqual([
      'fromReplica',
      'cache',
      'fromReplica',
      'bound fails',
      'fails',
      'step-6',
    ])
    expect(policy.describe().options).toMatchObject({ steps: sources })
  })

  it('tells of each step that was tried, and what made it necessary', async () => {
    const clock = virtualClock({ start: 7 })
    const worse = new Error('worse')
    const policy = fallback({
      steps: [
        { name: 'replica', run: () => Promise.reject(worse) },
        { name: 'default', run: () => 'guess' },
      ],
      clock,
    })
    const heard: HoldfastEvent[] = []
    const stack = pipeline({ name: 'stack', clock }, policy)
    policy.subscribe((event) => heard.push(event))

    await stack.execute(fails)

    const told = { type: 'fallback', policy: 'fallback', pipeline: 'stack', at: 7, cause: down }
    expect(heard).toEqual([
      { ...told, source: 'replica', ok: false, error: worse },
      { ...told, source: 'default', ok: true },
    ])
  })

  it('counts the answers of each step', async () => {
    const replica = scripted(['ok', 'ok', 'fail'])
    const policy = fallback(
      { name: 'replica', run: () => replica() },
      { name: 'default', run: () => 'guess' },
    )
    for (let call = 0; call < 4; call++) await policy.execute(fails)
    await policy.execute(() => 'fine')

    const stats = policy.stats()
    expect(stats).toMatchObject({
      calls: 5,
      succeeded: 5,
      degraded: 4,
      exhausted: 0,
      sources: { replica: 2, default: 2 },
    })
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats)
  })

  it('keeps a step with the name of a property apart', async () => {
    const policy = fallback({ name: '__proto__', run: () => 'guess' })

    await policy.execute(fails)

    expect(policy.stats().degraded).toBe(1)
  })

  it('tells in a detailed answer where it came from', async () => {
    const policy = fallback({ name: 'default', run: () => 'guess' })

    expect(await policy.executeDetailed(fails)).toMatchObject({
      value: 'guess',
      source: 'default',
      degraded: true,
      errors: [down],
    })
    expect(await policy.executeDetailed(() => 'fine')).toMatchObject({
      source: 'primary',
      degraded: false,
      errors: [],
    })
  })

  it('sees what is left after retries', async () => {
    const operation = scripted(['fail'])
    const stack = pipeline(
      'stack',
      fallback(() => 'guess'),
      retry({ maxRetries: 2, baseDelay: 0 }),
    )

    expect(await stack.execute(operation)).toBe('guess')
    expect(operation.calls).toBe(3)
  })
})

describe('the options of a fallback', () => {
  it.each<[string, readonly unknown[]]>([
    ['nothing at all', []],
    ['a value', ['guess']],
    ['an empty list', [{ steps: [] }]],
    ['a list with a value', [{ steps: [() => 1, 'guess'] }]],
    ['steps that are no list', [{ steps: () => 1 }]],
    ['a step without run', [{ name: 'x' }]],
    ['a step with another option', [{ run: () => 1, or: () => 2 }]],
    ['a step with a name that is none', [{ name: 5, run: () => 1 }]],
    ['a step with a when that is none', [{ run: () => 1, when: true }]],
    ['null', [null]],
    ['handles that is no function', [{ steps: [() => 1], handles: true }]],
    ['an unknown option', [{ steps: [() => 1], retries: 2 }]],
  ])('are refused: %s', (_what, given) => {
    const make = fallback as (...steps: readonly unknown[]) => unknown

    expect(() => make(...given)).toThrow(TypeError)
    expect(() => make(...given)).toThrow('fallback')
  })

  it('are copied: a list that is changed later changes nothing', async () => {
    const steps = [() => 'first']
    const policy = fallback({ steps })

    steps[0] = () => 'changed'

    expect(await policy.execute(fails)).toBe('first')
  })
})

describe('withFallback', () => {
  it('asks the alternates in order, with the arguments and then the failure', async () => {
    const seen: unknown[] = []
    const price = withFallback(
      async (_id: string, _currency: string): Promise<number> => fails(),
      (...args: unknown[]): never => {
        seen.push(args)
        throw new Error('no luck')
      },
      (id: string) => id.length,
    )

    expect(await price('abc', 'EUR')).toBe(3)
    expect(seen).toEqual([['abc', 'EUR', down]])
  })

  it('keeps this', async () => {
    const shop = {
      fee: 5,
      price: withFallback(
        async function (this: { fee: number }): Promise<number> {
          return await fails()
        },
        function (this: { fee: number }) {
          return this.fee
        },
      ),
    }

    expect(await shop.price()).toBe(5)
  })

  it('gives the primary’s answer when there is one, and rejects when none has any', async () => {
    function primary(ok: boolean): string {
      if (!ok) throw down
      return 'primary'
    }
    const guarded = withFallback(primary, fails, () => fails())

    expect([guarded.name, guarded.length]).toEqual(['primary', 1])
    expect(await guarded(true)).toBe('primary')
    const error = await rejection(guarded(false))
    expect(error).toBeInstanceOf(FallbackExhaustedError)
    expect(error).toMatchObject({
      policy: 'primary',
      errors: [down, down, down],
      message: expect.stringContaining('(fails, alternate-2)'),
    })
  })

  it('has a name where its primary has none', async () => {
    const guarded = withFallback(
      (
        () => () =>
          fails()
      )(),
      () => fails(),
    )

    expect(await rejection(guarded())).toMatchObject({ policy: 'withFallback' })
  })

  it.each([
    [[], 'but was an array (it is empty)'],
    [
      ['guess'],
      'step 1 must be a function or { name, run, when } (wrap a value: () => value), but was "guess"',
    ],
    [[() => 1, Promise.resolve(2)], 'step 2 must be a function'],
    [[[() => 1]], 'but was an array; give the steps one by one: fallback(a, b)'],
  ])('names the step that is none: %o', (steps, message) => {
    expect(() => fallback(...(steps as never[]))).toThrow(TypeError)
    expect(() => fallback(...(steps as never[]))).toThrow(message)
  })

  it('refuses what is no function', () => {
    expect(() => withFallback('primary' as never)).toThrow('withFallback: primary must be')
    expect(() => withFallback(() => 1, 'alternate' as never)).toThrow(
      'withFallback: alternate must be',
    )
  })

  it('just calls without an alternate', async () => {
    expect(await withFallback(() => 'answer')()).toBe('answer')
    await quiet()
  })
})
