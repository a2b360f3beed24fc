import { circuitBreaker, pipeline } from 'holdfast'
import { resilientFetch } from 'holdfast/fetch'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, rejection } from '../../../test/support/calls.ts'

const url = 'https://api.example/things'

/** Ways in which a trial fails. */
const faults = {
  'no connection': () => Promise.reject(new TypeError('fetch failed')),
  'no answer in time': hangs,
  'status 503': async () => new Response('', { status: 503 }),
}

describe('a trial call of a half-open circuit', () => {
  it.each(Object.entries(faults))(
    'that fails opens the circuit again: %s',
    async (_name, fault) => {
      const clock = virtualClock()
      const circuit = circuitBreaker({ failureThreshold: 1, resetTimeout: 1_000, clock })
      // Alone, and as a policy that is asked as a whole.
      for (const level of [circuit, pipeline({ name: 'guarded', clock }, circuit)]) {
        circuit.reset()
        let sent = 0
        const send = () => {
          sent++
          return fault()
        }
        const options = { clock, retry: false, attemptTimeout: 100, fetch: send } as const
        const fetch = resilientFetch({ ...options, circuitBreaker: level })
        const call = async (): Promise<void> => {
          const answer = fetch(url).catch((error: unknown) => error)
          await clock.advance(100)
          await answer
        }
        await call()
        await clock.advance(1_000)
        expect(circuit.state).toBe('half-open')

        await call()

        expect(circuit.state).toBe('open')
        expect(await rejection(fetch(url))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
        expect(sent).toBe(2)
      }
    },
  )
})
