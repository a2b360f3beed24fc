/** The caller may change its mind at any time: it is answered at once, with its own reason. */

import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, rejection, watch } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import { listenersOn, withoutNoise } from '../support/leaks.ts'
import { thrown } from '../support/thrown.ts'
import type { Make } from './subjects.ts'

export function abortsAtOnce(make: Make): void {
  describe('aborts at once', () => {
    it('does not call the function when the signal is already aborted', async () => {
      const policy = make(virtualClock())
      const operation = scripted(['ok'])
      const reason = { my: 'reason' }

      const error = await rejection(
        policy.execute(operation, { signal: AbortSignal.abort(reason) }),
      )

      expect(error).toBe(reason)
      expect(operation.calls).toBe(0)
      expect(policy.stats()).toMatchObject({ calls: 1, aborted: 1, inFlight: 0 })
    })

    // A controller without a reason makes a DOMException of its own.
    const reasons = thrown.filter(([title]) => title !== 'undefined')
    it.each(reasons)('rejects with the very reason, %s', async (_title, makeReason) => {
      const policy = make(virtualClock())
      const reason = makeReason()
      const before = caught(policy.execute(hangs, { signal: AbortSignal.abort(reason) }))
      const controller = new AbortController()
      const during = caught(policy.execute(hangs, { signal: controller.signal }))

      controller.abort(reason)

      expect((await before).error === reason).toBe(true)
      expect((await during).error === reason).toBe(true)
    })

    it('rejects with the DOMException of an abort without a reason', async () => {
      const policy = make(virtualClock())
      const controller = new AbortController()
      const call = policy.execute(hangs, { signal: controller.signal })

      controller.abort()

      expect(await rejection(call)).toBe(controller.signal.reason)
    })

    it('answers while the function still runs, and drops its late end', async () => {
      const policy = make(virtualClock())
      const controller = new AbortController()
      const late = gate()
      const call = watch(policy.execute(async () => late.promise, { signal: controller.signal }))
      await quiet()

      await withoutNoise(async () => {
        controller.abort('changed my mind')
        await quiet()
        expect(call).toEqual({ status: 'rejected', reason: 'changed my mind' })
        late.fail(new Error('late'))
      })

      expectConserved(policy.stats(), 1)
      expect(policy.stats().aborted).toBe(1)
    })

    it('aborts the signal of the function with the same reason', async () => {
      const policy = make(virtualClock())
      const operation = scripted(['hang'])
      const controller = new AbortController()
      const reason = new Error('changed my mind')
      const call = caught(policy.execute(operation, { signal: controller.signal }))
      await quiet()

      controller.abort(reason)
      await call

      expect(operation.signals[0]?.aborted).toBe(true)
      expect(operation.signals[0]?.reason).toBe(reason)
    })

    it('keeps the reason when the function throws something else because of the abort', async () => {
      const policy = make(virtualClock())
      const controller = new AbortController()
      const reason = new Error('changed my mind')
      const call = policy.execute(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('wrapped by a client')))
          }),
        { signal: controller.signal },
      )

      await quiet()
      controller.abort(reason)

      expect(await rejection(call)).toBe(reason)
    })

    it('is aborted by the function itself, while it is being called', async () => {
      const policy = make(virtualClock())
      const controller = new AbortController()
      const { signal } = controller
      const seen: boolean[] = []

      const error = await rejection(
        policy.execute(
          (context) => {
            controller.abort('from within')
            seen.push(context.signal.aborted)
            return 'too late'
          },
          { signal },
        ),
      )

      expect(error).toBe('from within')
      expect(seen).toEqual([true])
      expect(listenersOn(signal)).toBe(0)
      await quiet()
      expectConserved(policy.stats(), 1)
      expect(await policy.execute(() => 'next')).toBe('next')
    })

    it('is aborted by the function itself, which then throws', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const controller = new AbortController()
      let calls = 0

      const call = caught(
        policy.execute(
          () => {
            calls++
            controller.abort('from within')
            throw new Error('and failed')
          },
          { signal: controller.signal },
        ),
      )
      await clock.runAll()

      expect((await call).error).toBe('from within')
      expect(calls).toBe(1)
    })

    it('calls the function no more once it was aborted, whatever the function throws', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const controller = new AbortController()
      const late = gate()
      let calls = 0
      const call = caught(
        policy.execute(
          async () => {
            calls++
            await late.promise
          },
          { signal: controller.signal },
        ),
      )

      await quiet()
      controller.abort('changed my mind')
      late.fail(Object.assign(new Error('looks transient'), { status: 503 }))
      await clock.runAll()

      expect((await call).error).toBe('changed my mind')
      expect(calls).toBe(1)
    })

    it('settles once when abort and answer meet in one microtask, in both orders', async () => {
      const policy = make(virtualClock())
      for (const abortFirst of [true, false]) {
        const controller = new AbortController()
        const answer = gate<string>()
        const call = watch(policy.execute(() => answer.promise, { signal: controller.signal }))
        await quiet()

        if (abortFirst) controller.abort('aborted')
        answer.open('answered')
        if (!abortFirst) controller.abort('aborted')
        await quiet()

        // The answer's news travels by microtask: the abort, which is seen at once, may win both.
        if (abortFirst) expect(call).toEqual({ status: 'rejected', reason: 'aborted' })
        else expect(['fulfilled', 'rejected']).toContain(call.status)
        expect(listenersOn(controller.signal)).toBe(0)
      }
      expectConserved(policy.stats(), 2)
    })

    it('lets an abort after the answer change nothing', async () => {
      const policy = make(virtualClock())
      const controller = new AbortController()
      const operation = scripted([{ value: 'answer' }])

      const answer = await policy.execute(operation, { signal: controller.signal })
      controller.abort('too late')
      await quiet()

      expect(answer).toBe('answer')
      expect(operation.signals[0]?.aborted).toBe(false)
      expectConserved(policy.stats(), 1)
    })

    it('aborts one call and leaves its neighbours alone', async () => {
      const policy = make(virtualClock())
      const controller = new AbortController()
      const answer = gate<string>()
      const signals: AbortSignal[] = []
      const operation = ({ signal }: { signal: AbortSignal }): Promise<string> => {
        signals.push(signal)
        return answer.promise
      }
      const doomed = caught(policy.execute(operation, { signal: controller.signal }))
      const neighbour = policy.execute(operation)
      await quiet()

      controller.abort('mine alone')
      await doomed
      answer.open('answer')

      expect(await neighbour).toBe('answer')
      expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    })

    it.each(['signal', {}, 42, null])('refuses %j as a signal with a TypeError', async (signal) => {
      const policy = make(virtualClock())
      const operation = scripted(['ok'])

      const error = await rejection(policy.execute(operation, { signal } as never))

      expect(error).toBeInstanceOf(TypeError)
      expect(operation.calls).toBe(0)
    })
  })
}
