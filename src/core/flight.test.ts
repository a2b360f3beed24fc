import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet, rejection } from '../../test/support/calls.ts'
import { clock, engineOf, step } from '../../test/support/steps.ts'
import type { Context } from './policy.ts'

/** Makes a call and gives the context that its function got. */
function contextOf(
  engine: ReturnType<typeof engineOf>,
  ...given: Parameters<typeof engine.execute> extends [unknown, ...infer Rest] ? Rest : never
): { context: Context; call: Promise<unknown> } {
  let context: Context | undefined
  const call = engine.execute(
    (seen) => {
      context = seen
      return hangs()
    },
    ...given,
  )
  if (context === undefined) return expect.fail('not called')
  return { context, call }
}

describe('the context of a call', () => {
  it('counts attempts from 1 and has no arguments of its own', () => {
    const { context } = contextOf(engineOf(step('one')))

    expect([context.attempt, context.args]).toEqual([1, []])
    expect([context.deadline, context.remaining]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ])
  })

  it('has the arguments that were handed over', () => {
    const args = ['one', 2]

    expect(contextOf(engineOf(step('one')), undefined, args).context.args).toBe(args)
  })

  it('knows the nearest of all limits, and how much of it is left', async () => {
    const engine = engineOf(
      step('far', { duration: 500 }),
      step('near', { duration: 80 }),
      step('endless', { duration: Number.POSITIVE_INFINITY }),
    )
    const began = clock.now()
    const plain = contextOf(engine)
    const hurried = contextOf(engine, { deadline: began + 50 })
    const calls = [caught(plain.call), caught(hurried.call)]

    expect([plain.context.deadline, hurried.context.deadline]).toEqual([began + 80, began + 50])
    await clock.advance(30)
    expect([plain.context.remaining, hurried.context.remaining]).toEqual([50, 20])
    await clock.advance(60)
    await Promise.all(calls)

    expect([plain.context.remaining, hurried.context.remaining]).toEqual([0, 0])
    expect([plain.context.deadline, hurried.context.deadline]).toEqual([began + 80, began + 50])
  })

  it('makes its signal once, when it is first read', () => {
    const { context } = contextOf(engineOf(step('one')))

    expect(context.signal).toBe(context.signal)
    expect(context.signal.aborted).toBe(false)
  })

  it('has a signal that is aborted already when it is read after the end', async () => {
    const controller = new AbortController()
    const { context, call } = contextOf(engineOf(step('one')), { signal: controller.signal })

    controller.abort('enough')
    await rejection(call)

    expect(context.signal.aborted).toBe(true)
    expect(context.signal.reason).toBe('enough')
    expect(context.remaining).toBe(0)
  })

  it('is not the caller’s own signal, and not shared between attempts', async () => {
    const { signal } = new AbortController()
    const signals: AbortSignal[] = []
    const again = step('again', {
      react: ({ ending }) => (ending === 'failed' ? { kind: 'again', delay: 0 } : undefined),
    })

    await engineOf(again).execute(
      (context) => {
        signals.push(context.signal)
        if (signals.length < 3) throw new Error('down')
        return 'third'
      },
      { signal },
    )

    expect(new Set([signal, ...signals]).size).toBe(4)
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false])
  })

  it('keeps to its own attempt when the next has begun', async () => {
    const contexts: Context[] = []
    const again = step('again', {
      react: ({ ending }) => (ending === 'timedOut' ? { kind: 'again', delay: 0 } : undefined),
    })
    const call = engineOf(again, step('each', { duration: 40 })).execute((context) => {
      contexts.push(context)
      return contexts.length < 2 ? hangs() : clock.advance(5).then(() => 'second')
    })
    const began = clock.now()

    await clock.advance(40)
    expect(await call).toBe('second')

    expect(contexts.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(contexts[0]?.deadline).toBe(began + 40)
    expect(contexts[0]?.remaining).toBe(0)
    expect(contexts[0]?.signal.aborted).toBe(true)
    expect(contexts[1]?.signal.aborted).toBe(false)
  })

  it('says nothing of limits once its attempt has ended by itself', async () => {
    const engine = engineOf(step('one', { duration: 40 }))
    let context: Context | undefined
    await engine.execute((given) => {
      context = given
      return 'answer'
    })
    const other = caught(engine.execute(hangs))

    expect(context?.deadline).toBe(Number.POSITIVE_INFINITY)
    expect(context?.signal.aborted).toBe(false)
    await clock.advance(40)
    await other
    expect(context?.signal.aborted).toBe(false)
  })

  it('fits as the options of a nested call', async () => {
    const [outer, inner] = [engineOf(step('outer', { duration: 60 })), engineOf(step('inner'))]
    let innermost: Context | undefined
    const began = clock.now()

    const call = rejection(
      outer.execute((context) =>
        inner.execute((given) => {
          innermost = given
          return hangs()
        }, context),
      ),
    )
    expect(innermost?.deadline).toBe(began + 60)
    await clock.advance(60)
    await call
    await quiet()

    expect(innermost?.signal.aborted).toBe(true)
    expect(clock.timers).toEqual([])
  })
})
