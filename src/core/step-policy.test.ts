import {
  bulkhead,
  circuitBreaker,
  constant,
  countWindow,
  fallback,
  retry,
  retryBudget,
  systemClock,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { StepPolicy, statsOf, watchStep } from './step-policy.ts'

class Plain extends StepPolicy {
  constructor(options: ConstructorParameters<typeof StepPolicy>[1] & Record<string, unknown> = {}) {
    super('plain', options)
  }
}

const nothing = {
  calls: 0,
  succeeded: 0,
  failed: 0,
  timedOut: 0,
  rejected: 0,
  aborted: 0,
  inFlight: 0,
  latency: null,
}

describe('a StepPolicy', () => {
  it('is named after its kind unless it is told', () => {
    expect(new Plain().name).toBe('plain')
    expect(new Plain({ name: 'payment' }).name).toBe('payment')
  })

  it('lives in the time of the machine unless it is told', () => {
    const clock = virtualClock()

    expect(new Plain().clock).toBe(systemClock)
    expect(new Plain({ clock }).clock).toBe(clock)
  })

  it('counts nothing at first, as plain JSON', () => {
    const stats = new Plain().stats()

    expect(stats).toEqual({ name: 'plain', ...nothing })
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats)
  })

  it('counts how its calls end, and who is inside', async () => {
    const policy = new Plain()
    const controller = new AbortController()

    await policy.execute(() => 'answer')
    await policy.execute(() => Promise.reject(new Error('down'))).catch(() => undefined)
    await policy.execute(() => 'late', { deadline: -1 }).catch(() => undefined)
    const aborted = policy.execute(() => new Promise(() => undefined), {
      signal: controller.signal,
    })
    expect(policy.stats()).toMatchObject({ calls: 3, inFlight: 1 })
    controller.abort()
    await aborted.catch(() => undefined)

    expect(policy.stats()).toEqual({
      ...nothing,
      name: 'plain',
      calls: 4,
      succeeded: 1,
      failed: 1,
      timedOut: 1,
      aborted: 1,
    })
  })

  it('measures latency when it is asked to, exactly', async () => {
    const clock = virtualClock()
    const policy = new Plain({ clock, latency: true })

    await policy.execute(() => clock.advance(40))
    await policy.execute(() => clock.advance(20))

    expect(policy.stats().latency).toMatchObject({ count: 2, mean: 30, max: 40, p99: 40 })
    expect(new Plain({ latency: false }).stats().latency).toBe(null)
  })

  it('is pinned while a call is inside', async () => {
    const policy = new Plain()
    let end: (() => void) | undefined

    const call = policy.execute(() => new Promise<void>((resolve) => (end = resolve)))
    expect(policy.pinned).toBe(true)
    end?.()
    await call

    expect(policy.pinned).toBe(false)
  })
})

describe('executeDetailed', () => {
  it('tells how an answer came about', async () => {
    const clock = virtualClock()
    const policy = new Plain({ clock })

    const answer = await policy.executeDetailed(() => clock.advance(25).then(() => 'fine'))

    expect(answer).toEqual({
      value: 'fine',
      source: 'primary',
      degraded: false,
      attempts: 1,
      duration: 25,
      errors: [],
    })
  })

  it('took no time when it took none, and never less', async () => {
    const times = [30, 20, 10]
    const falling = { ...virtualClock(), now: () => times.shift() ?? 0 }

    const still = await new Plain({ clock: virtualClock() }).executeDetailed(() => 'at once')
    const backwards = await new Plain({ clock: falling }).executeDetailed(() => 'before')

    expect([still.duration, backwards.duration]).toEqual([0, 0])
  })

  it('counts the calls of the function, and keeps what went wrong', async () => {
    const clock = virtualClock()
    const errors = [new Error('first'), new Error('second')]
    const left = [...errors]
    const policy = retry({ backoff: constant({ delay: 10, jitter: 'none' }), clock })

    const answer = policy.executeDetailed(async () => {
      const error = left.shift()
      if (error !== undefined) throw error
      return 'third'
    })
    await clock.advance(20)

    expect(await answer).toEqual({
      value: 'third',
      source: 'primary',
      degraded: false,
      attempts: 3,
      duration: 20,
      errors,
    })
  })

  it('names the alternative that answered', async () => {
    const down = new Error('down')
    const policy = fallback({ name: 'default', run: () => 'guess' })

    expect(await policy.executeDetailed(() => Promise.reject(down))).toMatchObject({
      value: 'guess',
      source: 'default',
      degraded: true,
      attempts: 1,
      errors: [down],
    })
  })

  it('tells that the function was never called', async () => {
    const breaker = circuitBreaker()
    breaker.isolate()
    const policy = fallback({ name: 'default', run: () => 'guess' })

    const answer = await policy.executeDetailed(() => breaker.execute(() => 'unreached'))
    expect(answer.attempts).toBe(1)
    await expect(breaker.executeDetailed(() => 'unreached')).rejects.toThrow('isolated')
  })

  it('refuses what is no function', async () => {
    await expect(new Plain().executeDetailed('text' as never)).rejects.toThrow(
      '"plain": execute needs a function, but was given "text"',
    )
  })
})

describe('wrap', () => {
  it('keeps arguments, this, name and length', async () => {
    const shop = {
      rate: 2,
      price(this: { rate: number }, cents: number, _currency: string): number {
        return cents * this.rate
      },
    }

    const wrapped = new Plain().wrap(shop.price)

    expect([wrapped.name, wrapped.length]).toEqual(['price', 2])
    expect(await wrapped.call(shop, 21, 'EUR')).toBe(42)
  })

  it('shows the arguments to whoever asks for them', async () => {
    const seen: unknown[] = []
    const policy = bulkhead({
      maxConcurrent: 1,
      maxQueue: 1,
      priority: (args) => {
        seen.push(args)
        return 0
      },
    })
    const wrapped = policy.wrap(async (...args: number[]) => args)

    const answers = await Promise.all([wrapped(1, 2), wrapped(3)])

    expect(answers).toEqual([[1, 2], [3]])
    expect(seen).toEqual([[3]])
  })

  it('refuses what is no function, at once', () => {
    expect(() => new Plain().wrap(undefined as never)).toThrow(
      '"plain": wrap needs a function, but was given undefined',
    )
  })
})

describe('subscribe', () => {
  it('lets successes be seen only as long as somebody listens', async () => {
    const clock = virtualClock()
    const policy = new Plain({ clock })
    const heard: unknown[] = []
    await policy.execute(() => 'unheard')

    const leave = policy.subscribe((event) => heard.push(event))
    await policy.execute(() => clock.advance(7))
    expect(policy.gate.alert).not.toBe(0)
    leave()
    expect(policy.gate.alert).toBe(0)
    await policy.execute(() => 'unheard')

    const call = { type: 'call', policy: 'plain', pipeline: 'plain', at: 7, duration: 7 }
    expect(heard).toEqual([{ ...call, ending: 'succeeded', attempts: 1 }])
  })

  it('goes on watching for whoever is left, and for the latency', () => {
    const policy = new Plain({ latency: true })
    const [leave, leaveToo] = [1, 2].map(() => watchStep(policy, () => undefined))

    leave?.()
    leaveToo?.()
    expect(policy.gate.alert).not.toBe(0)

    const other = new Plain()
    const [stop, stopToo] = [1, 2].map(() => watchStep(other, () => undefined))
    stop?.()
    expect(other.gate.alert).not.toBe(0)
    stopToo?.()
    expect(other.gate.alert).toBe(0)
  })

  it('measures latency as long as somebody listens', async () => {
    const clock = virtualClock()
    const policy = new Plain({ clock })
    await policy.execute(() => clock.advance(50))

    const [leave, leaveToo] = [1, 2].map(() => policy.subscribe(() => undefined))
    await policy.execute(() => clock.advance(30))
    expect(policy.stats().latency).toMatchObject({ count: 1, max: 30 })
    leave?.()
    await policy.execute(() => clock.advance(10))
    expect(policy.stats().latency).toMatchObject({ count: 2, mean: 20 })
    leaveToo?.()

    expect(policy.stats().latency).toBe(null)
    expect(policy.gate.alert).toBe(0)
  })

  it('goes on measuring what was asked for when nobody listens any more', async () => {
    const clock = virtualClock()
    const policy = new Plain({ clock, latency: true })

    const leave = policy.subscribe(() => undefined)
    await policy.execute(() => clock.advance(30))
    leave()
    await policy.execute(() => clock.advance(10))

    expect(policy.stats().latency).toMatchObject({ count: 2, mean: 20 })
  })

  it('hears an error with the call that it ended', async () => {
    const policy = new Plain({ clock: virtualClock() })
    const heard: unknown[] = []
    policy.subscribe((event) => heard.push(event))
    const down = new Error('down')

    await policy.execute(() => Promise.reject(down)).catch(() => undefined)

    expect(heard).toEqual([
      {
        type: 'call',
        policy: 'plain',
        pipeline: 'plain',
        at: 0,
        duration: 0,
        ending: 'failed',
        attempts: 1,
        error: down,
      },
    ])
  })
})

describe('describe', () => {
  it('tells kind, name and options as plain JSON', () => {
    const description = circuitBreaker({
      name: 'payment',
      failureRate: 0.5,
      window: countWindow(20),
      resetTimeout: function growing() {
        return 1
      },
      isFailure: () => true,
      clock: virtualClock(),
      random: () => 0,
      rampUp: undefined,
    }).describe()

    expect(description).toEqual({
      policy: 'circuitBreaker',
      name: 'payment',
      options: {
        failureRate: 0.5,
        window: { type: 'count', size: 20 },
        minimumCalls: 10,
        resetTimeout: 'function growing',
        maxRetryAfter: 300_000,
        trialTimeout: 30_000,
        halfOpenCalls: 1,
        rampUp: 0,
        mode: 'enabled',
        isFailure: 'function isFailure',
      },
    })
    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
  })

  it('lets a backoff speak for itself, and says Infinity in words', () => {
    const { options } = retry({
      maxRetries: Number.POSITIVE_INFINITY,
      backoff: constant({ delay: 5, jitter: 'none' }),
    }).describe()

    expect(options).toEqual({
      maxRetries: 'Infinity',
      maxRetryAfter: 30_000,
      backoff: { type: 'constant', delay: 5, jitter: 'none' },
    })
  })

  it('says everything that JSON can say, lists and nested options too', () => {
    class Described {
      describe(): string {
        return 'by itself'
      }
    }
    const options = new Plain({
      list: [1, 'two', Number.POSITIVE_INFINITY, [() => undefined]],
      nested: { clock: 'left out', kept: null, gone: undefined },
      none: null,
      off: false,
      thing: new Described(),
    } as never).describe().options

    expect(options).toEqual({
      list: [1, 'two', 'Infinity', ['function anonymous']],
      nested: { kept: null },
      none: null,
      off: false,
      thing: 'by itself',
    })
  })

  it('tells a budget by what it is, not by what it has seen', () => {
    const { options } = retry({ budget: retryBudget() }).describe()

    expect(JSON.parse(JSON.stringify(options))).toEqual(options)
  })

  it('tells a limit', () => {
    expect(timeout(250).describe()).toEqual({
      policy: 'timeout',
      name: 'timeout',
      options: { duration: 250 },
    })
  })
})

describe('statsOf', () => {
  it('adds up the calls from their endings', () => {
    const policy = new Plain()
    for (const ending of ['succeeded', 'failed', 'timedOut', 'rejected', 'aborted'] as const) {
      policy.gate.count(ending)
    }

    expect(statsOf(policy)).toMatchObject({ calls: 5, succeeded: 1, aborted: 1 })
  })
})
