import { describe, expect, it } from 'vitest'
import { caught, hangs, gate as hold, quiet, rejection } from '../../test/support/calls.ts'
import { clock, counts, engineOf, step, witness } from '../../test/support/steps.ts'
import { TurningClock } from '../../test/support/turning-clock.ts'
import { Engine } from './engine.ts'
import { BulkheadFullError, type ResilienceError, TimeoutError } from './errors.ts'
import type { HoldfastEvent } from './events.ts'
import { Gate } from './gate.ts'
import type { Context } from './policy.ts'
import type { Step } from './step.ts'

const down = new Error('down')
const facts = { running: 1, queued: 0, maxConcurrent: 1, maxQueue: 0, waited: 5 }

/** A step in front of which everybody stands in line, until `serve` is called. */
interface Line extends Step {
  serve(refusal?: ResilienceError): void
  readonly left: string[]
}

function line(name: string, parts: Partial<Step> = {}): Line {
  let done: ((refusal?: ResilienceError) => void) | undefined
  const left: string[] = []
  const one: Step = step(name, {
    gate: new Gate(0),
    admit: () => ({
      kind: 'waiting',
      begin(served) {
        done = served
      },
      cancel() {
        left.push(name)
      },
    }),
    ...parts,
  })
  return Object.assign(one, {
    left,
    serve(refusal?: ResilienceError) {
      if (refusal === undefined) one.gate.running++
      done?.(refusal)
    },
  })
}

describe('a call in line', () => {
  it('goes on inwards when it is served', async () => {
    const [outer, slots, inner] = [step('outer'), line('slots'), step('inner')]
    let called = 0

    const call = engineOf(outer, slots, inner).execute(() => `call ${++called}`)
    await quiet()
    expect([called, outer.gate.running, inner.gate.running]).toEqual([0, 1, 0])
    slots.serve()

    expect(await call).toBe('call 1')
    for (const one of [outer, slots, inner]) expect(counts(one)).toEqual([0, 1, 0, 0, 0, 0])
  })

  it('is refused when its wait was in vain', async () => {
    const [outer, slots, inner] = [step('outer'), line('slots'), step('inner')]
    const full = new BulkheadFullError('slots', facts)

    const call = engineOf(outer, slots, inner).execute(() => expect.fail('called'))
    slots.serve(full)

    expect(await rejection(call)).toBe(full)
    expect([outer, slots, inner].map((one) => counts(one)[4])).toEqual([1, 1, 0])
    expect(inner.gate.running).toBe(0)
  })

  it('leaves it at once when its caller aborts, and counts as one that did', async () => {
    const [outer, slots, inner] = [step('outer'), line('slots'), step('inner')]
    const controller = new AbortController()

    const call = rejection(
      engineOf(outer, slots, inner).execute(hangs, { signal: controller.signal }),
    )
    controller.abort('enough')
    expect(slots.left).toEqual(['slots'])

    expect(await call).toBe('enough')
    expect(counts(outer)).toEqual([0, 0, 0, 0, 0, 1])
    expect(counts(slots)).toEqual([0, 0, 0, 0, 0, 1])
    expect(counts(inner)).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('leaves it when a limit around it ends', async () => {
    const [outer, slots] = [step('outer', { duration: 20 }), line('slots')]

    const call = rejection(engineOf(outer, slots).execute(hangs))
    await clock.advance(20)

    expect(await call).toMatchObject({ policy: 'outer', duration: 20 })
    expect(slots.left).toEqual(['slots'])
    expect(counts(slots)).toEqual([0, 0, 0, 1, 0, 0])
  })

  it('leaves it when its caller aborts while it is being put there', async () => {
    const controller = new AbortController()
    const left: string[] = []
    const rash = step('rash', {
      gate: new Gate(0),
      admit: () => ({
        kind: 'waiting',
        begin: () => controller.abort('rash'),
        cancel: () => left.push('rash'),
      }),
    })

    const call = engineOf(rash).execute(hangs, { signal: controller.signal })

    expect(await rejection(call)).toBe('rash')
    // Leaving twice is harmless.
    expect(left).toContain('rash')
    expect(rash.gate.running).toBe(0)
  })

  it('is told its time in line apart from its time inside', async () => {
    const log: unknown[][] = []
    const slots = line('slots', { usesTime: true })
    const gate = slots.gate
    const timing = Object.assign(slots, {
      leave: (_outcome: unknown, exit: { since: number }) => {
        gate.running--
        log.push([exit.since])
      },
    })
    const began = clock.now()

    const call = engineOf(timing).execute(() => Promise.reject(down))
    await clock.advance(30)
    slots.serve()
    await caught(call)

    expect(log).toEqual([[began + 30]])
  })
})

describe('a call whose caller aborts while a step is asked', () => {
  const full = new BulkheadFullError('rash', facts)

  it.each([
    ['lets it in', undefined],
    ['refuses it', full],
  ])('is aborted, whether the step %s', async (_what, admission) => {
    const controller = new AbortController()
    const [outer, inner] = [step('outer'), step('inner')]
    const rash = step('rash', {
      gate: new Gate(0),
      admit() {
        controller.abort('rash')
        if (admission === undefined) rash.gate.running++
        return admission
      },
    })

    const call = engineOf(outer, rash, inner).execute(() => expect.fail('called'), {
      signal: controller.signal,
    })

    expect(await rejection(call)).toBe('rash')
    expect(counts(outer)).toEqual([0, 0, 0, 0, 0, 1])
    expect(rash.gate.running).toBe(0)
    expect(rash.gate.rejected).toBe(0)
    expect(counts(inner)).toEqual([0, 0, 0, 0, 0, inner.gate.aborted])
  })

  it('is aborted when that happens before another attempt as well', async () => {
    const controller = new AbortController()
    let asked = 0
    const [outer, inner] = [step('outer'), step('inner')]
    const rash = step('rash', {
      gate: new Gate(0),
      admit() {
        if (++asked === 2) {
          controller.abort('rash')
          return full
        }
        rash.gate.running++
        return undefined
      },
    })
    const again = step('again', {
      react: ({ ending }) => (ending === 'failed' ? { kind: 'again', delay: 0 } : undefined),
    })

    const call = engineOf(outer, again, rash, inner).execute(() => Promise.reject(down), {
      signal: controller.signal,
    })

    expect(await rejection(call)).toBe('rash')
    expect([outer, again, rash, inner].map(({ gate }) => gate.running)).toEqual([0, 0, 0, 0])
    expect(counts(outer)).toEqual([0, 0, 0, 0, 0, 1])
    expect(rash.gate.rejected).toBe(0)
  })
})

describe('a call that pauses', () => {
  const patient = (): Step => {
    const one = step('patient', {
      react: ({ ending }) => (ending === 'failed' ? { kind: 'again', delay: 100 } : undefined),
    })
    return one
  }

  it('ends at once when its caller aborts, without another attempt and without a timer', async () => {
    const one = patient()
    const controller = new AbortController()
    let calls = 0
    const fails = async (): Promise<never> => {
      calls++
      throw down
    }

    const call = rejection(engineOf(one).execute(fails, { signal: controller.signal }))
    await clock.advance(50)
    expect(clock.timers).toHaveLength(1)
    controller.abort('enough')
    expect(clock.timers).toEqual([])

    expect(await call).toBe('enough')
    await clock.advance(500)
    expect(calls).toBe(1)
    expect(counts(one)).toEqual([0, 0, 0, 0, 0, 1])
  })

  it('is ended by a limit around it', async () => {
    const [total, one] = [step('total', { duration: 150 }), patient()]

    const call = rejection(engineOf(total, one).execute(() => Promise.reject(down)))
    await clock.advance(149)
    expect(total.gate.running).toBe(1)
    await clock.advance(1)

    expect(await call).toMatchObject({ policy: 'total' })
    expect([counts(total), counts(one)]).toEqual([
      [0, 0, 0, 1, 0, 0],
      [0, 0, 0, 1, 0, 0],
    ])
    expect(clock.timers).toEqual([])
  })

  it('is not begun when its caller aborts while the pause is being decided', async () => {
    const controller = new AbortController()
    const rash = step('rash', {
      react() {
        controller.abort('rash')
        return { kind: 'again', delay: 100 }
      },
    })

    const call = engineOf(rash).execute(() => Promise.reject(down), { signal: controller.signal })

    expect(await rejection(call)).toBe('rash')
    expect(clock.timers).toEqual([])
  })

  it('is not called again when its caller aborts just before', async () => {
    const controller = new AbortController()
    let calls = 0
    const rash = step('rash', {
      react: () => ({ kind: 'again', delay: 0, before: () => controller.abort('rash') }),
    })

    const call = engineOf(rash, step('inner')).execute(
      async () => {
        calls++
        throw down
      },
      { signal: controller.signal },
    )

    expect(await rejection(call)).toBe('rash')
    expect(calls).toBe(1)
    expect(counts(rash)).toEqual([0, 0, 0, 0, 0, 1])
  })

  it('lets the loop breathe now and then, however often it is called without a pause', async () => {
    const turning = new TurningClock()
    const endless = step('endless', {
      clock: turning,
      react: ({ ending }) => (ending === 'failed' ? { kind: 'again', delay: 0 } : undefined),
    })
    let calls = 0
    const call = new Engine('stack', [endless], turning, false).execute(async () => {
      if (++calls < 200) throw down
      return 'at last'
    })

    const seen: number[] = []
    for (let turn = 0; turn < 4; turn++) {
      await quiet()
      seen.push(calls)
      turning.endTurn()
    }

    expect(seen).toEqual([64, 128, 192, 200])
    expect(await call).toBe('at last')
  })

  it('gives each attempt a limit of its own', async () => {
    const each = step('each', { duration: 40 })
    const signals: AbortSignal[] = []
    const deadlines: number[] = []
    const again = step('again', {
      react: ({ ending }) => (ending === 'timedOut' ? { kind: 'again', delay: 10 } : undefined),
    })
    const began = clock.now()

    const call = engineOf(again, each).execute(({ signal, deadline }) => {
      signals.push(signal)
      deadlines.push(deadline)
      return signals.length < 3 ? hangs() : 'third'
    })
    await clock.advance(100)

    expect(await call).toBe('third')
    expect(deadlines).toEqual([began + 40, began + 90, began + 140])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false])
    expect(counts(each)).toEqual([0, 1, 0, 2, 0, 0])
  })
})

describe('a limit that ends', () => {
  it('is told to the function by its signal, with the very error that the caller gets', async () => {
    const one = step('one', { duration: 30 })
    let context: Context | undefined

    const call = rejection(
      engineOf(one).execute((given) => {
        context = given
        return hangs()
      }),
    )
    const early = context?.signal
    await clock.advance(30)

    const error = await call
    expect(error).toBeInstanceOf(TimeoutError)
    expect(early?.aborted).toBe(true)
    expect(early?.reason).toBe(error)
  })

  it('tells of itself, and of nothing that ended in time', async () => {
    const one = step('one', { duration: 30 })
    const heard: HoldfastEvent[] = []
    one.emitter.subscribe((event) => {
      if (event.type !== 'call') heard.push(event)
    })
    const engine = engineOf(one)

    await engine.execute(() => clock.advance(29))
    expect(heard).toEqual([])
    const call = caught(engine.execute(hangs))
    await clock.advance(30)
    await call

    expect(heard).toEqual([
      { type: 'timeout', policy: 'one', pipeline: 'stack', at: clock.now(), duration: 30 },
    ])
  })

  it('says something of the dependency to the steps that it cut short', async () => {
    const log: unknown[][] = []
    const [outer, total, inner] = [
      witness('outer', log),
      step('total', { duration: 30 }),
      witness('inner', log),
    ]

    const call = caught(engineOf(outer, total, inner).execute(hangs))
    await clock.advance(30)
    await call

    expect(log.map(([name, ending]) => [name, ending])).toEqual([
      ['inner', 'timedOut'],
      ['outer', 'timedOut'],
    ])
  })

  it('says nothing of it when it lies around a retry: the last attempt was just cut short', async () => {
    const log: unknown[][] = []
    const [total, again, inner] = [
      step('total', { duration: 30 }),
      step('again', { react: () => undefined }),
      witness('inner', log),
    ]

    const call = rejection(engineOf(total, again, inner).execute(hangs))
    await clock.advance(30)

    const error = await call
    expect(log).toMatchObject([['inner', 'aborted', error, {}]])
    expect([total, again, inner].map(counts)).toEqual([
      [0, 0, 0, 1, 0, 0],
      [0, 0, 0, 1, 0, 0],
      [0, 0, 0, 1, 0, 0],
    ])
  })

  it('comes too late when the caller has aborted in the same turn', async () => {
    const one = step('one', { duration: 30 })
    const controller = new AbortController()
    const call = rejection(engineOf(one).execute(hangs, { signal: controller.signal }))
    await clock.advance(29)
    clock.setTimer(() => controller.abort('first'), 1)

    await clock.advance(1)

    const error = await call
    expect(counts(one)[error === 'first' ? 5 : 3]).toBe(1)
    expect(counts(one).reduce((sum, count) => sum + count)).toBe(1)
  })
})

describe('an alternative', () => {
  const alternative = (run: (context: Context) => unknown): Step => {
    return step('alternative', {
      react: ({ ending }, visit) => {
        if (ending === 'succeeded' || visit.memo === 'tried') return undefined
        visit.memo = 'tried'
        return { kind: 'instead', source: 'elsewhere', run }
      },
    })
  }

  it('has a signal of its own, which its caller can abort', async () => {
    const controller = new AbortController()
    const signals: AbortSignal[] = []
    const one = alternative(({ signal }) => {
      signals.push(signal)
      return hangs()
    })

    const call = engineOf(one).execute(
      ({ signal }) => {
        signals.push(signal)
        throw down
      },
      { signal: controller.signal },
    )
    await quiet()
    controller.abort('enough')

    expect(await rejection(call)).toBe('enough')
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
  })

  it('may abort its own caller while it is being called', async () => {
    const controller = new AbortController()
    const one = alternative(() => {
      controller.abort('rash')
      return hangs()
    })

    const call = engineOf(one).execute(() => Promise.reject(down), { signal: controller.signal })

    expect(await rejection(call)).toBe('rash')
    expect(counts(one)).toEqual([0, 0, 0, 0, 0, 1])
  })

  it('that fails is one more failure', async () => {
    const worse = new Error('worse')

    const call = engineOf(alternative(() => Promise.reject(worse))).execute(() =>
      Promise.reject(down),
    )

    expect(await rejection(call)).toBe(worse)
  })

  it('holds the slots outside it until it has really ended', async () => {
    const held = hold()
    const log: unknown[][] = []
    const slots = witness('slots', log, { followsWork: true })
    const controller = new AbortController()
    const engine = engineOf(
      slots,
      alternative(() => held.promise),
    )

    const call = engine.execute(() => Promise.reject(down), { signal: controller.signal })
    await quiet()
    controller.abort('enough')
    await rejection(call)

    expect(log).toMatchObject([['slots', 'aborted', 'enough', { stray: true }]])
  })
})
