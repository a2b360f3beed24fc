import {
  bulkhead,
  circuitBreaker,
  constant,
  delays,
  type HoldfastEvent,
  pipeline,
  type RetryInfo,
  TimeoutError,
  timeout,
} from 'holdfast'
import { scripted, type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, rejection } from '../../../test/support/calls.ts'
import { brokenPredicates, bulkheadFull } from '../../../test/support/thrown.ts'
import { type Retry, retry } from './retry.ts'

const down = new Error('down')

/** When the function was called, in ms since the call. */
async function attempts(
  policy: Retry,
  clock: VirtualClock,
  error: unknown = down,
): Promise<number[]> {
  const began = clock.now()
  const times: number[] = []
  const call = rejection(
    policy.execute(async () => {
      times.push(clock.now() - began)
      throw error
    }),
  )
  await clock.runAll()
  expect(await call).toBe(error)
  return times
}

describe('a retry', () => {
  it('calls four times at most by default, after about one, two and four seconds', async () => {
    const clock = virtualClock()
    const times = await attempts(retry({ clock, random: () => 0.5 }), clock)

    expect(times).toEqual([0, 1_000, 3_000, 7_000])
  })

  it('spreads its delays by a fifth by default', async () => {
    const clock = virtualClock()
    const [, earliest] = await attempts(retry({ clock, random: () => 0 }), clock)
    const [, latest] = await attempts(retry({ clock, random: () => 0.999_999 }), clock)

    expect(earliest).toBe(800)
    expect(latest).toBeCloseTo(1_200, 1)
  })

  it.each([0, 1, 2, 5])('makes %d retries after the first try', async (maxRetries) => {
    const clock = virtualClock()
    const policy = retry({ maxRetries, backoff: constant(0), clock })

    expect(await attempts(policy, clock)).toHaveLength(maxRetries + 1)
    expect(policy.stats()).toMatchObject({ retries: maxRetries, gaveUp: { 'max-retries': 1 } })
  })

  it('stops with the first success', async () => {
    const clock = virtualClock()
    const policy = retry({ backoff: delays([5, 50, 500], { jitter: 'none' }), clock })
    const operation = scripted(['fail', 'fail', { value: 'third' }])

    const call = policy.execute(operation)
    await clock.advance(55)

    expect(await call).toBe('third')
    expect(operation.calls).toBe(3)
    expect(policy.stats()).toMatchObject({
      calls: 1,
      succeeded: 1,
      failed: 0,
      retries: 2,
      recovered: 1,
    })
  })

  it('counts nothing as recovered that succeeded at once', async () => {
    const policy = retry({ shouldRetryResult: () => false })

    await policy.execute(() => 'at once')

    expect(policy.stats()).toMatchObject({ recovered: 0, retries: 0, succeeded: 1 })
  })

  it('calls again without a pause when the delay is 0', async () => {
    const clock = virtualClock()

    expect(await attempts(retry({ baseDelay: 0, clock }), clock)).toEqual([0, 0, 0, 0])
  })

  it('goes on for ever when it is told to', async () => {
    const clock = virtualClock()
    const operation = scripted([...Array.from({ length: 500 }, () => 'fail' as const), 'ok'])
    const policy = retry({ maxRetries: Number.POSITIVE_INFINITY, baseDelay: 0, clock })

    expect(await policy.execute(operation)).toBe('ok')
    expect(operation.calls).toBe(501)
  })

  it('passes on the last error as it came, whatever it is', async () => {
    for (const error of [null, undefined, 'text', Object.freeze({ status: 500 })]) {
      const policy = retry({ maxRetries: 1, baseDelay: 0 })
      expect(await rejection(policy.execute(() => Promise.reject(error)))).toBe(error)
    }
  })
})

describe('what is retried', () => {
  it.each<[string, unknown, boolean]>([
    ['an error that it knows nothing of', down, true],
    ['a limit', new TimeoutError('inner', 5), true],
    ['status 503', { status: 503 }, true],
    ['status 429', { status: 429 }, true],
    ['status 408', { status: 408 }, true],
    ['status 404', { status: 404 }, false],
    ['a bug', new TypeError('x is not a function'), false],
    ['a refusal that was thrown', bulkheadFull(), false],
    ['somebody else’s abort', AbortSignal.abort().reason, false],
  ])('%s: by default', async (_what, error, again) => {
    const operation = scripted([{ error }, 'ok'])
    const policy = retry({ baseDelay: 0 })

    const result = await policy.execute(operation).catch((caught: unknown) => caught)

    expect(operation.calls).toBe(again ? 2 : 1)
    expect(result).toBe(again ? 'ok' : error)
    expect(policy.stats().gaveUp['not-retryable']).toBe(again ? 0 : 1)
  })

  it('is not what another policy refused', async () => {
    const breaker = circuitBreaker()
    breaker.isolate()
    const policy = retry({ baseDelay: 0 })
    const stack = pipeline('stack', policy, breaker)

    expect(await rejection(stack.execute(hangs))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(policy.stats()).toMatchObject({ retries: 0, gaveUp: { 'not-retryable': 1 } })
  })

  it('may be what another policy refused, when shouldRetry says so', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const stack = pipeline(
      'stack',
      retry({ backoff: constant({ delay: 10, jitter: 'none' }), shouldRetry: () => true, clock }),
      slots,
    )
    const first = slots.execute(() => clock.advance(15))

    const second = stack.execute(() => 'second')
    await first
    await clock.advance(10)

    expect(await second).toBe('second')
    expect(slots.stats().rejected).toBe(2)
  })

  it('is what shouldRetry says, or the default where it says nothing', async () => {
    const answers: [boolean | undefined, unknown, number][] = [
      [true, new TypeError('a bug'), 2],
      [false, down, 1],
      [undefined, down, 2],
      [undefined, { status: 404 }, 1],
    ]
    for (const [answer, error, calls] of answers) {
      const operation = scripted([{ error }, 'ok'])
      await retry({ baseDelay: 0, shouldRetry: () => answer })
        .execute(operation)
        .catch(() => 0)
      expect(operation.calls).toBe(calls)
    }
  })

  it('may be a result, which the caller gets if no better one comes', async () => {
    const policy = retry({
      maxRetries: 1,
      baseDelay: 0,
      shouldRetryResult: (result) => result === 'busy',
    })

    expect(await policy.execute(scripted([{ value: 'busy' }, { value: 'done' }]))).toBe('done')
    expect(await policy.execute(scripted([{ value: 'busy' }]))).toBe('busy')
    expect(policy.stats()).toMatchObject({
      succeeded: 2,
      failed: 0,
      retries: 2,
      recovered: 1,
      gaveUp: { 'max-retries': 1 },
    })
  })

  it.each(brokenPredicates)(
    'is nothing when a predicate %s: the caller sees what the function gave',
    async (_how, broken) => {
      const policy = retry({ baseDelay: 0, shouldRetry: broken, shouldRetryResult: broken })
      const operation = scripted([{ error: down }, { value: 'second' }])

      expect(await rejection(policy.execute(operation))).toBe(down)
      expect(await policy.execute(operation)).toBe('second')
      expect(operation.calls).toBe(2)
    },
  )

  it('is never what the caller aborted', async () => {
    const controller = new AbortController()
    const policy = retry({ baseDelay: 0, shouldRetry: () => true })
    const operation = scripted(['hang'])

    const call = rejection(policy.execute(operation, { signal: controller.signal }))
    controller.abort('enough')

    expect(await call).toBe('enough')
    expect(operation.calls).toBe(1)
    expect(policy.stats()).toMatchObject({ aborted: 1, gaveUp: { 'not-retryable': 0 } })
  })
})

describe('the pauses', () => {
  it('are what the backoff says, which is told the number and the pause before', async () => {
    const clock = virtualClock()
    const asked: unknown[] = []
    const policy = retry({
      backoff: (attempt, state) => {
        asked.push([attempt, state.previous, state.random()])
        return attempt * 10
      },
      random: () => 0.25,
      clock,
    })

    expect(await attempts(policy, clock)).toEqual([0, 10, 30, 60])
    expect(asked).toEqual([
      [1, 0, 0.25],
      [2, 10, 0.25],
      [3, 20, 0.25],
    ])
  })

  it('are never longer than maxDelay, which a backoff of one’s own need not have', async () => {
    const clock = virtualClock()
    const hour = 3_600_000

    expect(await attempts(retry({ maxRetries: 1, backoff: () => hour, clock }), clock)).toEqual([
      0,
      hour,
    ])
    const capped = retry({ maxRetries: 1, backoff: () => hour, maxDelay: 50, clock })
    expect(await attempts(capped, clock)).toEqual([0, 50])
  })

  it.each([Number.NaN, -1, 'soon', undefined, Promise.resolve(5)])(
    'end the call with a clear error when the backoff answers %o',
    async (answer) => {
      const operation = scripted(['fail'])
      const policy = retry({ backoff: () => answer as number })

      const error = await rejection(policy.execute(operation))

      expect(error).toBeInstanceOf(typeof answer === 'number' ? RangeError : TypeError)
      expect((error as Error).message).toContain('backoff')
      expect(operation.calls).toBe(1)
      expect(policy.stats()).toMatchObject({ failed: 1, inFlight: 0 })
    },
  )

  it('end the call with what a backoff throws', async () => {
    const broken = new Error('a broken backoff')
    const policy = retry({
      backoff: () => {
        throw broken
      },
    })

    expect(await rejection(policy.execute(scripted(['fail'])))).toBe(broken)
  })

  it.each([
    ['longer than the backoff', '5', {}, 5_000],
    ['spread towards later', '5', { random: () => 0.5 }, 5_250],
    ['not shorter than the backoff', '0', {}, 1_000],
    ['up to maxRetryAfter', '500', { maxRetryAfter: 7_000 }, 7_000],
    ['up to maxDelay', '500', { maxDelay: 2_000 }, 2_000],
    ['up to half a minute', '500', {}, 30_000],
    ['and not at all if maxRetryAfter is 0', '500', { maxRetryAfter: 0 }, 1_000],
  ])('are as long as the server asks for: %s', async (_how, header, options, expected) => {
    const clock = virtualClock()
    const policy = retry({ maxRetries: 1, jitter: 'none', random: () => 0, clock, ...options })

    const [, second] = await attempts(policy, clock, { headers: { 'retry-after': header } })

    expect(second).toBe(expected)
  })

  it('are as long as an open circuit asks for', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 4_000, clock })
    await rejection(breaker.execute(() => Promise.reject(down)))
    const stack = pipeline(
      'stack',
      retry({ shouldRetry: () => true, baseDelay: 1, random: () => 0, clock }),
      breaker,
    )

    const call = stack.execute(() => 'back')
    await clock.advance(3_999)
    expect(breaker.state).toBe('open')
    await clock.advance(1)

    expect(await call).toBe('back')
  })
})

describe('what stops it', () => {
  const steady = (clock: VirtualClock) => ({
    backoff: constant({ delay: 100, jitter: 'none' as const }),
    maxRetries: 50,
    clock,
  })

  it('is maxElapsed: no retry begins at that moment or later', async () => {
    const clock = virtualClock()
    const exact = retry({ ...steady(clock), maxElapsed: 200 })
    const longer = retry({ ...steady(clock), maxElapsed: 200.1 })

    expect(await attempts(exact, clock)).toEqual([0, 100])
    expect(await attempts(longer, clock)).toEqual([0, 100, 200])
    expect(exact.stats().gaveUp['max-elapsed']).toBe(1)
  })

  it('is a deadline that the pause could not end before', async () => {
    const clock = virtualClock()
    const policy = retry(steady(clock))
    for (const [left, calls] of [
      [100, 1],
      [101, 2],
    ] as const) {
      const operation = scripted(['fail'])
      const call = rejection(policy.execute(operation, { deadline: clock.now() + left }))
      await clock.advance(100)
      expect(await call).toMatchObject({ message: /^scripted failure/ })
      expect(operation.calls).toBe(calls)
    }
    expect(policy.stats().gaveUp.deadline).toBe(2)
  })

  it('is a limit around it, and never one inside it', async () => {
    const clock = virtualClock()
    const policy = retry(steady(clock))
    const around = pipeline('around', timeout({ duration: 250, clock }), policy)
    const inside = pipeline('inside', policy, timeout({ duration: 10, clock }))

    const operation = scripted(['fail'])
    const call = rejection(around.execute(operation))
    await clock.advance(300)
    expect(await call).toMatchObject({ message: 'scripted failure #3' })
    const hanging = scripted(['hang', 'hang', 'ok'])
    const answer = inside.execute(hanging)
    await clock.advance(1_000)

    expect(await answer).toBe('ok')
    expect(policy.stats().gaveUp).toMatchObject({ deadline: 1, 'max-retries': 0 })
  })

  it('is an empty budget, which every first try fills once', async () => {
    const told: string[] = []
    const budget = {
      deposit: () => void told.push('deposit'),
      tryWithdraw: () => told.push('withdraw') < 4,
      stats: () => ({ calls: 0, retries: 0, remaining: 0, refused: 0 }),
    }
    const policy = retry({ baseDelay: 0, budget })
    const operation = scripted(['fail'])

    const error = await rejection(policy.execute(operation))

    expect(error).toMatchObject({ message: 'scripted failure #3' })
    expect(told).toEqual(['deposit', 'withdraw', 'withdraw', 'withdraw'])
    expect(policy.stats().gaveUp.budget).toBe(1)
  })

  it('asks the budget last: what is given up anyway costs nothing', async () => {
    const budget = {
      deposit: () => undefined,
      tryWithdraw: () => expect.fail('asked'),
      stats: () => ({ calls: 0, retries: 0, remaining: 0, refused: 0 }),
    }
    const clock = virtualClock()
    const common = { budget, clock }

    await attempts(retry({ ...common, maxRetries: 0 }), clock)
    await attempts(retry({ ...common, maxElapsed: 10 }), clock)
    await attempts(retry(common), clock, new TypeError('a bug'))
  })

  it('deposits for an answer at once as well, but not for a call that was refused', async () => {
    let deposits = 0
    const budget = {
      deposit: () => void deposits++,
      tryWithdraw: () => true,
      stats: () => ({ calls: 0, retries: 0, remaining: 0, refused: 0 }),
    }
    const policy = retry({ baseDelay: 0, budget })
    const breaker = circuitBreaker()

    await policy.execute(() => 'at once')
    expect(deposits).toBe(1)
    breaker.isolate()
    await rejection(pipeline('stack', policy, breaker).execute(hangs))

    expect(deposits).toBe(1)
  })
})

describe('hooks', () => {
  it('are told of each attempt, each pause and the end', async () => {
    const clock = virtualClock()
    const log: unknown[] = []
    const note =
      (hook: string) =>
      ({ attempt, retriesLeft, elapsed, ...more }: RetryInfo) =>
        log.push([hook, attempt, retriesLeft, elapsed, more])
    const policy = retry({
      maxRetries: 1,
      backoff: constant({ delay: 30, jitter: 'none' }),
      beforeAttempt: note('before'),
      afterAttempt: note('after'),
      onRetry: note('retry'),
      onGiveUp: note('give up'),
      clock,
    })

    await attempts(policy, clock)

    expect(log).toEqual([
      ['before', 1, 1, 0, {}],
      ['after', 1, 1, 0, { error: down }],
      ['retry', 1, 1, 0, { error: down, delay: 30 }],
      ['before', 2, 0, 30, {}],
      ['after', 2, 0, 30, { error: down }],
      ['give up', 2, 0, 30, { error: down, reason: 'max-retries' }],
    ])
  })

  it('are told of a success too, without an error', async () => {
    const log: unknown[] = []

    await retry({
      beforeAttempt: (info) => log.push(['before', info.attempt]),
      afterAttempt: (info) => log.push(['after', 'error' in info]),
      onRetry: () => log.push('retry'),
      onGiveUp: () => log.push('give up'),
    }).execute(() => 'fine')

    expect(log).toEqual([
      ['before', 1],
      ['after', false],
    ])
  })

  it('never matter when they throw or reject', async () => {
    const broken = (): never => {
      throw new Error('a broken hook')
    }
    const rejecting = (): Promise<never> => Promise.reject(new Error('a broken hook'))
    const operation = scripted(['fail', 'ok'])
    const policy = retry({
      baseDelay: 0,
      beforeAttempt: broken,
      afterAttempt: rejecting,
      onRetry: broken,
      onGiveUp: rejecting,
    })

    expect(await policy.execute(operation)).toBe('ok')
    await rejection(policy.execute(() => Promise.reject(new TypeError('a bug'))))

    expect(policy.stats()).toMatchObject({ succeeded: 1, failed: 1, inFlight: 0 })
  })
})

describe('events', () => {
  it('tell of each retry and of giving up', async () => {
    const clock = virtualClock()
    const policy = retry({ maxRetries: 1, backoff: constant({ delay: 30, jitter: 'none' }), clock })
    const heard: HoldfastEvent[] = []
    const stack = pipeline({ name: 'stack', clock }, policy)
    policy.subscribe((event) => heard.push(event))

    const call = rejection(stack.execute(() => Promise.reject(down)))
    await clock.advance(30)
    await call

    const common = { policy: 'retry', pipeline: 'stack', error: down }
    expect(heard).toEqual([
      { type: 'retry', ...common, at: 0, attempt: 2, delay: 30, elapsed: 0 },
      { type: 'give-up', ...common, at: 30, attempts: 2, elapsed: 30, reason: 'max-retries' },
    ])
  })

  it('have no error when a result was refused', async () => {
    const policy = retry({ maxRetries: 1, baseDelay: 0, shouldRetryResult: () => true })
    const heard: HoldfastEvent[] = []
    policy.subscribe((event) => heard.push(event))

    await policy.execute(() => 'busy')

    expect(heard.map(({ type }) => type)).toEqual(['retry', 'give-up', 'call'])
    expect(heard.map((event) => 'error' in event)).toEqual([false, false, false])
  })
})

describe('statistics', () => {
  it('count calls, retries and why it gave up, as a copy', async () => {
    const policy = retry({ maxRetries: 1, baseDelay: 0 })
    await rejection(policy.execute(() => Promise.reject(down)))
    await rejection(policy.execute(() => Promise.reject({ status: 404 })))
    await policy.execute(scripted(['fail', 'ok']))

    const stats = policy.stats()
    expect(stats).toMatchObject({
      calls: 3,
      succeeded: 1,
      failed: 2,
      retries: 2,
      recovered: 1,
      gaveUp: {
        'not-retryable': 1,
        'max-retries': 1,
        'max-elapsed': 0,
        deadline: 0,
        budget: 0,
      },
    })
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats)
    expect(policy.stats().gaveUp).not.toBe(stats.gaveUp)
  })
})
