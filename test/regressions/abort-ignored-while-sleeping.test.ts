import { retry } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, quiet, rejection, watch } from '../support/calls.ts'
import { listenersOn } from '../support/leaks.ts'
import { thrown } from '../support/thrown.ts'

describe('RT1 abort is ignored while backoff sleeps', () => {
  it('rejects at once, tries no more, leaves no timer and no listener', async () => {
    const clock = virtualClock()
    const operation = scripted(['fail'])
    const controller = new AbortController()
    const call = watch(retry({ clock }).execute(operation, { signal: controller.signal }))
    await quiet()
    expect(clock.pending).toBe(1)

    controller.abort('enough')
    await quiet()

    expect(call).toEqual({ status: 'rejected', reason: 'enough' })
    expect(clock.timers).toEqual([])
    expect(listenersOn(controller.signal)).toBe(0)
    await clock.advance(100_000)
    expect(operation.calls).toBe(1)
  })

  it('rejects at once while a Retry-After of the server is waited for', async () => {
    const clock = virtualClock()
    const busy = Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': '20' } })
    const controller = new AbortController()
    const call = watch(
      retry({ clock }).execute(() => Promise.reject(busy), { signal: controller.signal }),
    )
    await quiet()

    controller.abort('enough')
    await quiet()

    expect(call.status).toBe('rejected')
    expect(clock.timers).toEqual([])
  })

  it('makes no further try when abort and wake-up come in one tick, in both orders', async () => {
    for (const abortFirst of [true, false]) {
      const clock = virtualClock()
      const controller = new AbortController()
      const operation = scripted(['fail', 'hang'])
      const abort = (): void => controller.abort('enough')
      if (abortFirst) clock.setTimer(abort, 100)
      const call = watch(
        retry({ baseDelay: 100, jitter: 'none', clock }).execute(operation, {
          signal: controller.signal,
        }),
      )
      await quiet()
      if (!abortFirst) clock.setTimer(abort, 100)

      await clock.advance(100)

      expect(call).toEqual({ status: 'rejected', reason: 'enough' })
      expect(operation.calls).toBe(abortFirst ? 1 : 2)
      expect(clock.timers).toEqual([])
    }
  })

  const hooks = ['beforeAttempt', 'afterAttempt', 'onRetry', 'shouldRetry'] as const
  it.each(hooks)('makes no further try when %s itself aborts', async (hook) => {
    const clock = virtualClock()
    const controller = new AbortController()
    const operation = scripted(['fail'])
    const abort = (): undefined => controller.abort('from the hook') as undefined
    const call = watch(
      retry({ maxRetries: 5, baseDelay: 10, [hook]: abort, clock }).execute(operation, {
        signal: controller.signal,
      }),
    )

    await clock.runAll()

    expect(call).toEqual({ status: 'rejected', reason: 'from the hook' })
    expect(operation.calls).toBeLessThanOrEqual(1)
    expect(clock.timers).toEqual([])
    expect(listenersOn(controller.signal)).toBe(0)
  })

  it('makes no further try when a listener of the retry event aborts', async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    const operation = scripted(['fail'])
    const policy = retry({ maxRetries: 5, baseDelay: 0, clock })
    policy.subscribe((event) => event.type === 'retry' && controller.abort('from the listener'))

    const call = watch(policy.execute(operation, { signal: controller.signal }))
    await clock.runAll()

    expect(call).toEqual({ status: 'rejected', reason: 'from the listener' })
    expect(operation.calls).toBe(1)
  })
})

describe('RT2 the abort reason is swallowed or replaced', () => {
  const reasons = thrown.filter(([title]) => title !== 'undefined')
  it.each(reasons)('rejects with the very reason during backoff, %s', async (_title, make) => {
    const clock = virtualClock()
    const controller = new AbortController()
    const failure = new Error('the last real failure')
    const seen: unknown[] = []
    const call = caught(
      retry({ clock, onRetry: ({ error }) => seen.push(error) }).execute(
        () => Promise.reject(failure),
        { signal: controller.signal },
      ),
    )
    await quiet()
    const reason = make()
    controller.abort(reason)

    expect((await call).error === reason).toBe(true)
    expect(seen).toEqual([failure])
  })
})

describe('RT3 retrying against a dead signal', () => {
  it('tries once when the function ignores the signal and throws what looks transient', async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    const held = gate()
    let calls = 0
    const call = caught(
      retry({ baseDelay: 0, clock }).execute(
        async () => {
          calls++
          await held.promise
        },
        { signal: controller.signal },
      ),
    )
    await quiet()
    const reason = new DOMException('timed out', 'TimeoutError')
    controller.abort(reason)
    held.fail(new DOMException('timed out', 'TimeoutError'))
    await clock.runAll()

    expect((await call).error).toBe(reason)
    expect(calls).toBe(1)
  })

  it('tries once when the signal aborts in the very tick of the failure', async () => {
    const controller = new AbortController()
    let calls = 0

    const error = await rejection(
      retry({ baseDelay: 0, shouldRetry: () => true }).execute(
        async () => {
          calls++
          controller.abort('in the same tick')
          throw Object.assign(new Error('transient'), { status: 503 })
        },
        { signal: controller.signal },
      ),
    )

    expect(error).toBe('in the same tick')
    expect(calls).toBe(1)
  })

  it('does not retry an AbortError of somebody else', async () => {
    const operation = scripted([{ error: new DOMException('gone', 'AbortError') }])

    await rejection(retry({ baseDelay: 0 }).execute(operation))

    expect(operation.calls).toBe(1)
  })
})
