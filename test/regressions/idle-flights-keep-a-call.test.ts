import {
  bulkhead,
  type Context,
  circuitBreaker,
  type Policy,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/core/deferred.ts'
import { type Attempt, type Flight, NOTHING } from '../../src/core/flight.ts'

const clock = virtualClock()
const stacks = {
  alone: () => bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: 5, clock }),
  'under a retry': () =>
    pipeline(
      'stack',
      retry({ maxRetries: 1, baseDelay: 0, jitter: 'none', clock }),
      bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: 5, clock }),
    ),
  'under a limit': () =>
    pipeline(
      'stack',
      timeout({ duration: 100, clock }),
      bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: 5, clock }),
    ),
} satisfies Record<string, () => Policy<unknown>>

function flightOf(context: Context | undefined): Flight {
  return (context as Attempt).flight
}

/** All idle flights, from the one that was used last. */
function idle(last: Flight): Flight[] {
  const flights: Flight[] = []
  for (let flight: Flight | undefined = last; flight !== undefined; flight = flight.spare) {
    flights.push(flight)
  }
  return flights
}

describe('an idle flight', () => {
  it.each(Object.entries(stacks))(
    'keeps nothing of any call that it served: %s',
    async (_, make) => {
      const stack = make()
      const down = new Error('down')
      let context: Context | undefined
      const secret = { of: 'one caller' }
      const call = stack.wrap((_secret: object, act: () => unknown) => act())
      const work = deferred()

      const slow = deferred()
      const long = call(secret, () => slow.promise)
      const vain = call(secret, () => secret).catch(() => undefined)
      await clock.advance(11)
      slow.resolve()
      await Promise.all([long, vain])
      await call(secret, () => Promise.reject(down)).catch(() => undefined)
      await call(secret, () => {
        throw down
      }).catch(() => undefined)
      // Last of all: what has stood in line leaves nothing either.
      const answers = [call(secret, () => work.promise), call(secret, () => secret)]
      const refused = call(secret, () => secret).catch(() => undefined)
      work.resolve()
      await Promise.all([...answers, refused])
      await stack.execute((seen) => {
        context = seen
      })

      const flights = idle(flightOf(context))
      expect(flights.length).toBeGreaterThan(1)
      const fresh = flights[0]?.attempt
      for (const flight of flights) {
        const { attempt, args, given, operation, calls, detour, cutWith, hub } = flight
        expect({ args, given, calls, detour, cutWith, hub }).toEqual({
          args: [],
          given: [],
          calls: 0,
          detour: undefined,
          cutWith: undefined,
          hub: undefined,
        })
        expect(attempt).toBe(fresh)
        expect(operation).toBe(NOTHING)
      }
      expect(clock.timers).toEqual([])
    },
  )

  it('that is dropped, for its work may never end, holds on to no other', async () => {
    const brief = timeout({ duration: 5, clock })
    await Promise.all([brief.execute(() => 1), brief.execute(() => 2)])
    let context: Context | undefined

    const call = brief.execute((seen) => {
      context = seen
      return new Promise(() => undefined)
    })
    expect(flightOf(context).spare).toBeDefined()
    const ended = expect(call).rejects.toThrow('no answer within 5 ms')
    await clock.advance(6)
    await ended

    expect(flightOf(context).spare).toBe(undefined)
  })
  it('whose caller aborted while a hook was asked on its way out serves the next call', async () => {
    const controller = new AbortController()
    const isFailureResult = (): boolean => {
      controller.abort()
      return false
    }
    const breaker = circuitBreaker({ isFailureResult, clock })

    const first = breaker.execute(() => 'first', { signal: controller.signal })
    expect(await first).toBe('first')

    const { signal } = new AbortController()
    expect(await breaker.execute(() => 'next', { signal })).toBe('next')
    expect(breaker.stats()).toMatchObject({ succeeded: 2, inFlight: 0 })
  })
})
