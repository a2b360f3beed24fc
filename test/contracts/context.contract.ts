/** What the function is told: a live signal, the attempt, the time that is left, its arguments. */

import { type Context, isResilienceError } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, rejection } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import type { Make } from './subjects.ts'

export function tellsTheFunction(make: Make): void {
  describe('tells the function', () => {
    it('a live signal, the same at each reading', async () => {
      const policy = make(virtualClock())

      const seen = await policy.execute((context) => [context.signal, context.signal])

      expect(seen[0]).toBeInstanceOf(AbortSignal)
      expect(seen[0]).toBe(seen[1])
      expect(seen[0]?.aborted).toBe(false)
    })

    it('a signal that is new in each call', async () => {
      const policy = make(virtualClock())
      const operation = scripted(['ok'])

      await policy.execute(operation)
      await policy.execute(operation)

      expect(new Set(operation.signals).size).toBe(2)
    })

    it('which attempt it is, counted from 1 in each call', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      for (let round = 0; round < 2; round++) {
        const attempts: number[] = []
        const failing = ({ attempt }: Context): never => {
          attempts.push(attempt)
          throw new Error('down')
        }

        const end = caught(policy.execute(failing))
        await clock.runAll()
        await end

        expect(attempts).toEqual(attempts.map((_, index) => index + 1))
        expect(attempts.length).toBeGreaterThan(0)
      }
    })

    it('no arguments and a deadline that fits what remains, in a bare call', async () => {
      const clock = virtualClock({ start: 500 })
      const policy = make(clock)

      const seen = await policy.execute(({ args, deadline, remaining }) => ({
        args,
        deadline,
        remaining,
      }))

      expect(seen.args).toEqual([])
      expect(seen.remaining).toBe(seen.deadline - 500)
    })

    it('the arguments that its caller brought along', async () => {
      const policy = make(virtualClock())
      const args = ['kelp', 3]

      expect(await policy.execute((context) => context.args, { args })).toEqual(args)
    })

    it('the deadline of its caller, and that it comes nearer', async () => {
      const clock = virtualClock({ start: 500 })
      const policy = make(clock)
      let context: Context | undefined
      const call = caught(
        policy.execute(
          (given) => {
            context = given
            return hangs()
          },
          { deadline: 1_500 },
        ),
      )

      await quiet()
      expect(context?.deadline).toBe(1_500)
      expect(context?.remaining).toBe(1_000)
      await clock.advance(400)
      expect(context?.remaining).toBe(600)
      await clock.advance(600)
      await call
      expect(context?.remaining).toBe(0)
    })

    it('by its signal when the deadline of its caller has come, and answers the caller', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const operation = scripted(['hang'])
      const call = caught(policy.execute(operation, { deadline: 300 }))

      await clock.advance(299)
      expect(operation.signals[0]?.aborted).toBe(false)
      await clock.advance(1)

      const { error } = await call
      expect(isResilienceError(error) && error.code).toBe('ERR_TIMEOUT')
      expect(operation.signals[0]?.aborted).toBe(true)
      expect(clock.pending).toBe(0)
      operation.settleHung()
      await quiet()
      expectConserved(policy.stats(), 1)
      expect(policy.stats().timedOut).toBe(1)
    })

    it('nothing when the deadline of its caller has passed: it is not called', async () => {
      const clock = virtualClock({ start: 1_000 })
      const policy = make(clock)
      const operation = scripted(['ok'])

      const error = await rejection(policy.execute(operation, { deadline: 1_000 }))

      expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
      expect(operation.calls).toBe(0)
      expectConserved(policy.stats(), 1)
    })

    it('nothing when the deadline is no number: it is not called', async () => {
      const policy = make(virtualClock())
      const operation = scripted(['ok'])

      for (const deadline of [Number.NaN, '5', null]) {
        const error = await rejection(policy.execute(operation, { deadline } as never))
        expect(error).toBeInstanceOf(TypeError)
      }

      expect(operation.calls).toBe(0)
    })

    it('its limits in a nested call that passes the context on', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const controller = new AbortController()

      const inner = await policy.execute(
        async (outer) => {
          const other = make(clock)
          return await other.execute(({ deadline, signal }) => ({ deadline, signal }), outer)
        },
        { deadline: 700, signal: controller.signal },
      )

      expect(inner.deadline).toBe(700)
      expect(inner.signal.aborted).toBe(false)
    })
  })
}
