import fc from 'fast-check'
import { RateLimitedError, type RateLimiter, rateLimiter } from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

interface Options {
  readonly algorithm: 'token-bucket' | 'sliding-window'
  limit: number
  readonly burst: number
  readonly maxQueue: number
  readonly maxWait: number
}

const interval = 1_000

interface ModelCall {
  readonly who: number
  readonly weight: number
  readonly priority: number
  readonly since: number
}

/** What the documentation says, from the list of everything that ever passed. */
class NaiveLimiter {
  passed: { at: number; weight: number }[] = []
  line: ModelCall[] = []
  level: number
  now: number
  readonly options: Options

  constructor(options: Options, now: number) {
    this.options = { ...options }
    this.level = this.capacity
    this.now = now
  }

  get capacity(): number {
    const { algorithm, limit, burst } = this.options
    return algorithm === 'token-bucket' ? burst : limit
  }

  clone(): NaiveLimiter {
    const copy = new NaiveLimiter(this.options, this.now)
    return Object.assign(copy, {
      passed: [...this.passed],
      line: [...this.line],
      level: this.level,
    })
  }

  get available(): number {
    if (this.options.algorithm === 'token-bucket') return this.level
    const recent = this.passed.filter(({ at }) => at > this.now - interval + 1e-6)
    return this.options.limit - recent.reduce((sum, { weight }) => sum + weight, 0)
  }

  get first(): ModelCall | undefined {
    return this.line.toSorted((a, b) => b.priority - a.priority)[0]
  }

  pass(weight: number): void {
    this.passed.push({ at: this.now, weight })
    this.level -= weight
  }

  /** Everybody whose turn it is. */
  serve(): number[] {
    const served: number[] = []
    for (let { first } = this; first !== undefined; { first } = this) {
      if (first.weight > this.available + 1e-6) break
      this.line = this.line.filter((call) => call !== first)
      this.pass(first.weight)
      served.push(first.who)
    }
    return served
  }

  /** When the first in line may pass, as things are. */
  get nextTurn(): number {
    const { first } = this
    if (first === undefined) return Number.POSITIVE_INFINITY
    const missing = first.weight - this.available
    if (missing <= 1e-6) return this.now
    if (this.options.algorithm === 'token-bucket') {
      return this.now + (missing * interval) / this.options.limit
    }
    const forgotten = this.passed.map(({ at }) => at + interval).filter((at) => at > this.now)
    const later = this.clone()
    for (const at of forgotten.sort((a, b) => a - b)) {
      later.now = at
      if (later.available + 1e-6 >= first.weight) return at
    }
    throw new Error('never')
  }

  moveTo(now: number): void {
    const refill = ((now - this.now) * this.options.limit) / interval
    this.level = Math.min(this.capacity, this.level + refill)
    this.now = now
  }

  /** Who passes and who has waited too long until then, and no longer. */
  advance(until: number): number[] {
    const served: number[] = []
    for (;;) {
      const overdue = this.line.map(({ since }) => since + this.options.maxWait)
      const next = Math.min(this.nextTurn, ...overdue)
      if (next > until) break
      this.moveTo(next)
      served.push(...this.serve())
      this.line = this.line.filter(({ since }) => since + this.options.maxWait > this.now)
    }
    this.moveTo(until)
    return served
  }

  /** How long until a call passes, if nobody else comes or goes. */
  waitOf(weight: number, priority: number): number {
    const alone = this.clone()
    alone.options.limit = this.options.limit
    alone.line = alone.line.filter((call) => call.priority >= priority)
    alone.line.push({ who: -1, weight, priority, since: this.now })
    Object.assign(alone.options, { maxWait: Number.POSITIVE_INFINITY })
    for (let turns = 0; turns < 1_000; turns++) {
      if (alone.advance(alone.nextTurn).includes(-1)) return alone.now - this.now
    }
    throw new Error('never')
  }
}

type Step =
  | ['start', weight: number, priority: number]
  | ['abort', who: number]
  | ['advance', ms: number]
  | ['resize', limit: number]

class Run {
  readonly clock: VirtualClock = virtualClock({ start: 1_000 })
  readonly model: NaiveLimiter
  readonly limiter: RateLimiter
  readonly options: Options
  readonly controllers: AbortController[] = []
  readonly errors: unknown[] = []
  readonly started: number[] = []
  readonly expected: number[] = []
  /** All calls weigh the same: then waits are foretold exactly. */
  readonly uniform: boolean

  constructor(options: Options, uniform: boolean) {
    const { clock } = this
    const { burst, ...rest } = options
    const bucket = options.algorithm === 'token-bucket' ? { burst } : {}
    this.options = options
    this.uniform = uniform
    this.model = new NaiveLimiter(options, clock.now())
    const weight = ([weight]: readonly unknown[]): number => weight as number
    this.limiter = rateLimiter({ ...rest, ...bucket, interval, weight, clock })
  }

  async take(step: Step): Promise<void> {
    const { clock, model, expected } = this
    switch (step[0]) {
      case 'start':
        await this.start(step[1], step[2])
        break
      case 'abort': {
        const call = model.line[step[1] % Math.max(1, model.line.length)]
        if (call === undefined) break
        model.line = model.line.filter((other) => other !== call)
        this.controllers[call.who]?.abort('changed my mind')
        expected.push(...model.serve())
        break
      }
      case 'advance':
        expected.push(...model.advance(model.now + step[1]))
        await clock.advance(step[1])
        break
      case 'resize':
        model.options.limit = step[1]
        model.level = Math.min(model.level, model.capacity)
        model.line = model.line.filter(({ weight }) => weight <= model.capacity)
        this.limiter.resize({ limit: step[1] })
        expected.push(...model.serve())
    }
    await settled()
    this.agrees()
  }

  async start(weight: number, priority: number): Promise<void> {
    const { model, limiter } = this
    const who = this.controllers.push(new AbortController()) - 1
    const signal = this.controllers[who]?.signal
    const call = { who, weight, priority, since: model.now }
    const isFirst = model.line.every((other) => other.priority < priority)
    const free = weight === 0 || (isFirst && weight <= model.available + 1e-6)
    const full = model.line.length >= this.options.maxQueue
    const wait = free || weight > model.capacity ? 0 : model.waitOf(weight, priority)

    limiter
      .execute(() => void this.started.push(who), { signal, priority, args: [weight] })
      .catch((error: unknown) => {
        this.errors[who] = error
      })
    await settled()

    const error = this.errors[who]
    if (free) {
      if (weight > 0) model.pass(weight)
      this.expected.push(who)
    } else if (weight > model.capacity) this.isRefused(error, Number.POSITIVE_INFINITY)
    else if (full || (wait > this.options.maxWait && this.uniform)) this.isRefused(error, wait)
    else if (error === undefined) model.line.push(call)
    else {
      // Refused for its wait: it would indeed have been too long.
      expect(wait).toBeGreaterThan(this.options.maxWait)
      this.isRefused(error, wait)
    }
  }

  isRefused(error: unknown, wait: number): void {
    expect(error).toBeInstanceOf(RateLimitedError)
    const { retryAfter } = error as RateLimitedError
    if (this.uniform) expect(retryAfter).toBeCloseTo(wait, 6)
    else expect(retryAfter).toBeLessThanOrEqual(wait + 1e-6)
  }

  agrees(): void {
    const { limiter, model } = this
    same(this.started.join(), this.expected.join())
    const { queued, available, inFlight } = limiter.stats()
    same(queued, model.line.length)
    same(inFlight, model.line.length)
    expect(available).toBeCloseTo(Math.max(0, model.available), 6)
    same(this.clock.pending, model.line.length > 0 ? 1 : 0)
  }
}

const options: fc.Arbitrary<Options> = fc.record({
  algorithm: fc.constantFrom('token-bucket', 'sliding-window'),
  limit: fc.constantFrom(1, 2, 4, 5, 8, 10),
  burst: fc.constantFrom(1, 2, 3, 5),
  maxQueue: fc.integer({ min: 0, max: 6 }),
  maxWait: fc.constantFrom(100, 700, 2_500, Number.POSITIVE_INFINITY).map((ms) => ms + 2 ** -12),
})

const step = (weight: fc.Arbitrary<number>): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(fc.constant('start' as const), weight, fc.constantFrom(0, 0, 0, 3, -2)),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant('abort' as const), fc.nat(5)) },
    {
      weight: 3,
      arbitrary: fc.tuple(
        fc.constant('advance' as const),
        fc.constantFrom(0, 1, 50, 100, 125, 250, 333, 1_000, 5_000),
      ),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant('resize' as const), fc.constantFrom(1, 4, 10)) },
  )

describe('a rate limiter', () => {
  it.each([
    ['calls of one weight', fc.constant(1), true],
    ['light and heavy calls', fc.constantFrom(0, 1, 1, 2, 3), false],
  ] as const)(
    'lets pass whom a naive model lets pass: %s',
    async (_what, weight, uniform) => {
      await holds(
        fc.asyncProperty(
          options,
          fc.array(step(weight), { minLength: 1, maxLength: 40 }),
          async (given, steps) => {
            const run = new Run(given, uniform)
            for (const each of steps) await run.take(each)
            while (run.model.line.length > 0) await run.take(['advance', 10_000])
            expect(run.clock.timers).toEqual([])
          },
        ),
      )
    },
    120_000,
  )
})
