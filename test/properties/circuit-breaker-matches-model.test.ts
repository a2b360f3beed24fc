import fc from 'fast-check'
import {
  type CircuitBreaker,
  type CircuitBreakerMode,
  type CircuitBreakerOptions,
  CircuitOpenError,
  circuitBreaker,
  countWindow,
  timeWindow,
  type WindowDescription,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

type State = 'closed' | 'open' | 'half-open' | 'isolated'
type Verdict = 'success' | 'failure' | 'ignored'

interface Options {
  readonly failureThreshold: number | undefined
  readonly failureRate: number | undefined
  readonly slowCallRate: number | undefined
  readonly slowCallDuration: number
  readonly window: WindowDescription
  readonly minimumCalls: number
  readonly resetTimeout: number | ((openings: number) => number)
  readonly maxRetryAfter: number
  readonly halfOpenCalls: number
  readonly trialTimeout: number
}

interface Admitted {
  readonly era: number
  readonly at: number
  live: boolean
}

/** What a closed circuit has seen, as a list of everything that ever happened. */
class NaiveMemory {
  inARow = 0
  outcomes: { failed: boolean; slow: boolean; at: number }[] = []
  readonly options: Options

  constructor(options: Options) {
    this.options = options
  }

  hasSeenEnough(now: number): boolean {
    const { failureThreshold, failureRate = 2, slowCallRate = 2, minimumCalls } = this.options
    if (this.inARow >= (failureThreshold ?? Number.POSITIVE_INFINITY)) return true
    if (this.remembered(now).length < minimumCalls) return false
    return this.share('failed', now) >= failureRate || this.share('slow', now) >= slowCallRate
  }

  share(of: 'failed' | 'slow', now: number): number {
    const seen = this.remembered(now)
    return seen.length === 0 ? 0 : seen.filter((one) => one[of]).length / seen.length
  }

  remembered(now: number): typeof this.outcomes {
    const { window } = this.options
    if (window.type === 'count') return this.outcomes.slice(-window.size)
    const bucketOf = (at: number): number => Math.floor(at / (window.duration / 10))
    return this.outcomes.filter(({ at }) => bucketOf(at) > bucketOf(now) - 10)
  }
}

/** What the documentation says of states and trials. */
class NaiveBreaker extends NaiveMemory {
  state: State = 'closed'
  mode: CircuitBreakerMode = 'enabled'
  era = 0
  openings = 0
  opened = 0
  trialAt = 0
  trials: Admitted[] = []
  proven = 0

  look(now: number): State {
    if (this.state === 'open' && now >= this.trialAt) this.become('half-open')
    return this.state
  }

  become(state: State): void {
    this.state = state
    this.era++
    this.trials = []
    this.proven = 0
    this.inARow = 0
    this.outcomes = []
    if (state === 'closed') this.openings = 0
  }

  /** The call, or after how long to try again. */
  start(now: number): Admitted | number {
    this.look(now)
    const call = { era: this.era, at: now, live: true }
    // What is held open by hand stays open, whatever the mode.
    if (this.state === 'isolated') return Number.POSITIVE_INFINITY
    if (this.mode !== 'enabled') return call
    if (this.state === 'open') return this.trialAt - now
    if (this.state === 'half-open') {
      // Who stayed out too long loses the place to the next that asks for one.
      for (const trial of this.trials) trial.live = now < trial.at + this.options.trialTimeout
      this.trials = this.trials.filter(({ live }) => live)
      if (this.trials.length + this.proven >= this.options.halfOpenCalls)
        return Math.min(...this.trials.map(({ at }) => at)) + this.options.trialTimeout - now
      this.trials.push(call)
    }
    return call
  }

  end(call: Admitted, verdict: Verdict, now: number, retryAfter: number): void {
    this.look(now)
    if (call.era !== this.era || !call.live || this.mode === 'disabled') return
    this.trials = this.trials.filter((trial) => trial !== call)
    if (verdict === 'ignored') return
    const failed = verdict === 'failure'
    if (this.state === 'half-open') {
      if (failed) this.open(now, retryAfter)
      else if (++this.proven === this.options.halfOpenCalls) this.become('closed')
      return
    }
    this.inARow = failed ? this.inARow + 1 : 0
    this.outcomes.push({ failed, slow: now - call.at >= this.options.slowCallDuration, at: now })
    if (this.mode === 'enabled' && this.hasSeenEnough(now)) this.open(now, retryAfter)
  }

  open(now: number, retryAfter: number): void {
    const { resetTimeout, maxRetryAfter } = this.options
    const openings = this.openings + 1
    const pause = typeof resetTimeout === 'number' ? resetTimeout : resetTimeout(openings)
    this.become('open')
    this.openings = openings
    this.opened++
    this.trialAt = now + Math.max(pause, Math.min(retryAfter, maxRetryAfter))
  }
}

const ways = {
  success: { verdict: 'success', retryAfter: 0, value: 'answer' },
  'not found': { verdict: 'success', retryAfter: 0, error: { status: 404 } },
  failure: { verdict: 'failure', retryAfter: 0, error: new Error('down') },
  busy: { verdict: 'failure', retryAfter: 1_000, error: { headers: { 'retry-after': '1' } } },
  bug: { verdict: 'ignored', retryAfter: 0, error: new TypeError('not a function') },
  refusal: {
    verdict: 'ignored',
    retryAfter: 0,
    error: new CircuitOpenError('inner', 'open', 9_000, 'another one is open'),
  },
} as const

type Way = keyof typeof ways
type Step =
  | ['start', number]
  | ['settle', number, Way]
  | ['settle all', Way]
  | ['abort', number]
  | ['advance', number]
  | ['isolate' | 'close' | 'reset' | 'snapshot' | 'restore' | 'move']
  | ['mode', CircuitBreakerMode]

interface Call {
  readonly admitted: Admitted
  readonly of: CircuitBreaker
  readonly work: Deferred<unknown>
  readonly controller: AbortController
  readonly seen: Promise<unknown>
  done: boolean
}

/** A breaker and its model, driven through the same history. */
class Run {
  readonly clock: VirtualClock = virtualClock({ start: 1_000 })
  readonly options: Options
  model: NaiveBreaker
  breaker: CircuitBreaker
  /** The state as told by the events alone. */
  told: State = 'closed'
  calls: Call[] = []
  saved: { model: NaiveBreaker; snapshot: string } | undefined

  constructor(options: Options) {
    this.options = options
    this.model = new NaiveBreaker(options)
    this.breaker = this.make()
  }

  make(): CircuitBreaker {
    const { slowCallDuration, window, minimumCalls, ...rest } = this.options
    const options: CircuitBreakerOptions = {
      ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
      ...(rest.slowCallRate !== undefined && { slowCallDuration }),
      ...(rest.slowCallRate !== undefined && { window, minimumCalls }),
      ...(rest.failureRate !== undefined && { window, minimumCalls }),
      clock: this.clock,
    }
    const breaker = circuitBreaker(options)
    this.told = 'closed'
    this.model.opened = 0
    breaker.subscribe((event) => {
      if (event.type !== 'state-change' || breaker !== this.breaker) return
      same(event.from, this.told)
      this.told = event.to
    })
    return breaker
  }

  async take(step: Step): Promise<void> {
    const { clock, model, breaker } = this
    switch (step[0]) {
      case 'start':
        for (let started = 0; started < step[1]; started++) await this.start()
        break
      case 'settle':
        await this.settle(this.#pick(step[1]), step[2])
        break
      case 'settle all':
        await Promise.all(this.calls.map((call) => this.settle(call, step[1])))
        break
      case 'abort':
        await this.abort(this.#pick(step[1]))
        break
      case 'advance':
        await clock.advance(step[1])
        break
      case 'isolate':
        model.look(clock.now())
        if (model.state !== 'isolated') model.become('isolated')
        breaker.isolate()
        break
      case 'close':
      case 'reset':
        model.become('closed')
        breaker[step[0]]()
        if (step[0] === 'reset') model.opened = 0
        break
      case 'mode':
        model.become('closed')
        model.mode = step[1]
        breaker.mode = step[1]
        break
      case 'snapshot':
        model.look(clock.now())
        this.saved = {
          model: Object.assign(
            new NaiveBreaker(this.options),
            structuredClone({ ...model, options: 0 }),
          ),
          snapshot: JSON.stringify(breaker.snapshot()),
        }
        break
      case 'move':
        if (this.saved === undefined || model.mode !== 'enabled') break
        this.breaker = this.make()
        this.#restore(this.saved)
        break
      case 'restore':
        if (this.saved !== undefined && model.mode === 'enabled') this.#restore(this.saved)
    }
    await settled()
  }

  /** Admitted or refused, and until when: exactly what the model says. */
  async start(): Promise<void> {
    const { clock, model, breaker } = this
    const predicted = model.start(clock.now())
    const work = deferred<unknown>()
    const controller = new AbortController()
    let called = 0
    const answer = breaker.execute(
      () => {
        called++
        return work.promise
      },
      { signal: controller.signal },
    )
    if (typeof predicted === 'number') {
      const error = await answer.catch((caught: unknown) => caught)
      same(called, 0)
      expect(error).toBeInstanceOf(CircuitOpenError)
      expect(error).toMatchObject({ state: model.state, retryAfter: predicted })
      return
    }
    same(called, 1)
    const seen = answer.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    this.calls.push({ admitted: predicted, of: breaker, work, controller, seen, done: false })
  }

  /** Whatever the circuit has become meanwhile, the result reaches its caller. */
  async settle(call: Call | undefined, how: Way): Promise<void> {
    if (call === undefined || call.done) return
    call.done = true
    const { verdict, retryAfter, ...result } = ways[how]
    this.model.end(call.admitted, verdict, this.clock.now(), retryAfter)
    if ('error' in result) call.work.reject(result.error)
    else call.work.resolve(result.value)
    expect(await call.seen).toEqual(result)
  }

  async abort(call: Call | undefined): Promise<void> {
    if (call === undefined || call.done) return
    call.done = true
    this.model.end(call.admitted, 'ignored', this.clock.now(), 0)
    const reason = { changed: 'my mind' }
    call.controller.abort(reason)
    expect(await call.seen).toEqual({ error: reason })
    // The function takes no notice, and fails much later.
    call.work.reject(new Error('late'))
  }

  agrees(): void {
    const { clock, model, breaker } = this
    const now = clock.now()
    const state = model.look(now)
    const stats = breaker.stats()
    same(breaker.state, state)
    same(stats.state, state)
    same(this.told, state)
    same(stats.opened, model.opened)
    same(stats.retryAfter, state === 'open' ? model.trialAt - now : 0)
    same(stats.inFlight, this.calls.filter(({ of, done }) => of === breaker && !done).length)
    if (state === 'closed') {
      const { failureRate, slowCallRate } = this.options
      const rated = failureRate !== undefined || slowCallRate !== undefined
      same(stats.consecutiveFailures, model.inARow)
      same(stats.failureRate, rated ? model.share('failed', now) : 0)
      // Without a rule nobody looks for slow calls.
      same(stats.slowCallRate, slowCallRate === undefined ? 0 : model.share('slow', now))
    }
    same(clock.pending, 0)
  }

  /** Whatever happened: when the dependency works again, the circuit closes, and all permits are there. */
  async recovers(): Promise<void> {
    const { clock, model, options } = this
    await this.take(['settle all', 'success'])
    this.agrees()
    if (model.state === 'isolated') await this.take(['close'])
    await this.take(['mode', 'enabled'])
    for (let call = 0; call < 20; call++) await this.start()
    await clock.advance(options.slowCallDuration)
    await this.take(['settle all', 'failure'])
    expect(this.breaker.state).toBe('open')
    await clock.advance(10_000)
    const before = this.calls.length
    for (let call = 0; call < options.halfOpenCalls + 2; call++) await this.start()
    expect(this.calls.length - before).toBe(options.halfOpenCalls)
    await this.take(['settle all', 'success'])
    this.agrees()
    expect(this.breaker.state).toBe('closed')
  }

  #pick(choice: number): Call | undefined {
    // Mostly one that is under way.
    const live = this.calls.filter(({ done }) => !done)
    return live[choice % live.length]
  }

  #restore({ model, snapshot }: NonNullable<typeof this.saved>): void {
    const { era, opened } = this.model
    Object.assign(this.model, structuredClone({ ...model, options: 0 }), {
      options: this.options,
      era: era + 1,
      opened,
      trials: [],
      proven: 0,
    })
    this.model.mode = 'enabled'
    if (this.model.state === 'half-open') {
      this.model.state = 'open'
      this.model.trialAt = this.clock.now()
    }
    this.breaker.restore(JSON.parse(snapshot))
  }
}

const options: fc.Arbitrary<Options> = fc
  .record({
    rules: fc.constantFrom(1, 2, 3, 4, 5, 6, 7),
    threshold: fc.integer({ min: 1, max: 5 }),
    rate: fc.constantFrom(0.2, 1 / 3, 0.5, 0.7, 1),
    slowRate: fc.constantFrom(0.25, 0.5, 1),
    slowCallDuration: fc.integer({ min: 1, max: 60 }),
    window: fc.oneof(
      fc.integer({ min: 1, max: 12 }).map((size) => countWindow(size)),
      fc.constantFrom(100, 1_000).map((duration) => timeWindow(duration)),
    ),
    minimum: fc.integer({ min: 1, max: 8 }),
    resetTimeout: fc.constantFrom(
      1,
      40,
      300,
      (openings: number) => 25 * 2 ** Math.min(openings, 6),
    ),
    maxRetryAfter: fc.constantFrom(0, 400, 5_000),
    halfOpenCalls: fc.integer({ min: 1, max: 4 }),
    trialTimeout: fc.constantFrom(10, 50, 200),
  })
  .map(({ rules, threshold, rate, slowRate, minimum, ...rest }) => ({
    ...rest,
    failureThreshold: rules & 1 ? threshold : undefined,
    failureRate: rules & 2 ? rate : undefined,
    slowCallRate: rules & 4 ? slowRate : undefined,
    minimumCalls: rest.window.type === 'count' ? Math.min(minimum, rest.window.size) : minimum,
  }))

const way = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Way>('failure') },
  { weight: 3, arbitrary: fc.constant<Way>('success') },
  { weight: 2, arbitrary: fc.constantFrom(...(Object.keys(ways) as Way[])) },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.tuple(fc.constant('start' as const), fc.integer({ min: 1, max: 6 })),
  },
  { weight: 30, arbitrary: fc.tuple(fc.constant('settle' as const), fc.nat(20), way) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('settle all' as const), way) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('abort' as const), fc.nat(20)) },
  {
    weight: 20,
    arbitrary: fc.tuple(
      fc.constant('advance' as const),
      fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constantFrom(10, 40, 50, 200, 300, 1_000)),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(
      fc.constantFrom('isolate', 'close', 'reset', 'snapshot', 'restore', 'move', 'snapshot'),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant('mode' as const),
      fc.constantFrom<CircuitBreakerMode>('enabled', 'metrics-only', 'disabled', 'enabled'),
    ),
  },
)

describe('a circuit breaker', () => {
  it('does what its documentation says, whatever its history', async () => {
    await holds(
      fc.asyncProperty(options, fc.array(step, { maxLength: 40 }), async (chosen, history) => {
        const run = new Run(chosen)
        for (const one of history) {
          await run.take(one)
          run.agrees()
        }
        await run.recovers()
      }),
    )
  }, 300_000)
})
