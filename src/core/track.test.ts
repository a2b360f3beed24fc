import { describe, expect, it } from 'vitest'
import { caught, hangs } from '../../test/support/calls.ts'
import { clock, engineOf, step } from '../../test/support/steps.ts'
import { Engine } from './engine.ts'
import type { HoldfastEvent } from './events.ts'
import { Gate } from './gate.ts'
import { Histogram } from './histogram.ts'
import type { CallView, Step } from './step.ts'

const down = new Error('down')

/** A step that is listened to: what it tells of calls. */
function observed(name: string, parts: Partial<Step> = {}): Step & { heard: HoldfastEvent[] } {
  const one = step(name, parts)
  one.gate.watch(true)
  const heard: HoldfastEvent[] = []
  one.emitter.subscribe((event) => heard.push(event))
  return Object.assign(one, { heard })
}

const exact = (...steps: Step[]): Engine => new Engine('stack', steps, clock, true)

describe('a Track', () => {
  it('tells of each call once, by its outermost step', async () => {
    const [outer, inner] = [observed('outer'), observed('inner')]
    const engine = exact(outer, inner)

    await engine.execute(() => clock.advance(15))
    await engine.execute(() => Promise.reject(down)).catch(() => undefined)

    const told = { type: 'call', policy: 'outer', pipeline: 'stack', at: clock.now(), attempts: 1 }
    expect(outer.heard).toEqual([
      { ...told, ending: 'succeeded', duration: 15 },
      { ...told, ending: 'failed', duration: 0, error: down },
    ])
    expect(inner.heard).toEqual([])
  })

  it('tells what the caller got although it never began', async () => {
    const one = observed('one')
    const engine = exact(one)

    await caught(engine.execute(hangs, { signal: AbortSignal.abort('no') }))
    await caught(engine.execute(hangs, { deadline: clock.now() }))
    await caught(engine.execute(hangs, { deadline: 'soon' } as never))

    expect(one.heard).toMatchObject([
      { type: 'call', ending: 'aborted', attempts: 0, duration: 0, error: 'no' },
      { type: 'call', ending: 'timedOut', attempts: 0, error: { code: 'ERR_TIMEOUT' } },
      { type: 'call', ending: 'failed', attempts: 0, error: { name: 'TypeError' } },
    ])
  })

  it('measures the time in each step that wants it', async () => {
    const again = step('again', {
      latency: new Histogram(),
      react: ({ ending }) => (ending === 'failed' ? { kind: 'again', delay: 10 } : undefined),
    })
    const inner = step('inner', { latency: new Histogram() })
    const unmeasured = step('unmeasured')
    for (const { gate } of [again, inner]) gate.watch(true)
    let calls = 0

    const call = exact(again, unmeasured, inner).execute(async () => {
      if (++calls === 1) throw down
      return 'second'
    })
    await clock.advance(10)
    await call

    expect(again.latency?.stats()).toMatchObject({ count: 1, max: 10 })
    expect(inner.latency?.stats()).toMatchObject({ count: 2, max: 0 })
  })

  it('does not read the clock for calls that nobody times', async () => {
    let reads = 0
    const counting = { ...clock, now: () => ++reads }
    const engine = new Engine('stack', [step('one', { clock: counting })], counting, false)

    await engine.execute(() => 'answer')

    expect(reads).toBe(0)
  })

  it('begins to read it when somebody starts to look', async () => {
    const one = observed('one')
    const engine = engineOf(one)
    await engine.execute(() => clock.advance(20))
    expect(one.heard).toMatchObject([{ duration: 0 }])

    engine.measureExactly()
    await engine.execute(() => clock.advance(20))

    expect(one.heard).toMatchObject([{ duration: 0 }, { duration: 20 }])
  })

  it('never measures less than nothing, whatever the clock does', async () => {
    const times = [50, 40, 30, 20, 10]
    const falling = { ...clock, now: () => times.shift() ?? 0 }
    const one = observed('one', { clock: falling })
    let seen: CallView | undefined
    const asking = step('asking', {
      clock: falling,
      gate: new Gate(0),
      admit(call) {
        seen = call
        asking.gate.running++
        return undefined
      },
    })
    const engine = new Engine('stack', [one, asking], falling, true)

    await engine.execute(() => expect(seen?.elapsed()).toBe(0))

    expect(one.heard).toMatchObject([{ duration: 0 }])
  })

  it('shows a step what it may know of a call', async () => {
    const seen: unknown[] = []
    const asking = step('asking', {
      usesTime: true,
      gate: new Gate(0),
      admit(call) {
        seen.push([call.pipeline, call.args, call.priority, call.calls, call.elapsed()])
        seen.push(call.deadline - clock.now())
        asking.gate.running++
        return undefined
      },
    })
    const engine = engineOf(step('outer', { duration: 70 }), asking)

    await engine.execute(() => 'first', { priority: 3 }, ['argument'])
    await engine.execute(() => 'second', { deadline: clock.now() + 40 })

    expect(seen).toEqual([['stack', ['argument'], 3, 0, 0], 70, ['stack', [], undefined, 0, 0], 40])
  })
})
