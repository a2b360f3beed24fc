import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import {
  type Bulkhead,
  type BulkheadStats,
  bulkhead,
  type Context,
  circuitBreaker,
  type ExecuteOptions,
  FallbackExhaustedError,
  fallback,
  type HoldfastEvent,
  type Pipeline,
  type PolicyLike,
  pipeline,
  RejectedError,
  retry,
  TimeoutError,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

type Ending = 'succeeded' | 'failed' | 'timedOut' | 'rejected' | 'aborted'

/** What one policy of the stack is, with one number to shape it. */
interface Part {
  readonly kind: keyof typeof make
  readonly size: number
}

type Maker = (size: number, clock: VirtualClock) => PolicyLike<unknown>

const make = {
  fallback: (size, clock) =>
    fallback({
      name: 'fallback',
      steps: [
        async () => {
          if (size > 0) throw new Error('no alternative')
          return 'alternative'
        },
        ...(size > 1 ? [() => 'second alternative'] : []),
      ],
      clock,
    }),
  retry: (size, clock) =>
    retry({ maxRetries: size, baseDelay: size % 2 === 0 ? 0 : 4, jitter: 'none', clock }),
  breaker: (size, clock) =>
    circuitBreaker({
      failureThreshold: size + 1,
      resetTimeout: 10,
      halfOpenCalls: size + 1,
      trialTimeout: 20,
      clock,
    }),
  bulkhead: (size, clock) =>
    bulkhead({
      maxConcurrent: 1 + (size >> 1),
      maxQueue: size,
      maxWait: 15,
      ...(size === 2 && { abandonAfter: 7 }),
      clock,
    }),
  timeout: (size, clock) => timeout({ duration: 3 * 5 ** size, clock }),
  custom: (size) => ({
    name: 'custom',
    async execute(operation, options) {
      if (size === 0) await null
      const signal = options?.signal ?? new AbortController().signal
      const context = { attempt: 1, deadline: Number.POSITIVE_INFINITY, args: [] }
      return operation({
        remaining: Number.POSITIVE_INFINITY,
        ...context,
        ...options,
        signal,
      } as Context)
    },
  }),
  nested: (size: number, clock: VirtualClock): Pipeline =>
    pipeline(
      { name: 'nested', clock },
      ...(size > 0 ? [retry({ maxRetries: 1, baseDelay: 4, jitter: 'none', clock })] : []),
      bulkhead({ maxConcurrent: 2, maxQueue: size, maxWait: 15, clock }),
      timeout({ duration: 15, clock }),
    ),
} satisfies Record<string, Maker>

type Way =
  | 'answer'
  | 'fail'
  | 'bug'
  | 'throw at once'
  | 'plain'
  | 'thenable'
  | 'later'
  | 'fail later'
  | 'hang'
  | 'obey'
  | 'nested'

type Step =
  | ['call', { readonly line: number; readonly ways: readonly Way[]; readonly brings: number }]
  | ['abort' | 'advance', number]
  | ['abort all' | 'resize']

class Run {
  readonly clock: VirtualClock = virtualClock({ start: 100 })
  readonly policies: PolicyLike<unknown>[]
  readonly lines: Pipeline<unknown>[]
  readonly inner: Pipeline<unknown>
  nested = 0
  readonly endings: Record<Ending, number>[]
  readonly told: Ending[][] = [[], []]
  readonly hung: Deferred<string>[] = []
  readonly controllers: AbortController[] = []
  readonly answers: Promise<void>[] = []
  shared = new AbortController()
  readonly opaque: boolean
  readonly signals: AbortSignal[] = [this.shared.signal]

  constructor(parts: readonly Part[], twice: boolean) {
    const { clock } = this
    this.policies = parts.map(({ kind, size }) => make[kind](size, clock))
    this.opaque = parts.some(({ kind }) => kind === 'custom')
    const again = twice ? this.policies.slice(0, 1) : []
    // Two pipelines of the same instances, in opposite orders.
    this.lines = [[...this.policies, ...again], [...this.policies].reverse()].map(
      (policies, line) =>
        pipeline(
          { name: `line ${line}`, clock, onEvent: (event) => this.#hear(line, event) },
          ...policies,
        ),
    )
    this.inner = pipeline({ name: 'inner line', clock }, ...this.policies)
    this.endings = this.lines.map(() => ({
      succeeded: 0,
      failed: 0,
      timedOut: 0,
      rejected: 0,
      aborted: 0,
    }))
  }

  async take(step: Step): Promise<void> {
    switch (step[0]) {
      case 'call':
        this.call(step[1])
        break
      case 'abort':
        this.controllers[step[1] % this.controllers.length]?.abort({ by: 'its caller' })
        break
      case 'abort all':
        this.shared.abort({ by: 'all callers' })
        this.shared = new AbortController()
        this.signals.push(this.shared.signal)
        break
      case 'advance':
        await this.clock.advance(step[1])
        break
      case 'resize':
        for (const policy of this.policies) {
          if ('resize' in policy) (policy as Bulkhead).resize(3)
        }
    }
    // Now and then only a few reactions of promises happen between two steps.
    if (this.answers.length % 3 === 0) await null
    else await settled()
  }

  call({ line, ways, brings }: Extract<Step, ['call', unknown]>[1]): void {
    const controller = new AbortController()
    this.controllers.push(controller)
    const signals = [undefined, controller.signal, this.shared.signal, this.shared.signal]
    const signal = signals[brings % 4]
    const deadline = brings >= 8 ? this.clock.now() + 9.5 : undefined
    if (signal !== undefined) this.signals.push(signal)
    const options: ExecuteOptions = { signal, deadline, priority: brings % 3 }
    const stack = this.lines[line] as Pipeline<unknown>
    let called = 0
    const operation = (context: Context): unknown => {
      same(signal?.aborted === true, false)
      return this.behave(ways[called++ % ways.length] as Way, context)
    }
    const answer =
      brings % 5 === 4
        ? stack.executeDetailed(operation, options)
        : brings === 0
          ? stack.wrap(operation as () => unknown)()
          : stack.execute(operation, options)
    const count = (ending: Ending): void => {
      const endings = this.endings[line]
      if (endings !== undefined) endings[ending]++
    }
    this.answers.push(
      answer.then(
        () => count('succeeded'),
        (error: unknown) => {
          if (signal?.aborted && error === signal.reason) return count('aborted')
          if (error instanceof TimeoutError) return count('timedOut')
          if (error instanceof RejectedError) return count('rejected')
          const known = error instanceof FallbackExhaustedError || error === down || error === bug
          if (!known) throw error
          count('failed')
        },
      ),
    )
  }

  behave(way: Way, context: Context | undefined): unknown {
    const { clock } = this
    switch (way) {
      case 'answer':
        return Promise.resolve('answer')
      case 'fail':
        return Promise.reject(down)
      case 'bug':
        return Promise.reject(bug)
      case 'throw at once':
        throw down
      case 'plain':
        return 'answer'
      case 'thenable':
        return {
          // biome-ignore lint/suspicious/noThenProperty: that is what a thenable is
          then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
            resolve('answer')
            reject(down)
          },
        }
      case 'later':
        return new Promise((resolve) => void clock.setTimer(() => resolve('answer'), 6.25))
      case 'fail later':
        return new Promise((_, reject) => void clock.setTimer(() => reject(down), 6.25))
      case 'hang': {
        const work = deferred<string>()
        this.hung.push(work)
        return work.promise
      }
      case 'nested': {
        // Inherits the limits of the call around it, and meets the same policies again.
        const work = this.nested++ % 2 === 0 ? 'later' : 'plain'
        const call = this.inner.execute((nested) => this.behave(work, nested), context)
        // Seen from around it, a function whose own call was refused has failed.
        return call.catch(() => Promise.reject(down))
      }
      case 'obey': {
        if (context === undefined) return 'answer'
        const { signal } = context
        return new Promise((resolve, reject) => {
          const timer = clock.setTimer(() => resolve('answer'), 30)
          signal.addEventListener('abort', () => {
            timer.cancel()
            reject(signal.reason)
          })
        })
      }
    }
  }

  /** The faults stop: everybody is answered, and everything is as if nothing had been. */
  async ends(): Promise<void> {
    const { clock, hung, answers } = this
    let open = true
    const all = Promise.all(answers).finally(() => {
      open = false
    })
    // Whoever is retried may hang once more.
    for (let round = 0; round < 200 && (open || hung.length > 0); round++) {
      for (const work of hung.splice(0)) work.resolve('at last')
      await clock.advance(40)
    }
    same(open, false)
    await all
    // Work that its caller has left ends, too, a nested call that inherits nothing after all its retries.
    await clock.advance(100)
    for (let round = 0; round < 200 && clock.timers.length > 0; round++) await clock.advance(40)

    for (const [line, stack] of this.lines.entries()) {
      const { calls, inFlight, succeeded, failed, timedOut, rejected, aborted } = stack.stats()
      same(inFlight, 0)
      const seen = this.endings[line]
      // What comes through a policy of the user's own has lost its kind.
      if (this.opaque) {
        same(succeeded, seen?.succeeded)
        same(aborted, seen?.aborted)
      } else expect({ succeeded, failed, timedOut, rejected, aborted }).toEqual(seen)
      same(calls, succeeded + failed + timedOut + rejected + aborted)
      same(this.told[line]?.length, calls)
    }
    for (const policy of this.policies) {
      if (!('stats' in policy)) continue
      const stats = (policy as Bulkhead | Pipeline).stats() as Partial<BulkheadStats>
      const { name, inFlight, running = 0, queued = 0, abandoned = 0 } = stats
      expect([name, inFlight, running, queued, abandoned]).toEqual([name, 0, 0, 0, 0])
      const { succeeded = 0, failed = 0, timedOut = 0, rejected = 0, aborted = 0 } = stats
      same(stats.calls, succeeded + failed + timedOut + rejected + aborted)
    }
    expect(clock.timers).toEqual([])
    for (const signal of this.signals) same(getEventListeners(signal, 'abort').length, 0)
  }

  #hear(line: number, event: HoldfastEvent): void {
    if (event.type === 'call' && event.policy === `line ${line}`)
      this.told[line]?.push(event.ending)
    // A listener that breaks must not matter.
    throw new Error('a broken listener')
  }
}

const down = new Error('down')
const bug = new TypeError('not a function')

const part: fc.Arbitrary<Part> = fc.record({
  kind: fc.constantFrom(...(Object.keys(make) as Part['kind'][])),
  size: fc.integer({ min: 0, max: 2 }),
})
const way = fc.constantFrom<Way>(
  'answer',
  'fail',
  'fail',
  'bug',
  'throw at once',
  'plain',
  'thenable',
  'later',
  'later',
  'fail later',
  'hang',
  'obey',
  'nested',
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.tuple(
      fc.constant('call' as const),
      fc.record({
        line: fc.nat(1),
        ways: fc.array(way, { minLength: 1, maxLength: 4 }),
        brings: fc.nat(11),
      }),
    ),
  },
  { weight: 4, arbitrary: fc.tuple(fc.constant('abort' as const), fc.nat(30)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('abort all', 'resize')) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('advance' as const), fc.nat(25)) },
)

describe('a pipeline of anything in any order', () => {
  it('answers everybody, counts everybody once, and leaves nothing behind', async () => {
    const parts = fc.array(part, { maxLength: 6 })

    await holds(
      fc.asyncProperty(parts, fc.boolean(), fc.array(step, { maxLength: 25 }), async (...given) => {
        const [stack, twice, history] = given
        const run = new Run(stack, twice)
        for (const one of history) await run.take(one)
        await run.ends()
      }),
    )
  }, 300_000)
})
