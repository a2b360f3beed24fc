import type * as Holdfast from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { caught, hangs, rejection } from '../support/calls.ts'
import { type Bundle, bundle } from '../support/child.ts'

let library: Bundle
let mine: typeof Holdfast
let theirs: typeof Holdfast
beforeAll(async () => {
  library = await bundle()
  mine = await import(/* @vite-ignore */ `${library.url}?copy=mine`)
  theirs = await import(/* @vite-ignore */ `${library.url}?copy=theirs`)
})
afterAll(() => library.remove())

describe('CO2 two copies of the package in one process', () => {
  it('are two copies', () => {
    expect(mine.TimeoutError).not.toBe(theirs.TimeoutError)
  })

  it('know each other’s errors by code and as resilience errors', async () => {
    const open = theirs.circuitBreaker()
    open.isolate()
    const full = theirs.bulkhead({ maxConcurrent: 1 })
    void caught(full.execute(hangs))
    const fails = (): Promise<never> => Promise.reject(new Error('down'))
    const errors: [string, unknown][] = [
      ['ERR_CIRCUIT_OPEN', await rejection(open.execute(hangs))],
      ['ERR_BULKHEAD_FULL', await rejection(full.execute(hangs))],
      ['ERR_TIMEOUT', await rejection(theirs.timeout(5).execute(hangs))],
      ['ERR_FALLBACK_EXHAUSTED', await rejection(theirs.fallback(fails).execute(fails))],
    ]

    for (const [code, error] of errors) {
      expect(error).toMatchObject({ code })
      expect(mine.isResilienceError(error)).toBe(true)
      expect(error).toBeInstanceOf(mine.ResilienceError)
      expect(error).toBeInstanceOf(theirs.ResilienceError)
    }
  })

  it('treat each other’s refusals as refusals: not retried, not counted, answered by a fallback', async () => {
    const open = theirs.circuitBreaker()
    open.isolate()
    let calls = 0
    const refused = (): Promise<unknown> => {
      calls++
      return open.execute(hangs)
    }
    const breaker = mine.circuitBreaker({ failureThreshold: 1 })

    await rejection(mine.retry({ baseDelay: 0, maxRetryAfter: 0 }).execute(refused))
    expect(calls).toBe(1)
    await rejection(breaker.execute(refused))
    expect(breaker.state).toBe('closed')
    expect(await mine.fallback(() => 'instead').execute(refused)).toBe('instead')
  })

  it('compose: a policy of one copy works in a pipeline of the other', async () => {
    const breaker = theirs.circuitBreaker({ failureThreshold: 1 })
    const calls = mine.pipeline('mixed', mine.retry({ maxRetries: 1, baseDelay: 0 }), breaker)

    const error = await rejection(calls.execute(() => Promise.reject(new Error('down'))))

    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(breaker.state).toBe('open')
    expect(await mine.pipeline('p', theirs.timeout(1_000)).execute(async () => 'fine')).toBe('fine')
  })
})
