import {
  BulkheadFullError,
  bulkhead,
  CircuitOpenError,
  circuitBreaker,
  FallbackExhaustedError,
  fallback,
  isResilienceError,
  type Policy,
  type PolicyLike,
  pipeline,
  RejectedError,
  ResilienceError,
  retry,
  TimeoutError,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, watch } from '../support/calls.ts'

/** Four layers around whatever refuses or fails. */
function within(clock: VirtualClock, ...inside: PolicyLike<unknown>[]): Policy<unknown> {
  const layers = [
    fallback({ steps: [() => 'instead'], handles: () => false }),
    retry({ maxRetries: 1, baseDelay: 1, clock }),
    circuitBreaker({ name: 'outer', clock }),
    bulkhead({ maxConcurrent: 100, clock }),
    timeout({ duration: 100_000, clock }),
  ]
  return pipeline({ name: 'layers', clock }, ...layers, pipeline('inner', ...inside))
}

async function errorOf(
  clock: VirtualClock,
  policy: Policy<unknown>,
  operation: () => unknown = () => 'not reached',
  options = {},
): Promise<unknown> {
  const call = watch(policy.execute(operation, options))
  await clock.advance(1_000)
  expect(call.status).toBe('rejected')
  return call.reason
}

describe('CO2 errors lose their identity on the way out', () => {
  it('tells an open circuit', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ name: 'search', clock })
    breaker.isolate()

    const error = await errorOf(clock, within(clock, breaker))

    expect(error).toBeInstanceOf(CircuitOpenError)
    expect(error).toBeInstanceOf(RejectedError)
    expect(error).toBeInstanceOf(ResilienceError)
    expect(error).not.toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({
      code: 'ERR_CIRCUIT_OPEN',
      policy: 'search',
      name: 'CircuitOpenError',
    })
  })

  it('tells a full bulkhead', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ name: 'db', maxConcurrent: 1, clock })
    void caught(slots.execute(hangs))

    const error = await errorOf(clock, within(clock, slots))

    expect(error).toBeInstanceOf(BulkheadFullError)
    expect(error).toBeInstanceOf(RejectedError)
    expect(error).toMatchObject({ code: 'ERR_BULKHEAD_FULL', policy: 'db', running: 1 })
  })

  it('tells a timeout, and a deadline', async () => {
    const clock = virtualClock()
    const byTimeout = await errorOf(
      clock,
      within(clock, timeout({ name: 'slow', duration: 10, clock })),
      hangs,
    )
    const byDeadline = await errorOf(clock, within(clock), hangs, { deadline: clock.now() + 10 })

    expect(byTimeout).toMatchObject({ code: 'ERR_TIMEOUT', policy: 'slow', duration: 10 })
    expect(byDeadline).toMatchObject({ code: 'ERR_TIMEOUT' })
    for (const error of [byTimeout, byDeadline]) {
      expect(error).toBeInstanceOf(TimeoutError)
      expect(error).not.toBeInstanceOf(RejectedError)
      expect(isResilienceError(error)).toBe(true)
    }
  })

  it('hands out the function’s own error and the caller’s own reason as they are', async () => {
    const clock = virtualClock()
    const failure = new Error('theirs')
    const reason = new Error('mine')

    expect(await errorOf(clock, within(clock), () => Promise.reject(failure))).toBe(failure)
    const signal = AbortSignal.abort(reason)
    expect(await errorOf(clock, within(clock), hangs, { signal })).toBe(reason)
    expect(isResilienceError(failure)).toBe(false)
  })

  it('keeps every cause when all alternatives have failed', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ clock })
    breaker.isolate()
    const second = new Error('second')
    const policy = pipeline(
      { name: 'p', clock },
      fallback(() => Promise.reject(second)),
      breaker,
    )

    const error = await errorOf(clock, policy)

    expect(error).toBeInstanceOf(FallbackExhaustedError)
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toBeInstanceOf(ResilienceError)
    expect(error).not.toBeInstanceOf(RejectedError)
    expect((error as FallbackExhaustedError).errors).toEqual([
      expect.objectContaining({ code: 'ERR_CIRCUIT_OPEN' }),
      second,
    ])
  })

  it('tells which of two errors of one kind it was, by the policy’s name', async () => {
    const clock = virtualClock()
    const outer = timeout({ name: 'total', duration: 500, clock })
    const inner = timeout({ name: 'attempt', duration: 10, clock })

    expect(await errorOf(clock, pipeline({ name: 'p', clock }, outer, inner), hangs)).toMatchObject(
      {
        policy: 'attempt',
      },
    )
  })

  it('knows its own from everything else that can be thrown', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const others = [
      null,
      undefined,
      0,
      'ERR_TIMEOUT',
      {},
      { code: 'ERR_TIMEOUT' },
      new Error(),
      proxy,
    ]

    for (const other of others) expect(isResilienceError(other)).toBe(false)
  })

  it('shows itself as JSON with its numbers, whatever its cause is', () => {
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    const errors = [
      new CircuitOpenError('search', 'open', 1_000, 'why', cyclic),
      new TimeoutError('slow', 10),
      new FallbackExhaustedError('f', [cyclic], ['step']),
    ]

    for (const error of errors) {
      const json = JSON.parse(JSON.stringify(error))
      expect(json).toMatchObject({ code: error.code, policy: error.policy, name: error.name })
      expect(json.message).toBe(error.message)
    }
  })
})
