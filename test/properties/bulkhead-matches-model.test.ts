import fc from 'fast-check'
import {
  type Bulkhead,
  BulkheadFullError,
  bulkhead,
  type Pipeline,
  pipeline,
  TimeoutError,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

// Calls arrive at whole milliseconds. Each limit brings a fraction of its own, a power of two, so that
// sums are exact and no two different limits ever end at the same moment.
const fractions = { outer: 2 ** -16, maxWait: 2 ** -12, inner: 2 ** -8, abandonAfter: 2 ** -4 }

interface Options {
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** Of the time in line, of the whole call, of the work, and of the slot after its caller has gone. */
  readonly maxWait: number
  readonly outer: number
  readonly inner: number
  readonly abandonAfter: number
}

type Ending = 'ok' | 'failed' | 'aborted' | 'full' | 'waited' | 'outer' | 'inner'

interface ModelCall {
  readonly priority: number
  readonly arrivedAt: number
  /** Of the slot: not yet, with its caller waiting, without, or no more. */
  where: 'line' | 'running' | 'abandoned' | 'gone'
  startedAt: number
  leftAt: number
  ending: Ending | undefined
}

/** What the documentation says, as a list of calls that is searched for whatever comes next. */
class NaiveBulkhead {
  readonly calls: ModelCall[] = []
  readonly started: number[] = []
  readonly options: Options
  maxConcurrent: number
  now: number

  constructor(options: Options, now: number) {
    this.options = options
    this.maxConcurrent = options.maxConcurrent
    this.now = now
  }

  in(...places: ModelCall['where'][]): ModelCall[] {
    return this.calls.filter(({ where }) => places.includes(where))
  }

  arrive(priority: number): void {
    const call = { priority, arrivedAt: this.now, startedAt: 0, leftAt: 0, ending: undefined }
    const free = this.in('running', 'abandoned').length < this.maxConcurrent
    if (free || this.in('line').length < this.options.maxQueue) {
      this.calls.push({ ...call, where: 'line' })
      this.serve()
    } else this.calls.push({ ...call, where: 'gone', ending: 'full' })
  }

  serve(): void {
    const line = this.in('line').toSorted((a, b) => b.priority - a.priority)
    for (const call of line) {
      if (this.in('running', 'abandoned').length >= this.maxConcurrent) return
      call.where = 'running'
      call.startedAt = this.now
      this.started.push(this.calls.indexOf(call))
    }
  }

  /** The caller goes: out of the line at once, but the slot stays with the work. */
  leave(call: ModelCall, ending: Ending): void {
    call.ending = ending
    call.leftAt = this.now
    call.where = call.where === 'line' ? 'gone' : 'abandoned'
    this.serve()
  }

  endWork(call: ModelCall, ending: Ending): void {
    call.ending ??= ending
    call.where = 'gone'
    this.serve()
  }

  resize(maxConcurrent: number): void {
    this.maxConcurrent = maxConcurrent
    this.serve()
  }

  advance(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const next = this.calls.flatMap((call) => this.limits(call)).sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > end) break
      this.now = next.at
      if (next.ending === undefined) this.endWork(next.call, 'ok')
      else this.leave(next.call, next.ending)
    }
    this.now = end
  }

  limits(call: ModelCall): { at: number; call: ModelCall; ending?: Ending }[] {
    const { maxWait, outer, inner, abandonAfter } = this.options
    const { arrivedAt, startedAt, leftAt, where } = call
    if (where === 'gone') return []
    if (where === 'abandoned') return [{ at: leftAt + abandonAfter, call }]
    const whole = { at: arrivedAt + outer, call, ending: 'outer' as const }
    if (where === 'line') return [whole, { at: arrivedAt + maxWait, call, ending: 'waited' }]
    return [whole, { at: startedAt + inner, call, ending: 'inner' }]
  }
}

type Step =
  | ['start', number]
  | ['end' | 'end abandoned', number, 'ok' | 'failed']
  | ['abort', number]
  | ['advance', number]
  | ['resize', number]

interface Call {
  readonly work: Deferred<string>
  readonly controller: AbortController
  ending: { readonly value?: string; readonly error?: unknown } | undefined
}

const failure = new Error('down')
const changedMind = { changed: 'my mind' }

/** A bulkhead between two timeouts, and its model, driven through the same history. */
class Run {
  readonly clock: VirtualClock = virtualClock({ start: 1_000 })
  readonly options: Options
  readonly model: NaiveBulkhead
  readonly slots: Bulkhead
  readonly stack: Pipeline
  readonly calls: Call[] = []
  readonly started: number[] = []

  constructor(options: Options) {
    const { clock } = this
    const { outer, inner, ...rest } = options
    this.options = options
    this.model = new NaiveBulkhead(options, clock.now())
    this.slots = bulkhead({ name: 'slots', ...rest, clock })
    this.stack = pipeline(
      'stack',
      ...(Number.isFinite(outer) ? [timeout({ name: 'outer', duration: outer, clock })] : []),
      this.slots,
      ...(Number.isFinite(inner) ? [timeout({ name: 'inner', duration: inner, clock })] : []),
    )
  }

  async take(step: Step): Promise<void> {
    const { clock, model, calls } = this
    switch (step[0]) {
      case 'start':
        model.arrive(step[1])
        this.start(step[1])
        break
      case 'end':
      case 'end abandoned': {
        const where = step[0] === 'end' ? 'running' : 'abandoned'
        const call = pick(model.in(where), step[1])
        if (call === undefined) break
        model.endWork(call, step[2])
        const work = calls[model.calls.indexOf(call)]?.work
        if (step[2] === 'ok') work?.resolve('ok')
        else work?.reject(failure)
        break
      }
      case 'abort': {
        const call = pick(model.in('line', 'running'), step[1])
        if (call === undefined) break
        model.leave(call, 'aborted')
        calls[model.calls.indexOf(call)]?.controller.abort(changedMind)
        break
      }
      case 'advance':
        model.advance(step[1])
        await clock.advance(step[1])
        break
      case 'resize':
        model.resize(step[1])
        this.slots.resize(step[1])
    }
    await settled()
  }

  start(priority: number): void {
    const who = this.calls.length
    const call: Call = { work: deferred(), controller: new AbortController(), ending: undefined }
    this.calls.push(call)
    const operation = (): Promise<string> => {
      this.started.push(who)
      return call.work.promise
    }
    this.stack.execute(operation, { signal: call.controller.signal, priority }).then(
      (value) => {
        call.ending = { value }
      },
      (error: unknown) => {
        call.ending = { error }
      },
    )
  }

  agrees(): void {
    const { model, slots, calls } = this
    same(this.started.join(), model.started.join())
    for (const [who, predicted] of model.calls.entries()) {
      const ending = calls[who]?.ending
      if (predicted.ending === undefined) same(ending, undefined)
      else this.#endedAs(predicted.ending, ending)
    }
    const { running, queued, abandoned, inFlight, maxConcurrent } = slots.stats()
    same(running, model.in('running', 'abandoned').length)
    same(queued, model.in('line').length)
    same(abandoned, model.in('abandoned').length)
    same(inFlight, model.in('running', 'line').length)
    same(maxConcurrent, model.maxConcurrent)
  }

  /** All work ends: everybody has been answered, every slot is free, nothing is left behind. */
  async ends(): Promise<void> {
    const { model, clock, slots } = this
    while (model.in('running', 'line', 'abandoned').length > 0) {
      await this.take(['end', 0, 'ok'])
      await this.take(['end abandoned', 0, 'failed'])
    }
    this.agrees()
    expect([clock.pending, clock.timers.length]).toEqual([0, 0])
    const { calls, succeeded, failed, timedOut, rejected, aborted } = slots.stats()
    expect(calls).toBe(model.calls.length)
    expect(succeeded + failed + timedOut + rejected + aborted).toBe(calls)

    const before = this.started.length
    for (let fresh = 0; fresh < model.maxConcurrent + 1; fresh++) await this.take(['start', 0])
    expect(this.started.length - before).toBe(model.maxConcurrent)
  }

  #endedAs(predicted: Ending, ending: Call['ending']): void {
    const { maxWait, maxQueue, outer, inner } = this.options
    const error = ending?.error
    if (predicted === 'ok') same(ending?.value, 'ok')
    else if (predicted === 'failed') same(error, failure)
    else if (predicted === 'aborted') same(error, changedMind)
    else if (error instanceof TimeoutError) {
      same(error.policy, predicted)
      same(error.duration, predicted === 'outer' ? outer : inner)
    } else if (error instanceof BulkheadFullError) {
      same(error.policy, 'slots')
      same(error.waited, predicted === 'waited' ? maxWait : 0)
      same(error.maxQueue, maxQueue)
    } else expect(error).toBe(predicted)
  }
}

function pick<T>(items: readonly T[], choice: number): T | undefined {
  return items[choice % items.length]
}

const limit = (fraction: number, ...likely: number[]): fc.Arbitrary<number> =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...likely).map((ms) => ms + fraction) },
    { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
  )

const options: fc.Arbitrary<Options> = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 4 }),
  maxQueue: fc.integer({ min: 0, max: 5 }),
  maxWait: limit(fractions.maxWait, 0, 30, 100),
  outer: limit(fractions.outer, 20, 80, 150),
  inner: limit(fractions.inner, 10, 40, 120),
  abandonAfter: limit(fractions.abandonAfter, 0, 10, 60),
})

const priority = fc.oneof(fc.constant(0), fc.integer({ min: -10, max: 10 }))
const how = fc.constantFrom('ok' as const, 'failed' as const)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: fc.tuple(fc.constant('start' as const), priority) },
  { weight: 20, arbitrary: fc.tuple(fc.constant('end' as const), fc.nat(20), how) },
  { weight: 8, arbitrary: fc.tuple(fc.constant('end abandoned' as const), fc.nat(20), how) },
  { weight: 8, arbitrary: fc.tuple(fc.constant('abort' as const), fc.nat(20)) },
  {
    weight: 20,
    arbitrary: fc.tuple(fc.constant('advance' as const), fc.integer({ min: 1, max: 60 })),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant('resize' as const), fc.integer({ min: 1, max: 5 })),
  },
)

describe('a bulkhead', () => {
  it('does what its documentation says, whatever its history', async () => {
    await holds(
      fc.asyncProperty(options, fc.array(step, { maxLength: 40 }), async (chosen, history) => {
        const run = new Run(chosen)
        for (const one of history) {
          await run.take(one)
          run.agrees()
        }
        await run.ends()
      }),
    )
  }, 300_000)

  it('keeps its promises when grants, ends and aborts meet in one turn', async () => {
    const room = fc.record({
      maxConcurrent: fc.integer({ min: 1, max: 3 }),
      maxQueue: fc.constantFrom(0, 2, 100),
      maxWait: fc.constantFrom(5, 1_000),
      inner: fc.constantFrom(3, 1_000),
    })
    const move = fc.oneof(
      { weight: 10, arbitrary: fc.tuple(fc.constant('start' as const), priority) },
      { weight: 10, arbitrary: fc.tuple(fc.constant('end' as const), fc.nat(20)) },
      { weight: 4, arbitrary: fc.tuple(fc.constant('abort' as const), fc.nat(20)) },
      // A few reactions of promises, but not all of them.
      { weight: 12, arbitrary: fc.tuple(fc.constant('let go on' as const), fc.nat(6)) },
      { weight: 2, arbitrary: fc.tuple(fc.constant('advance' as const), fc.nat(5)) },
    )

    await holds(
      fc.asyncProperty(room, fc.array(move, { maxLength: 60 }), async (chosen, history) => {
        const clock = virtualClock()
        const { inner, ...rest } = chosen
        const slots = bulkhead({ ...rest, clock })
        const stack = pipeline('stack', slots, timeout({ duration: inner, clock }))
        const controllers: AbortController[] = []
        const running: Deferred<void>[] = []
        const answers: Promise<unknown>[] = []
        let inside = 0

        const start = (priority: number): void => {
          const controller = new AbortController()
          const { signal } = controller
          const work = deferred()
          let called = 0
          controllers.push(controller)
          const operation = async (): Promise<void> => {
            same(signal.aborted, false)
            same(++called, 1)
            running.push(work)
            same(++inside <= chosen.maxConcurrent, true)
            await work.promise
            inside--
          }
          const answer = stack.execute(operation, { signal, priority })
          answers.push(
            answer.catch((error: unknown) => {
              if (error === changedMind) return same(signal.aborted, true)
              if (error instanceof BulkheadFullError) return same(called, 0)
              same((error as TimeoutError).code, 'ERR_TIMEOUT')
            }),
          )
        }
        const end = (choice: number): void => {
          const work = pick(running, choice)
          if (work === undefined) return
          running.splice(running.indexOf(work), 1)
          work.resolve()
        }

        for (const [kind, choice] of history) {
          if (kind === 'start') start(choice)
          else if (kind === 'end') end(choice)
          else if (kind === 'abort') pick(controllers, choice)?.abort(changedMind)
          else if (kind === 'advance') await clock.advance(choice)
          else for (let reaction = 0; reaction < choice; reaction++) await null
        }
        await settled()
        // No slot is free beside somebody who waits for one.
        if (slots.stats().queued > 0) same(running.length, chosen.maxConcurrent)
        same(slots.stats().running, running.length)

        while (running.length > 0) {
          end(0)
          await settled()
        }
        await Promise.all(answers)
        const { queued, abandoned, inFlight } = slots.stats()
        expect({ queued, abandoned, inFlight, running: slots.stats().running }).toEqual({
          queued: 0,
          abandoned: 0,
          inFlight: 0,
          running: 0,
        })
        expect([clock.pending, clock.timers.length]).toEqual([0, 0])
        for (let fresh = 0; fresh <= chosen.maxConcurrent; fresh++) start(0)
        same(running.length, chosen.maxConcurrent)
      }),
    )
  }, 300_000)
})
