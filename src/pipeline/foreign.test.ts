import {
  type Context,
  type ExecuteOptions,
  fallback,
  type PolicyLike,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, rejection } from '../../test/support/calls.ts'

const down = new Error('down')

/** A policy as somebody else would write it: it calls with whatever a test wants. */
const calling = (given?: (options: ExecuteOptions | undefined) => unknown): PolicyLike => ({
  name: 'calling',
  execute: async (operation, options) => operation(given?.(options) as Context),
})

describe('a policy of the user’s own in a pipeline', () => {
  it('may hand over a signal of its own, which then is the function’s', async () => {
    const controller = new AbortController()
    const stack = pipeline(
      'stack',
      calling(() => ({ signal: controller.signal })),
    )
    let seen: AbortSignal | undefined

    const call = rejection(
      stack.execute(({ signal }) => {
        seen = signal
        return hangs()
      }),
    )
    controller.abort('by the policy')

    expect(await call).toBe('by the policy')
    expect(seen?.aborted).toBe(true)
  })

  it('may hand over less time than there is, never more', async () => {
    const clock = virtualClock({ start: 100 })
    const deadlines: number[] = []
    for (const deadline of [130, 900, undefined]) {
      const stack = pipeline(
        { name: 'stack', clock },
        timeout({ duration: 50, clock }),
        calling(() => (deadline === undefined ? undefined : { deadline })),
      )
      await stack.execute((context) => {
        deadlines.push(context.deadline)
        expect(context.remaining).toBe(context.deadline - 100)
      })
    }

    expect(deadlines).toEqual([130, 150, 150])
  })

  it('may call several times, one after the other or at once', async () => {
    const twice: PolicyLike = {
      execute: async (operation) => {
        const answers = await Promise.all([operation(undefined as never), operation({} as Context)])
        return answers[0]
      },
    }
    const limit = timeout(1_000)
    let calls = 0

    const answer = await pipeline('stack', twice, limit).execute(() => `call ${++calls}`)

    expect([answer, calls, limit.stats().succeeded]).toEqual(['call 1', 2, 2])
  })

  it('may answer without calling', async () => {
    const cached: PolicyLike = { execute: async () => 'cached' as never }
    const stack = pipeline('stack', cached, timeout(1_000))

    expect(await stack.executeDetailed(() => expect.fail('called'))).toMatchObject({
      value: 'cached',
      attempts: 0,
      source: 'primary',
      errors: [],
    })
  })

  it('lets each error on the way be told once', async () => {
    const other = new Error('other')
    const changing: PolicyLike = {
      execute: async (operation) => {
        try {
          return await operation({} as Context)
        } catch {
          throw other
        }
      },
    }
    const inner = retry({ maxRetries: 1, baseDelay: 0 })

    const same = await pipeline(
      'same',
      fallback(() => 'guess'),
      calling(),
      inner,
    ).executeDetailed(() => Promise.reject(down))
    const changed = await pipeline(
      'changed',
      fallback(() => 'guess'),
      changing,
      inner,
    ).executeDetailed(() => Promise.reject(down))

    expect(same.errors).toEqual([down, down])
    expect(changed.errors).toEqual([down, down, other])
    expect([same.attempts, changed.attempts]).toEqual([2, 2])
  })

  it('keeps the arguments of a wrapped call', async () => {
    const guess = fallback((_error, { args }) => args)
    const wrapped = pipeline('stack', calling(), calling(), guess).wrap((..._args: number[]) =>
      Promise.reject(down),
    )

    expect(await wrapped(1, 2)).toEqual([1, 2])
  })

  it('leaves nothing behind', async () => {
    const clock = virtualClock()
    const stack = pipeline(
      { name: 'stack', clock },
      timeout({ duration: 10, clock }),
      calling(),
      timeout({ duration: 50, clock }),
    )

    const call = rejection(stack.execute(hangs))
    await clock.advance(10)

    expect(await call).toMatchObject({ duration: 10 })
    expect(clock.timers).toEqual([])
    expect(stack.stats()).toMatchObject({ timedOut: 1, inFlight: 0 })
  })
})
