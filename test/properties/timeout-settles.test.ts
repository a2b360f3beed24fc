import fc from 'fast-check'
import { type Pipeline, pipeline, type Timeout, TimeoutError, timeout } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

// Calls start and end at whole milliseconds; no limit and no deadline ends at one.
const LIMIT = 2 ** -4
const DEADLINE = 2 ** -8

interface ModelCall {
  readonly startedAt: number
  /** Who ends the wait, and when: the shortest limit or the deadline of the caller. */
  readonly limit: {
    readonly at: number
    readonly duration: number
    readonly names: readonly string[]
  }
  endedAt: number | undefined
  error: unknown
}

/** What the documentation says, call by call. */
class NaiveTimeouts {
  readonly calls: ModelCall[] = []
  readonly durations: readonly number[]

  constructor(durations: readonly number[]) {
    this.durations = durations
  }

  start(now: number, timeLeft: number): void {
    const shortest = Math.min(...this.durations)
    const names = [...this.durations.keys()].filter((one) => this.durations[one] === shortest)
    const limit =
      timeLeft < shortest
        ? { at: now + timeLeft, duration: Math.round(timeLeft), names: ['stack'] }
        : { at: now + shortest, duration: shortest, names: names.map((one) => `limit ${one}`) }
    this.calls.push({ startedAt: now, limit, endedAt: undefined, error: undefined })
  }

  end(call: ModelCall, now: number, error: unknown): void {
    call.endedAt = now
    call.error = error
  }

  advance(now: number): void {
    for (const call of this.calls)
      if (call.endedAt === undefined && call.limit.at <= now) this.end(call, call.limit.at, 'limit')
  }
}

type Step = ['start', number, number] | ['end' | 'abort', number] | ['advance', number]

interface Call {
  readonly work: Deferred<string>
  readonly controller: AbortController
  readonly timeLeft: number
  signal: AbortSignal | undefined
  deadline: number
  endedAt: number | undefined
  value: unknown
  error: unknown
}

/** A stack of timeouts and its model, driven through the same history. */
class Run {
  readonly clock: VirtualClock = virtualClock({ start: 1_000 })
  readonly model: NaiveTimeouts
  readonly limits: Timeout[]
  readonly stack: Pipeline
  readonly calls: Call[] = []

  constructor(durations: readonly number[], nested: number) {
    const { clock } = this
    this.model = new NaiveTimeouts(durations)
    this.limits = durations.map((duration, one) =>
      timeout({ name: `limit ${one}`, duration, clock }),
    )
    const split = nested % (durations.length + 1)
    this.stack = pipeline(
      { name: 'stack', clock },
      ...this.limits.slice(0, split),
      pipeline({ name: 'inside', clock }, ...this.limits.slice(split)),
    )
  }

  async take(step: Step): Promise<void> {
    const { clock, model, calls } = this
    switch (step[0]) {
      case 'start':
        for (let one = 0; one < step[1]; one++) {
          model.start(clock.now(), step[2])
          this.start(step[2])
        }
        break
      case 'end':
      case 'abort': {
        const live = model.calls.filter(({ endedAt }) => endedAt === undefined)
        const chosen = live[step[1] % live.length]
        const call = calls[chosen === undefined ? -1 : model.calls.indexOf(chosen)]
        if (chosen === undefined || call === undefined) break
        model.end(chosen, clock.now(), step[0])
        if (step[0] === 'end') call.work.resolve('answer')
        else call.controller.abort('abort')
        break
      }
      case 'advance':
        model.advance(clock.now() + step[1])
        await clock.advance(step[1])
    }
    await settled()
  }

  start(timeLeft: number): void {
    const { clock } = this
    const call: Call = {
      work: deferred(),
      controller: new AbortController(),
      timeLeft,
      signal: undefined,
      deadline: 0,
      endedAt: undefined,
      value: undefined,
      error: undefined,
    }
    this.calls.push(call)
    const { signal } = call.controller
    const deadline = clock.now() + timeLeft
    this.stack
      .execute(
        (context) => {
          call.deadline = context.deadline
          same(context.remaining, context.deadline - clock.now())
          // Some look at their signal, and some never do.
          if (this.calls.length % 2 === 0) call.signal = context.signal
          return call.work.promise
        },
        timeLeft === Number.POSITIVE_INFINITY ? { signal } : { signal, deadline },
      )
      .then(
        (value) => {
          call.value = value
        },
        (error: unknown) => {
          call.error = error
        },
      )
      .finally(() => {
        call.endedAt = clock.now()
      })
  }

  agrees(): void {
    for (const [who, predicted] of this.model.calls.entries()) {
      const call = this.calls[who] as Call
      same(call.deadline, predicted.limit.at)
      same(call.endedAt, predicted.endedAt)
      const { error } = call
      if (predicted.error === 'end') same(call.value, 'answer')
      else if (predicted.error === 'limit') {
        const { code, duration, policy } = error as TimeoutError
        same(error instanceof TimeoutError && code, 'ERR_TIMEOUT')
        same(duration, predicted.limit.duration)
        same(predicted.limit.names.includes(policy), true)
      } else same(error, predicted.error)
      const told = predicted.error === 'limit' || predicted.error === 'abort'
      if (call.signal === undefined) continue
      same(call.signal.aborted, told)
      if (told) same(call.signal.reason, error)
    }
    const inFlight = this.model.calls.filter(({ endedAt }) => endedAt === undefined).length
    for (const limit of this.limits) same(limit.stats().inFlight, inFlight)
  }

  /** Nobody waits for ever, and nothing is left behind. */
  async ends(): Promise<void> {
    const finite = this.model.calls.every(({ limit }) => Number.isFinite(limit.at))
    if (finite) await this.take(['advance', 10_000])
    else for (const _ of this.calls) await this.take(['end', 0])
    this.agrees()
    for (const call of this.calls) call.work.reject(new Error('late'))
    await settled()
    this.agrees()
    expect([this.clock.pending, this.clock.timers.length]).toEqual([0, 0])
  }
}

const durations = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 200 }).map((ms) => ms + LIMIT) },
    { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
  ),
  { maxLength: 4 },
)
const timeLeft = fc.oneof(
  { weight: 4, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 }).map((ms) => ms + DEADLINE) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.tuple(fc.constant('start' as const), fc.integer({ min: 1, max: 4 }), timeLeft),
  },
  { weight: 10, arbitrary: fc.tuple(fc.constant('end' as const), fc.nat(30)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('abort' as const), fc.nat(30)) },
  {
    weight: 10,
    arbitrary: fc.tuple(fc.constant('advance' as const), fc.integer({ min: 1, max: 90 })),
  },
)

describe('a stack of timeouts', () => {
  it('ends each call at exactly its shortest limit, with that error, and no other', async () => {
    const histories = fc.array(step, { maxLength: 40 })

    await holds(
      fc.asyncProperty(durations, fc.nat(4), histories, async (chosen, nested, history) => {
        const run = new Run(chosen, nested)
        for (const one of history) {
          await run.take(one)
          run.agrees()
        }
        await run.ends()
      }),
    )
  }, 300_000)
})
