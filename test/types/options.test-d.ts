/** What is no option is a type error, and what is one has one meaning. */

import {
  bulkhead,
  type CircuitState,
  circuitBreaker,
  type Ending,
  exponential,
  fallback,
  type HoldfastEvent,
  isResilienceError,
  keyed,
  pipeline,
  type ResilienceError,
  retry,
  timeout,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expectTypeOf, it } from 'vitest'

describe('options', () => {
  it('refuse names that do not exist', () => {
    // @ts-expect-error: attempts elsewhere
    retry({ attempts: 3 })
    // @ts-expect-error: timeout elsewhere
    timeout({ timeout: 3 })
    // @ts-expect-error: misspelt
    circuitBreaker({ failureTreshold: 3 })
    // @ts-expect-error: limit elsewhere
    bulkhead({ maxConcurrent: 1, limit: 3 })
    // @ts-expect-error: misspelt
    keyed(() => retry(), { maxKey: 3 })
    // @ts-expect-error: misspelt
    pipeline({ name: 'p', stict: true })
    // @ts-expect-error: misspelt
    exponential({ base: 3 })
    // @ts-expect-error: misspelt
    void retry().execute(() => 1, { singal: new AbortController().signal })
    // @ts-expect-error: misspelt
    virtualClock({ begin: 3 })
  })

  it('refuse values of other types', () => {
    // @ts-expect-error: a number
    timeout('5s')
    // @ts-expect-error: one of three literals
    circuitBreaker({ mode: 'on' })
    // @ts-expect-error: a share or a named strategy
    retry({ jitter: 'some' })
    // @ts-expect-error: needed
    bulkhead({})
    // @ts-expect-error: needed
    pipeline({})
    // @ts-expect-error: a value is no step; wrap it in a function
    fallback('default')
    // @ts-expect-error: a step of a script
    scripted(['okay'])
    // @ts-expect-error: not a budget
    retry({ budget: {} })
  })

  it('may be undefined, which means their default', () => {
    retry({ maxRetries: undefined, shouldRetry: undefined, budget: undefined, backoff: undefined })
    circuitBreaker({ failureThreshold: undefined, isFailure: undefined, window: undefined })
    bulkhead({ maxConcurrent: 1, maxQueue: undefined, priority: undefined })
    keyed(() => retry(), { maxKeys: undefined })
    pipeline({ name: 'p', strict: undefined, onEvent: undefined })
    timeout({ duration: 1, name: undefined, clock: undefined })
    fallback({ steps: [() => 1], handles: undefined })
  })

  it('are read only: a state cannot be set', () => {
    const breaker = circuitBreaker()
    // @ts-expect-error: use isolate() and close()
    breaker.state = 'open'
    breaker.mode = 'metrics-only'
    expectTypeOf(circuitBreaker().state).toEqualTypeOf<CircuitState>()
    expectTypeOf<CircuitState>().toEqualTypeOf<'closed' | 'open' | 'half-open' | 'isolated'>()
  })
})

describe('events and errors', () => {
  it('are told apart by type', () => {
    const hear = (event: HoldfastEvent): void => {
      if (event.type === 'call') expectTypeOf(event.ending).toEqualTypeOf<Ending>()
      if (event.type === 'retry') expectTypeOf(event.delay).toBeNumber()
      if (event.type === 'state-change') expectTypeOf(event.to).toEqualTypeOf<CircuitState>()
      // @ts-expect-error: no such event
      if (event.type === 'retried') return
    }
    void hear
  })

  it('are narrowed by the guard', () => {
    const error: unknown = null
    if (isResilienceError(error)) {
      expectTypeOf(error).toEqualTypeOf<ResilienceError>()
      expectTypeOf(error.code).toBeString()
      expectTypeOf(error.policy).toBeString()
    }
  })

  it('hand an error to hooks as what it is: unknown', () => {
    retry({
      shouldRetry(error) {
        expectTypeOf(error).toBeUnknown()
        return true
      },
    })
    circuitBreaker({
      isFailure(error) {
        expectTypeOf(error).toBeUnknown()
        return 'ignore'
      },
    })
    fallback((error) => {
      expectTypeOf(error).toBeUnknown()
    })
  })
})
