import { describe, expect, it } from 'vitest'
import { hangs, quiet, rejection, watch } from '../../test/support/calls.ts'
import { clock, counts, engineOf, step, witness } from '../../test/support/steps.ts'
import { TurningClock } from '../../test/support/turning-clock.ts'
import { seededRandom } from '../testing/seeded-random.ts'
import { type Deferred, deferred } from './deferred.ts'
import { Engine } from './engine.ts'
import { CircuitOpenError, ResilienceError, TimeoutError } from './errors.ts'
import type { HoldfastEvent } from './events.ts'
import { beginEra, Gate } from './gate.ts'
import type { Context, Operation } from './policy.ts'
import type { Exit, Permit, Step } from './step.ts'

const down = new Error('down')
describe('a call through an Engine', () => {
  it('takes a place at every gate on its way in, and gives it back on its way out', async () => {
    const steps = [step('outer'), step('inner')]
    const work = deferred<string>()

    const call = engineOf(...steps).execute(() => work.promise)
    expect(steps.map(({ gate }) => gate.running)).toEqual([1, 1])
    work.resolve('answer')

    expect(await call).toBe('answer')
    expect(steps.map(counts)).toEqual([
      [0, 1, 0, 0, 0, 0],
      [0, 1, 0, 0, 0, 0],
    ])
  })

  it('is made at once, before execute returns', () => {
    let called = false

    engineOf(step('one')).execute(() => {
      called = true
    })

    expect(called).toBe(true)
  })

  it('passes where there are no steps at all', async () => {
    const engine = engineOf()

    expect(await engine.execute(() => 'answer')).toBe('answer')
    expect(await rejection(engine.execute(() => Promise.reject(down)))).toBe(down)
    expect(await rejection(engine.execute(hangs, { signal: AbortSignal.abort('no') }))).toBe('no')
  })

  it('names a promise in place of a function', async () => {
    const error = await rejection(engineOf().execute(Promise.resolve() as never))

    expect((error as Error).message).toBe(
      '"stack": execute needs a function, but was given a promise',
    )
  })

  it.each([undefined, null, 'text', {}])(
    'is refused when there is no function but %o',
    async (it_) => {
      const one = step('one')

      const error = await rejection(engineOf(one).execute(it_ as never))

      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toContain('"stack": execute needs a function, but was given')
      expect(counts(one)).toEqual([0, 0, 0, 0, 0, 0])
    },
  )

  it.each([
    [{ signal: {} }, 'signal must be an AbortSignal, but was an object'],
    [{ signal: null }, 'signal must be an AbortSignal, but was null'],
    [{ signal: 'abort' }, 'signal must be an AbortSignal, but was "abort"'],
    [{ deadline: '5' }, 'deadline must be a number, but was "5"'],
    [{ deadline: Number.NaN }, 'deadline must be a number, but was NaN'],
    [{ deadline: null }, 'deadline must be a number, but was null'],
  ])('is refused with %o', async (options, message) => {
    const one = step('one')
    let called = false

    const error = await rejection(
      engineOf(one).execute(() => {
        called = true
      }, options as never),
    )

    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toBe(`"stack": ${message}`)
    expect(called).toBe(false)
    expect(counts(one)).toEqual([0, 0, 1, 0, 0, 0])
  })

  it('is not made when its signal has aborted already', async () => {
    const one = step('one')
    const reason = { changed: 'my mind' }

    const error = await rejection(
      engineOf(one).execute(hangs, { signal: AbortSignal.abort(reason) }),
    )

    expect(error).toBe(reason)
    expect(counts(one)).toEqual([0, 0, 0, 0, 0, 1])
  })

  it('is not made when its deadline is now or was before', async () => {
    const one = step('one')
    const past = clock.now() - 5

    for (const deadline of [clock.now(), past, Number.NEGATIVE_INFINITY]) {
      const error = await rejection(engineOf(one).execute(hangs, { deadline }))
      expect(error).toBeInstanceOf(TimeoutError)
      expect(error).toMatchObject({ policy: 'stack', duration: 0 })
      expect((error as Error).message).toBe(
        'timeout "stack": deadline reached, no answer within 0 ms; not called',
      )
    }

    expect(counts(one)).toEqual([0, 0, 0, 3, 0, 0])
  })

  it('ends at its deadline, with the time that it was given', async () => {
    const one = step('one')
    const call = rejection(engineOf(one).execute(hangs, { deadline: clock.now() + 79.6 }))

    await clock.advance(79)
    expect(counts(one)[0]).toBe(1)
    await clock.advance(1)

    const error = await call
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', policy: 'stack', duration: 80 })
    expect(counts(one)).toEqual([0, 0, 0, 1, 0, 0])
    expect(clock.timers).toEqual([])
  })

  it('gives an answer that is already there one turn to come before its deadline', async () => {
    const turning = new TurningClock()
    const one = step('one', { clock: turning })
    const engine = new Engine('stack', [one], turning, false)
    const works = [deferred<string>(), deferred<string>(), deferred<string>()]

    const [early, late] = works
      .slice(0, 2)
      .map(({ promise }) => watch(engine.execute(() => promise, { deadline: 100 })))
    turning.endTurn()
    turning.block(500)
    await turning.virtual.advance(100)
    works[0]?.resolve('in time')
    await quiet()
    // The place of the call that has ended is taken again before the turn is over.
    const next = watch(engine.execute(() => (works[2] as Deferred<string>).promise))
    turning.endTurn()
    await quiet()

    expect(early).toMatchObject({ status: 'fulfilled', value: 'in time' })
    expect(late).toMatchObject({ status: 'rejected', reason: { code: 'ERR_TIMEOUT' } })
    expect(next.status).toBe('pending')
    expect(counts(one)).toEqual([1, 1, 0, 1, 0, 0])
  })

  it('has no timer for a deadline that never comes', () => {
    engineOf(step('one')).execute(hangs, { deadline: Number.POSITIVE_INFINITY })

    expect(clock.timers).toEqual([])
  })

  it('ends at once when its function aborts its own caller, and lets go of everything', async () => {
    const log: unknown[][] = []
    const controller = new AbortController()
    const work = deferred<never>()
    const one = witness('one', log, { followsWork: true })

    const call = engineOf(one).execute(
      () => {
        controller.abort('enough')
        return work.promise
      },
      { signal: controller.signal },
    )

    expect(await rejection(call)).toBe('enough')
    expect(log).toMatchObject([['one', 'aborted', 'enough', { stray: true }]])
    work.reject(down)
    await quiet()
  })

  it('gives a step no say over what its caller decides: an abort, a deadline', async () => {
    let asked = 0
    const decides = step('decides', {
      react: () => {
        asked++
        return { kind: 'again', delay: 0 }
      },
    })
    const controller = new AbortController()
    const engine = engineOf(decides, step('inner'))

    const call = engine.execute(hangs, { signal: controller.signal })
    controller.abort('enough')
    expect(await rejection(call)).toBe('enough')
    const late = rejection(engine.execute(hangs, { deadline: clock.now() + 5 }))
    await clock.advance(5)

    expect(await late).toBeInstanceOf(TimeoutError)
    expect(asked).toBe(0)
  })
})

describe('a step', () => {
  it('is not told of plain successes unless its gate asks', async () => {
    const log: unknown[][] = []
    const silent = witness('silent', log)
    silent.gate.ask(false)

    const engine = engineOf(witness('asking', log), silent)

    await engine.execute(() => 'answer')
    await engine.execute(() => Promise.reject(down)).catch(quiet)

    expect(log.map(([name, ending]) => [name, ending])).toEqual([
      ['asking', 'succeeded'],
      ['silent', 'failed'],
      ['asking', 'failed'],
    ])
  })

  it('is told from the innermost outwards', async () => {
    const log: unknown[][] = []

    await engineOf(...['a', 'b', 'c'].map((name) => witness(name, log)))
      .execute(() => Promise.reject(down))
      .catch(quiet)

    expect(log.map(([name, , error]) => [name, error])).toEqual([
      ['c', down],
      ['b', down],
      ['a', down],
    ])
  })

  it('may settle a plain success in short, or say that it needs the long way', async () => {
    const log: unknown[][] = []
    const seen: unknown[] = []
    let short = true
    const one = witness('one', log, {
      passed(value) {
        seen.push(value)
        if (short) one.gate.running--
        return short
      },
    })
    const engine = engineOf(one)

    await engine.execute(() => 'first')
    expect(log).toEqual([])
    short = false
    await engine.execute(() => 'second')

    expect(seen).toEqual(['first', 'second'])
    expect(log.map(([, ending]) => ending)).toEqual(['succeeded'])
    expect(counts(one)).toEqual([0, 2, 0, 0, 0, 0])
  })

  it('is asked to admit only when its gate is full', async () => {
    let asked = 0
    const one = step('one', {
      gate: new Gate(1),
      admit() {
        asked++
        one.gate.running++
        return undefined
      },
    })
    const engine = engineOf(one)

    const first = engine.execute(() => quiet())
    expect(asked).toBe(0)
    await Promise.all([first, engine.execute(() => 'second')])

    expect(asked).toBe(1)
    expect(counts(one)).toEqual([0, 2, 0, 0, 0, 0])
  })

  it('gets its permit back when the call leaves', async () => {
    const log: unknown[][] = []
    const permit: Permit = { kind: 'permit' }
    const one: Step = witness('one', log, {
      gate: new Gate(0),
      admit() {
        one.gate.running++
        return permit
      },
    })

    await engineOf(step('outer'), one, step('inner')).execute(() => 'answer')

    expect(log).toMatchObject([['one', 'succeeded', { permit }]])
  })

  it('that refuses keeps the function from being called, and counts a rejection', async () => {
    const refusal = new CircuitOpenError('one', 'open', 5, '')
    const one = step('one', { gate: new Gate(0), admit: () => refusal })
    const log: unknown[][] = []
    const outer = witness('outer', log)
    const inner = step('inner')
    const heard: HoldfastEvent[] = []
    one.emitter.subscribe((event) => heard.push(event))
    let called = false

    const call = engineOf(outer, one, inner).execute(() => {
      called = true
    })

    expect(await rejection(call)).toBe(refusal)
    expect(called).toBe(false)
    expect(log).toMatchObject([['outer', 'rejected', refusal, {}]])
    expect([outer, one, inner].map(counts)).toEqual([
      [0, 0, 0, 0, 1, 0],
      [0, 0, 0, 0, 1, 0],
      [0, 0, 0, 0, 0, 0],
    ])
    expect(heard).toEqual([
      { type: 'reject', policy: 'one', pipeline: 'stack', at: clock.now(), error: refusal },
    ])
  })

  it.each([new Error('a broken clock'), 'a broken clock'])(
    'that breaks while it is asked refuses the call: %o',
    async (thrown) => {
      const one = step('one', {
        gate: new Gate(0),
        admit() {
          throw thrown
        },
      })

      const error = await rejection(engineOf(step('outer'), one).execute(hangs))

      if (thrown instanceof Error) expect(error).toBe(thrown)
      else {
        expect(error).toBeInstanceOf(TypeError)
        expect(error).toMatchObject({ message: '"one": admission failed', cause: thrown })
      }
      expect(counts(one)).toEqual([0, 0, 0, 0, 1, 0])
    },
  )

  it('of an earlier era is late: told so, and not counted out of the new one', async () => {
    const log: unknown[][] = []
    const one = witness('one', log)
    const work = deferred<string>()

    const call = engineOf(one).execute(() => work.promise)
    beginEra(one.gate)
    work.resolve('late')

    expect(await call).toBe('late')
    expect(log).toMatchObject([['one', 'succeeded', { late: true }]])
    expect(one.gate.running).toBe(0)
  })

  it('is told when a call began that it wants to time', async () => {
    const log: unknown[][] = []
    const began = clock.now()

    await engineOf(witness('one', log, { usesTime: true })).execute(() => clock.advance(12))

    expect(log).toMatchObject([['one', 'succeeded', { since: began }]])
  })

  it('is told of work that goes on, when it follows the work, and when that has ended', async () => {
    const log: string[] = []
    const works: Deferred<string>[] = [deferred(), deferred()]
    const gate = new Gate()
    gate.ask(true)
    const slots = step('slots', {
      gate,
      followsWork: true,
      leave(_outcome, { work }: Exit) {
        gate.running--
        log.push(work === undefined ? 'free' : 'held')
        work?.whenEnded(() => log.push('ended'))
      },
    })
    const controller = new AbortController()
    const engine = engineOf(slots)

    const call = engine.execute(() => (works[0] as Deferred<string>).promise, {
      signal: controller.signal,
    })
    controller.abort('gone')
    await rejection(call)
    expect(log).toEqual(['held'])
    works[0]?.resolve('at last')
    await quiet()
    expect(log).toEqual(['held', 'ended'])
    const second = engine.execute(() => (works[1] as Deferred<string>).promise)
    works[1]?.resolve('in time')
    await second

    expect(log).toEqual(['held', 'ended', 'free'])
  })
})

describe('a deciding step', () => {
  it('has everything inside it run again, after a pause and what comes before', async () => {
    const log: unknown[][] = []
    const seen: string[] = []
    const again = step('again', {
      react({ ending }, { memo }) {
        seen.push(`${ending} ${String(memo)}`)
        const before = (): number => seen.push('before')
        return ending === 'failed' ? { kind: 'again', delay: 30, before } : undefined
      },
    })
    const engine = engineOf(again, witness('inner', log))
    let calls = 0

    const call = engine.execute(({ attempt }) => {
      seen.push(`attempt ${attempt}`)
      if (++calls < 3) throw down
      return 'third'
    })
    await clock.advance(29)
    expect(calls).toBe(1)
    await clock.advance(31)

    expect(await call).toBe('third')
    const once = ['failed undefined', 'before']
    expect(seen).toEqual([
      'attempt 1',
      ...once,
      'attempt 2',
      ...once,
      'attempt 3',
      'succeeded undefined',
    ])
    expect(log.map(([, ending]) => ending)).toEqual(['failed', 'failed', 'succeeded'])
    expect(counts(again)).toEqual([0, 1, 0, 0, 0, 0])
  })

  it('remembers between its reactions to one call, and forgets with it', async () => {
    const memos: unknown[] = []
    const remembering = step('remembering', {
      react(_outcome, visit) {
        memos.push(visit.memo)
        visit.memo = ((visit.memo as number | undefined) ?? 0) + 1
        return visit.memo === 3 ? undefined : { kind: 'again', delay: 0 }
      },
    })
    remembering.gate.ask(true)
    const engine = engineOf(remembering)

    await engine.execute(() => 'one')
    await Promise.all([engine.execute(() => 'two'), engine.execute(() => 'three')])

    expect(memos).toEqual([undefined, 1, 2, undefined, undefined, 1, 1, 2, 2])
  })

  it('puts another error in the place of the outcome', async () => {
    const other = new Error('other')
    const log: unknown[][] = []
    const failing = step('failing', { react: () => ({ kind: 'fail', error: other }) })

    const call = engineOf(witness('outer', log), failing).execute(() => Promise.reject(down))

    expect(await rejection(call)).toBe(other)
    expect(log).toMatchObject([['outer', 'failed', other, {}]])
  })

  it('has something else answer, and is asked about that as well', async () => {
    const endings: string[] = []
    const log: unknown[][] = []
    const contexts: Context[] = []
    const alternative = step('alternative', {
      react({ ending }) {
        endings.push(ending)
        if (ending === 'succeeded' || endings.length > 2) return undefined
        const run = async (context: Context): Promise<string> => {
          contexts.push(context)
          if (contexts.length === 1) throw new Error('no luck')
          return 'instead'
        }
        return { kind: 'instead', source: 'elsewhere', run }
      },
    })
    const inner = witness('inner', log)

    const answer = await engineOf(alternative, inner).execute(
      () => Promise.reject(down),
      undefined,
      ['argument'],
    )

    expect(answer).toBe('instead')
    expect(endings).toEqual(['failed', 'failed', 'succeeded'])
    expect(log).toHaveLength(1)
    expect(contexts.map(({ args, attempt }) => [args, attempt])).toEqual([
      [['argument'], 1],
      [['argument'], 1],
    ])
  })

  it('can be told of a refusal inside it, a thousand times without a pause', async () => {
    let refusals = 0
    const refusing = step('refusing', {
      gate: new Gate(0),
      admit() {
        refusals++
        return new CircuitOpenError('refusing', 'open', 5, '')
      },
    })
    const again = step('again', {
      react: () => (refusals < 10_000 ? { kind: 'again', delay: 0 } : undefined),
    })

    const error = await rejection(engineOf(again, refusing).execute(() => 'unreached'))

    expect(error).toBeInstanceOf(CircuitOpenError)
    expect(refusals).toBe(10_000)
  })
})

describe('flights', () => {
  it('are used again, and a late answer of one call never reaches another', async () => {
    const random = seededRandom('flights')
    const limited = step('limited', { duration: 10 })
    const deciding = step('deciding', { react: () => undefined })
    for (const engine of [engineOf(limited), engineOf(deciding, limited), engineOf(step('one'))]) {
      const works: Deferred<string>[] = []
      const seen: Promise<void>[] = []
      const told: string[] = []
      for (let call = 0; call < 500; call++) {
        const work = deferred<string>()
        works.push(work)
        const controller = new AbortController()
        const signal = random() < 0.5 ? controller.signal : undefined
        const answer = engine.execute(() => work.promise, { signal })
        const now = random()
        if (now < 0.3) controller.abort(`abort ${call}`)
        else if (now < 0.6) work.resolve(`answer ${call}`)
        seen.push(
          answer.then(
            (value) => void told.push(`${String(value)} to ${call}`),
            (error: unknown) => {
              if (!(error instanceof TimeoutError)) told.push(`${String(error)} to ${call}`)
            },
          ),
        )
        if (random() < 0.1) await clock.advance(3)
        const old = random.integer(0, call)
        const how = random()
        if (how < 0.3) works[old]?.resolve(`late answer ${old}`)
        else if (how < 0.5) works[old]?.reject(`late error ${old}`)
      }
      for (const [call, work] of works.entries()) work.resolve(`last answer ${call}`)
      await clock.advance(10)
      await Promise.all(seen)

      expect(told.length).toBeGreaterThan(200)
      for (const line of told) expect(line).toMatch(/(\d+) to \1$/)
      expect(clock.timers).toEqual([])
    }
    expect(limited.gate.running).toBe(0)
  })

  it('serve ten thousand calls at a time, each with its own limit', async () => {
    const limited = step('limited', { duration: 50 })
    const engine = engineOf(limited)
    const works = Array.from({ length: 10_000 }, () => deferred<number>())

    const calls = works.map(({ promise }) => engine.execute(() => promise))
    expect(limited.gate.running).toBe(10_000)
    works.forEach((work, index) => {
      if (index % 2 === 0) work.resolve(index)
    })
    const results = Promise.allSettled(calls)
    await clock.advance(50)

    const settled = await results
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(5_000)
    expect(settled[4_242]).toEqual({ status: 'fulfilled', value: 4_242 })
    expect(settled[4_243]).toMatchObject({ reason: { code: 'ERR_TIMEOUT' } })
    expect(counts(limited)).toEqual([0, 5_000, 0, 5_000, 0, 0])
    for (const [index, work] of works.entries()) if (index % 2 === 1) work.resolve(index)
    await quiet()
    expect(await engine.execute(() => 'afterwards')).toBe('afterwards')
  })

  it('keep nothing of a call that has ended', async () => {
    const engine = engineOf(step('one'))
    const seen: Context[] = []
    const keep: Operation<string> = (context) => {
      seen.push(context)
      return 'answer'
    }

    await engine.execute(keep, { signal: new AbortController().signal }, ['first'])
    await engine.execute(keep, undefined, ['second'])

    expect(seen[0]).not.toBe(seen[1])
    expect(seen.map(({ args }) => args)).toEqual([['first'], ['second']])
    expect(seen[0]?.signal).not.toBe(seen[1]?.signal)
  })
})

describe('what a call rejects with', () => {
  it('is ours only when it says so', async () => {
    const engine = engineOf(step('one'))

    expect(await rejection(engine.execute(() => Promise.reject(null)))).toBe(null)
    expect(await rejection(engine.execute(hangs, { deadline: -1 }))).toBeInstanceOf(ResilienceError)
  })
})
