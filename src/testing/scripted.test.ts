import { describe, expect, it } from 'vitest'
import type { Context, Operation } from '../core/policy.ts'
import { type ScriptStep, scripted } from './scripted.ts'
import { virtualClock } from './virtual-clock.ts'

const context = (signal: AbortSignal): Context => ({
  signal,
  attempt: 1,
  deadline: Number.POSITIVE_INFINITY,
  remaining: Number.POSITIVE_INFINITY,
  args: [],
})

describe('scripted', () => {
  it('does one step per call and repeats the last', async () => {
    const operation = scripted(['fail', { value: 1 }, 'ok'])

    const ends = await Promise.allSettled([operation(), operation(), operation(), operation()])

    expect(ends).toEqual([
      { status: 'rejected', reason: new Error('scripted failure #1') },
      { status: 'fulfilled', value: 1 },
      { status: 'fulfilled', value: 'ok' },
      { status: 'fulfilled', value: 'ok' },
    ])
    expect(operation.calls).toBe(4)
  })

  it('names a failure by the number of the call', async () => {
    const operation = scripted(['ok', 'fail'])
    await operation()

    await expect(operation()).rejects.toThrow('scripted failure #2')
    await expect(operation()).rejects.toThrow('scripted failure #3')
  })

  it.each([new Error('own'), 'text', undefined, null, 0])(
    'rejects with exactly the error %s',
    async (error) => {
      const caught = await scripted([{ error }])().then(
        () => 'resolved',
        (reason: unknown) => ({ reason }),
      )

      expect((caught as { reason: unknown }).reason).toBe(error)
    },
  )

  it.each([undefined, null, 0, false])('resolves with exactly the value %s', async (value) => {
    expect(await scripted([{ value }])()).toBe(value)
  })

  it('is an operation for any policy', async () => {
    const typed: Operation<number | 'ok'> = scripted(['ok', { value: 5 }])

    expect(await typed(context(AbortSignal.abort()))).toBe('ok')
  })

  it('keeps to the steps it was given, whatever becomes of the list', async () => {
    const steps: ScriptStep<never>[] = ['ok']
    const operation = scripted(steps)

    steps[0] = 'fail'

    await expect(operation()).resolves.toBe('ok')
  })

  it('remembers what each call was given', async () => {
    const operation = scripted(['ok'])
    const first = context(new AbortController().signal)
    const second = context(AbortSignal.abort())

    await Promise.all([operation(first), operation(), operation(second)])

    expect(operation.contexts).toEqual([first, undefined, second])
    expect(operation.signals).toEqual([first.signal, undefined, second.signal])
    expect(operation.contexts[2]).toBe(second)
    expect(operation.signals[2]).toBe(second.signal)
  })

  it('hands out copies of its memory', async () => {
    const operation = scripted(['ok'])
    await operation()

    ;(operation.contexts as unknown[]).push('forged')
    ;(operation.signals as unknown[]).push('forged')

    expect([operation.calls, operation.contexts.length, operation.signals.length]).toEqual([
      1, 1, 1,
    ])
  })
})

describe('a step that hangs', () => {
  it('ends when it is told to, once, with a result or a failure', async () => {
    const operation = scripted(['hang'])
    const ended: string[] = []
    const watch = (name: string) =>
      operation().then(
        (value) => ended.push(`${name}: ${value}`),
        (error) => ended.push(`${name}: ${error.message}`),
      )

    const early = [watch('a'), watch('b')]
    const hung = operation.hung
    const asOk = operation.settleHung()
    await Promise.all(early)
    const late = watch('c')
    const asFailure = operation.settleHung('fail')
    await late

    expect([hung, asOk, asFailure, operation.hung, operation.settleHung()]).toEqual([2, 2, 1, 0, 0])
    expect(ended).toEqual(['a: ok', 'b: ok', 'c: scripted failure #3'])
  })

  it('is deaf to its signal', async () => {
    const operation = scripted(['hang'])
    const controller = new AbortController()
    let settled = false
    const call = operation(context(controller.signal)).finally(() => {
      settled = true
    })

    controller.abort()
    await new Promise(setImmediate)

    expect(settled).toBe(false)
    operation.settleHung()
    await call
  })
})

describe('a step with after', () => {
  it('ends so many ms later by its clock', async () => {
    const clock = virtualClock()
    const steps = [{ after: 10, value: 7 }, { after: 20, error: 'late' }, { after: 30 }]
    const operation = scripted(steps, { clock })
    const ended: unknown[] = []
    for (let call = 0; call < 3; call++) {
      operation().then(
        (value) => ended.push([clock.now(), value]),
        (error) => ended.push([clock.now(), error]),
      )
    }

    await clock.advance(100)

    expect(ended).toEqual([
      [10, 7],
      [20, 'late'],
      [30, 'ok'],
    ])
    clock.assertIdle()
  })

  it('may be undefined, which is no wait at all', async () => {
    const step = { after: undefined, value: 1 } as unknown as { value: number }

    expect(await scripted([step])()).toBe(1)
  })
})

describe('a wrong script', () => {
  it.each([
    ['no steps', [], 'steps must be an array of at least one step'],
    ['no list', 'ok', 'steps must be an array of at least one step'],
    ['an unknown word', ['ok', 'crash'], 'steps[1] must be'],
    ['an object without a step', [{}], 'steps[0] must be'],
    ['null', [null], 'but was null'],
    ['a number', [5], 'but was 5'],
    ['after without a clock', [{ after: 5 }], 'steps[0] has `after` and needs the option clock'],
  ])('with %s is refused', (_, steps, message) => {
    const make = () => scripted(steps as ScriptStep<never>[])

    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })

  it('with an unknown option or a clock that is none is refused', () => {
    expect(() => scripted(['ok'], { time: 1 } as object)).toThrow('unknown option "time"')
    expect(() => scripted(['ok'], { clock: Date } as object)).toThrow('clock must be a clock')
  })
})
