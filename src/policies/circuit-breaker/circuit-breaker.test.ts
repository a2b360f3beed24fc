import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
  countWindow,
  type HoldfastEvent,
  pipeline,
  timeout,
  timeWindow,
} from 'holdfast'
import { scripted, type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail, halfOpenCircuit, openCircuit } from '../../../test/support/breakers.ts'
import { gate, hangs, quiet, rejection, times } from '../../../test/support/calls.ts'
import { circuitBreaker } from './circuit-breaker.ts'

const succeed = async (breaker: CircuitBreaker, calls = 1): Promise<void> => {
  for (let call = 0; call < calls; call++) await breaker.execute(() => 'fine')
}

const transitions = (breaker: CircuitBreaker): string[] => {
  const seen: string[] = []
  breaker.subscribe((event) => {
    if (event.type === 'state-change') seen.push(`${event.from} > ${event.to}: ${event.reason}`)
  })
  return seen
}

describe('a closed circuit', () => {
  it('lets calls and their answers through', async () => {
    const breaker = circuitBreaker()

    expect(await breaker.execute(() => 'answer')).toBe('answer')
    expect(breaker.state).toBe('closed')
  })

  it('counts failures in a row, and forgets them at a success', async () => {
    const breaker = circuitBreaker({ failureThreshold: 3 })

    await fail(breaker, 2)
    expect(breaker.stats().consecutiveFailures).toBe(2)
    await succeed(breaker)
    expect(breaker.stats().consecutiveFailures).toBe(0)
    await fail(breaker, 2)
    expect(breaker.state).toBe('closed')
    await fail(breaker, 1)

    expect(breaker.state).toBe('open')
  })

  it('still trips on the share of failures after any number of plain successes', async () => {
    const breaker = circuitBreaker({ failureRate: 0.5, window: countWindow(4), minimumCalls: 4 })

    await succeed(breaker, 50)
    await fail(breaker, 1)
    expect([breaker.state, breaker.stats().failureRate]).toEqual(['closed', 0.25])
    await succeed(breaker, 50)
    expect(breaker.stats().failureRate).toBe(0)
    await fail(breaker, 2)

    expect(breaker.state).toBe('open')
  })

  it('takes no account of what says nothing of the dependency', async () => {
    const breaker = circuitBreaker({ failureThreshold: 2 })
    await fail(breaker, 1)

    await rejection(breaker.execute(() => Promise.reject(new TypeError('a bug'))))
    await rejection(breaker.execute(hangs, { signal: AbortSignal.abort() }))
    expect(breaker.stats()).toMatchObject({ consecutiveFailures: 1, state: 'closed' })
    await rejection(breaker.execute(() => Promise.reject({ status: 404 })))
    expect(breaker.stats()).toMatchObject({ consecutiveFailures: 0 })
    await fail(breaker, 2)

    expect(breaker.state).toBe('open')
  })

  it('takes a limit inside it as a failure, and slow calls by its own', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock })
    const stack = pipeline('stack', breaker, timeout({ duration: 50, clock }))

    const call = rejection(stack.execute(hangs))
    await clock.advance(50)

    expect(await call).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(breaker.state).toBe('open')
  })

  it('calls a result a failure that isFailureResult says is one', async () => {
    const breaker = circuitBreaker({
      failureThreshold: 1,
      isFailureResult: (result) => result === 'sorry',
    })

    await succeed(breaker, 3)
    expect(breaker.state).toBe('closed')
    expect(await breaker.execute(() => 'sorry')).toBe('sorry')

    expect(breaker.state).toBe('open')
    expect(breaker.stats()).toMatchObject({ succeeded: 4, failed: 0 })
  })

  it('opens when a share of the calls in its window has failed', async () => {
    const breaker = circuitBreaker({ failureRate: 0.5, window: countWindow(4), minimumCalls: 4 })

    await succeed(breaker, 3)
    await fail(breaker, 1)
    expect(breaker.stats()).toMatchObject({ state: 'closed', failureRate: 0.25 })
    await fail(breaker, 1)

    expect(breaker.stats()).toMatchObject({ state: 'open', failureRate: 0.5 })
  })

  it('opens when a share of the calls was slow, from exactly slowCallDuration on', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({
      slowCallRate: 0.5,
      slowCallDuration: 20,
      minimumCalls: 2,
      clock,
    })

    await breaker.execute(() => clock.advance(19))
    expect(breaker.stats().slowCallRate).toBe(0)
    await breaker.execute(() => clock.advance(20))

    expect(breaker.stats()).toMatchObject({ state: 'open', slowCallRate: 0.5, failureRate: 0 })
  })

  it('finds every call slow when slowCallDuration is 0', async () => {
    const breaker = circuitBreaker({ slowCallRate: 1, slowCallDuration: 0, minimumCalls: 2 })

    await succeed(breaker, 2)

    expect(breaker.state).toBe('open')
  })

  it('forgets what a time window has left behind', async () => {
    const clock = virtualClock()
    const window = timeWindow(1_000)
    const breaker = circuitBreaker({ failureRate: 0.6, window, minimumCalls: 2, clock })

    await fail(breaker, 1)
    await clock.advance(1_100)
    await fail(breaker, 1)

    expect(breaker.stats()).toMatchObject({ state: 'closed', failureRate: 1 })
  })
})

describe('an open circuit', () => {
  it('refuses with what the caller needs to know, a new error each time', async () => {
    const { breaker, clock } = await openCircuit({ name: 'payment' })
    await clock.advance(250)
    const operation = scripted(['ok'])

    const [first, second] = [
      await rejection(breaker.execute(operation)),
      await rejection(breaker.execute(operation)),
    ]

    expect(first).toBeInstanceOf(CircuitOpenError)
    expect(first).toMatchObject({
      policy: 'payment',
      state: 'open',
      retryAfter: 750,
      cause: { message: 'down' },
      message: 'circuit "payment" is open, next trial in 750 ms; opened by a failure; not called',
    })
    expect(first).not.toBe(second)
    expect(operation.calls).toBe(0)
    expect(breaker.stats()).toMatchObject({ rejected: 2, calls: 3, inFlight: 0 })
  })

  it('turns half-open at exactly resetTimeout, without a timer', async () => {
    const { breaker, clock } = await openCircuit()

    expect(clock.timers).toEqual([])
    await clock.advance(999.5)
    expect(breaker.state).toBe('open')
    await clock.advance(0.5)

    expect(breaker.state).toBe('half-open')
  })

  it('has half a minute by default', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    await fail(breaker, 5)

    await clock.advance(29_999)
    expect(breaker.stats()).toMatchObject({ state: 'open', retryAfter: 1 })
    await clock.advance(1)

    expect(breaker.state).toBe('half-open')
  })

  it('waits longer each time in a row, as its function says, and anew after it closed', async () => {
    const asked: number[] = []
    const resetTimeout = (openings: number): number => {
      asked.push(openings)
      return openings * 100
    }
    const { breaker, clock } = await openCircuit({ resetTimeout })

    await clock.advance(100)
    await fail(breaker, 1)
    await clock.advance(200)
    await fail(breaker, 1)
    expect(breaker.stats()).toMatchObject({ opened: 3, retryAfter: 300 })
    await clock.advance(300)
    await succeed(breaker)
    await fail(breaker, 1)

    expect(asked).toEqual([1, 2, 3, 1])
    expect(breaker.stats()).toMatchObject({ opened: 4, retryAfter: 100 })
  })

  it.each<[string, CircuitBreakerOptions, number]>([
    ['when it is longer', { resetTimeout: 1_000 }, 60_000],
    ['not when it is shorter', { resetTimeout: 90_000 }, 90_000],
    ['up to maxRetryAfter', { resetTimeout: 1_000, maxRetryAfter: 5_000 }, 5_000],
    ['not at all if maxRetryAfter is 0', { resetTimeout: 1_000, maxRetryAfter: 0 }, 1_000],
  ])('waits as long as the server asks for: %s', async (_when, options, retryAfter) => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock, ...options })
    const busy = { status: 503, headers: { 'retry-after': '60' } }

    await rejection(breaker.execute(() => Promise.reject(busy)))

    expect(breaker.stats().retryAfter).toBe(retryAfter)
  })

  it('waits five minutes at most by default, whatever the server asks for', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1, clock: virtualClock() })
    const busy = { status: 503, headers: { 'retry-after': '99999' } }

    await rejection(breaker.execute(() => Promise.reject(busy)))

    expect(breaker.stats().retryAfter).toBe(300_000)
  })

  it('is pinned: a keyed policy must not forget it', async () => {
    const { breaker } = await openCircuit()

    expect(breaker).toMatchObject({ pinned: true })
    breaker.close()
    expect(breaker).toMatchObject({ pinned: false })
  })
})

describe('a half-open circuit', () => {
  it('closes when its trial succeeds', async () => {
    const { breaker } = await halfOpenCircuit()

    await succeed(breaker)

    expect(breaker.stats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 })
  })

  it('opens again when its trial fails, for the full time', async () => {
    const { breaker } = await halfOpenCircuit()

    await fail(breaker, 1)

    expect(breaker.stats()).toMatchObject({ state: 'open', opened: 2, retryAfter: 1_000 })
    expect(await rejection(breaker.execute(hangs))).toMatchObject({
      message: expect.stringContaining('opened by a failed trial call'),
    })
  })

  it('refuses beyond halfOpenCalls, and says until when at the latest', async () => {
    const { breaker, clock } = await halfOpenCircuit({ halfOpenCalls: 2, trialTimeout: 400 })
    void breaker.execute(hangs)
    await clock.advance(100)
    void breaker.execute(hangs)

    expect(await rejection(breaker.execute(hangs))).toMatchObject({
      state: 'half-open',
      retryAfter: 300,
      cause: { message: 'down' },
    })
  })

  it('wants every one of halfOpenCalls to succeed', async () => {
    const { breaker } = await halfOpenCircuit({ halfOpenCalls: 3 })

    await succeed(breaker, 2)
    expect(breaker.state).toBe('half-open')
    await succeed(breaker)
    expect(breaker.state).toBe('closed')
  })

  it('gives the place of an ignored trial to the next call', async () => {
    const { breaker } = await halfOpenCircuit()

    for (const _ of times(3, () => 0)) {
      await rejection(breaker.execute(() => Promise.reject(new TypeError('a bug'))))
      expect(breaker.state).toBe('half-open')
    }
    await succeed(breaker)

    expect(breaker.stats()).toMatchObject({ state: 'closed', ignored: 3 })
  })

  it('replaces a trial that does not come back after trialTimeout; it decides nothing then', async () => {
    const { breaker, clock } = await halfOpenCircuit({ trialTimeout: 200 })
    const lost = gate()
    const first = breaker.execute(() => lost.promise)

    await clock.advance(199)
    expect(await rejection(breaker.execute(hangs))).toMatchObject({ retryAfter: 1 })
    await clock.advance(1)
    const second = gate()
    const replacement = breaker.execute(() => second.promise)
    lost.fail(new Error('too late'))
    await rejection(first)
    expect(breaker.state).toBe('half-open')
    second.open()
    await replacement

    expect(breaker.state).toBe('closed')
  })

  it('waits half a minute for a trial by default', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    void breaker.execute(hangs)

    await clock.advance(29_999)
    await rejection(breaker.execute(hangs))
    await clock.advance(1)

    expect(await breaker.execute(() => 'replaced')).toBe('replaced')
  })

  it('judges a trial by its outcome alone, not by how long it took', async () => {
    const slow = { slowCallRate: 0.5, slowCallDuration: 10, minimumCalls: 1 }
    const { breaker, clock } = await halfOpenCircuit({ ...slow, failureThreshold: 1 })

    await breaker.execute(() => clock.advance(50))

    expect(breaker.state).toBe('closed')
  })
})

describe('ramping up', () => {
  const ramp = (chances: number[]): Promise<{ breaker: CircuitBreaker; clock: VirtualClock }> =>
    halfOpenCircuit({ rampUp: 1_000, random: () => chances.shift() ?? 0 })

  it('lets a growing share through after the trials, and says half-open meanwhile', async () => {
    const { breaker, clock } = await ramp([0.09, 0.11, 0.49, 0.51])
    await succeed(breaker)
    expect(breaker.state).toBe('half-open')

    await succeed(breaker)
    expect(await rejection(breaker.execute(hangs))).toMatchObject({
      state: 'half-open',
      retryAfter: 0,
      message:
        'circuit "circuitBreaker" is half-open and lets only a part of the calls through; not called',
    })
    await clock.advance(500)
    await succeed(breaker)
    expect(await rejection(breaker.execute(hangs))).toBeInstanceOf(CircuitOpenError)
  })

  it('is over at exactly rampUp', async () => {
    const { breaker, clock } = await ramp([])
    await succeed(breaker)

    await clock.advance(999)
    expect(breaker.state).toBe('half-open')
    await clock.advance(1)

    expect(breaker.state).toBe('closed')
  })

  it('is over with the first answer after that as well', async () => {
    const { breaker, clock } = await ramp([])
    const seen = transitions(breaker)
    await succeed(breaker)

    await breaker.execute(() => clock.advance(1_000))

    expect(seen).toEqual(['half-open > closed: ramp-up is over'])
  })

  it('opens by the ordinary rules, and counts on from the last opening', async () => {
    const { breaker, clock } = await halfOpenCircuit({
      rampUp: 1_000,
      random: () => 0,
      failureThreshold: 1,
      resetTimeout: (openings) => openings * 1_000,
    })
    await succeed(breaker)

    await fail(breaker, 1)

    expect(breaker.stats()).toMatchObject({ state: 'open', retryAfter: 2_000 })
    expect(clock.timers).toEqual([])
  })
})

describe('by hand', () => {
  it('isolates until it is closed or reset, whatever time does', async () => {
    for (const lift of ['close', 'reset'] as const) {
      const clock = virtualClock()
      const breaker = circuitBreaker({ clock })
      breaker.isolate()

      await clock.advance(1e9)
      expect(await rejection(breaker.execute(hangs))).toMatchObject({
        state: 'isolated',
        retryAfter: Number.POSITIVE_INFINITY,
        message:
          'circuit "circuitBreaker" is isolated by hand until close() or reset(); not called',
      })
      expect(breaker.stats()).toMatchObject({ state: 'isolated', retryAfter: 0 })
      breaker[lift]()

      expect(breaker.state).toBe('closed')
      expect(await breaker.execute(() => 'again')).toBe('again')
    }
  })

  it('closes and forgets, but keeps its statistics', async () => {
    const { breaker } = await openCircuit()

    breaker.close()

    expect(breaker.stats()).toMatchObject({ state: 'closed', consecutiveFailures: 0, failed: 1 })
    expect(breaker.stats().opened).toBe(1)
  })

  it('resets as if newly made, but for calls under way', async () => {
    const { breaker } = await openCircuit()
    breaker.close()
    const late = gate()
    const call = breaker.execute(() => late.promise)
    await rejection(breaker.execute(() => Promise.reject(new TypeError('a bug'))))

    breaker.reset()

    const none = { calls: 0, succeeded: 0, failed: 0, rejected: 0, aborted: 0, timedOut: 0 }
    expect(breaker.stats()).toMatchObject({ ...none, opened: 0, ignored: 0, inFlight: 1 })
    late.open()
    await call
    expect(breaker.stats().inFlight).toBe(0)
  })

  it('makes calls under way late: they reach their caller and change nothing', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const works = times(2, () => gate())
    const calls = works.map((work) => rejection(breaker.execute(() => work.promise)))

    breaker.close()
    for (const work of works) work.fail('late')

    expect(await Promise.all(calls)).toEqual(['late', 'late'])
    expect(breaker.stats()).toMatchObject({ state: 'closed', consecutiveFailures: 0, inFlight: 0 })
  })
})

describe('the mode', () => {
  it('metrics-only counts and never refuses', async () => {
    const breaker = circuitBreaker({ mode: 'metrics-only', failureThreshold: 2, failureRate: 1 })

    await fail(breaker, 20)

    expect(breaker.mode).toBe('metrics-only')
    expect(breaker.stats()).toMatchObject({
      mode: 'metrics-only',
      state: 'closed',
      consecutiveFailures: 20,
      failureRate: 1,
      opened: 0,
      failed: 20,
    })
  })

  it('disabled does not even judge', async () => {
    const breaker = circuitBreaker({ mode: 'disabled', failureRate: 1, minimumCalls: 1 })

    await fail(breaker, 20)
    await rejection(breaker.execute(() => Promise.reject(new TypeError('a bug'))))

    expect(breaker.stats()).toMatchObject({
      mode: 'disabled',
      state: 'closed',
      consecutiveFailures: 0,
      failureRate: 0,
      ignored: 0,
      failed: 21,
    })
  })

  it('starts anew with a closed circuit when it is set', async () => {
    const { breaker } = await openCircuit()

    breaker.mode = 'enabled'
    expect(breaker.state).toBe('closed')
    breaker.mode = 'metrics-only'
    await fail(breaker, 1)
    breaker.mode = 'enabled'

    expect(breaker.stats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 })
    await fail(breaker, 1)
    expect(breaker.state).toBe('open')
  })

  it('is refused when there is no such thing', () => {
    const breaker = circuitBreaker()

    expect(() => {
      breaker.mode = 'off' as never
    }).toThrow(RangeError)
    expect(breaker.mode).toBe('enabled')
  })

  it.each(['metrics-only', 'disabled'] as const)(
    '%s stays closed when an open circuit is restored, and isolated when that was held open by hand',
    async (mode) => {
      const { breaker: open } = await openCircuit()
      const breaker = circuitBreaker({ mode, failureThreshold: 1 })

      breaker.restore(open.snapshot())
      expect(breaker.state).toBe('closed')
      expect(await breaker.execute(() => 'passes')).toBe('passes')
      open.isolate()
      breaker.restore(open.snapshot())

      expect(breaker.state).toBe('isolated')
    },
  )
})

describe('events', () => {
  it('tell each change of state once, with its reason, in order', async () => {
    const { breaker, clock } = await halfOpenCircuit()
    const seen = transitions(breaker)

    await fail(breaker, 1)
    await clock.advance(1_000)
    await succeed(breaker)
    breaker.close()
    breaker.isolate()
    breaker.isolate()
    breaker.reset()
    breaker.mode = 'enabled'

    expect(seen).toEqual([
      'half-open > open: a failed trial call',
      'open > half-open: resetTimeout has passed',
      'half-open > closed: trial calls succeeded',
      'closed > isolated: isolated by hand',
      'isolated > closed: reset by hand',
    ])
  })

  it('tell of an opening what caused it and how long it lasts', async () => {
    const clock = virtualClock({ start: 50 })
    const breaker = circuitBreaker({ name: 'payment', failureThreshold: 1, clock })
    const heard: HoldfastEvent[] = []
    breaker.subscribe((event) => heard.push(event))
    const down = new Error('down')

    await rejection(breaker.execute(() => Promise.reject(down)))
    const reopened = heard[0]

    expect(reopened).toEqual({
      type: 'state-change',
      policy: 'payment',
      at: 50,
      from: 'closed',
      to: 'open',
      reason: 'a failure',
      cause: down,
      resetTimeout: 30_000,
    })
    expect(heard).toHaveLength(2)
  })

  it('tell of a refusal, and of the call that it ended', async () => {
    const { breaker } = await openCircuit()
    const heard: HoldfastEvent[] = []
    breaker.subscribe((event) => heard.push(event))

    const error = await rejection(breaker.execute(hangs))

    expect(heard).toMatchObject([
      { type: 'reject', policy: 'circuitBreaker', pipeline: 'circuitBreaker', error },
      { type: 'call', ending: 'rejected', attempts: 0, error },
    ])
  })

  it('come when the change is complete', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const states: string[] = []
    breaker.subscribe((event) => {
      if (event.type === 'state-change') states.push(`${event.to} is ${breaker.state}`)
    })

    await fail(breaker, 1)

    expect(states).toEqual(['open is open'])
  })
})

describe('a snapshot', () => {
  it('is plain JSON of what matters', async () => {
    const { breaker, clock } = await openCircuit()
    await clock.advance(300)

    expect(breaker.snapshot()).toEqual({
      version: 1,
      state: 'open',
      openings: 1,
      remaining: 700,
      takenAt: clock.wallTime(),
      trip: { consecutiveFailures: 1, window: null },
    })
    await clock.advance(700)
    expect(breaker.state).toBe('half-open')
    expect(breaker.snapshot()).toMatchObject({ state: 'open', remaining: 0 })
  })

  it('says what it was restored from when it refuses and when it tells', async () => {
    const { breaker: old } = await openCircuit()
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    const seen = transitions(breaker)

    breaker.restore(old.snapshot())

    expect(seen).toEqual(['closed > open: a restored snapshot'])
    expect(await rejection(breaker.execute(hangs))).toMatchObject({
      message: expect.stringContaining('opened by a restored snapshot'),
      retryAfter: 1_000,
    })
    await quiet()
  })

  it('continues with the openings in a row', async () => {
    const options = { resetTimeout: (openings: number) => openings * 100 }
    const { breaker: old } = await openCircuit(options)
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 1, clock, ...options })

    breaker.restore(old.snapshot())
    await clock.advance(100)
    await fail(breaker, 1)

    expect(breaker.stats().retryAfter).toBe(200)
  })
})
