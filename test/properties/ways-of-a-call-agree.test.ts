import { AsyncLocalStorage } from 'node:async_hooks'
import fc from 'fast-check'
import {
  type Bulkhead,
  bulkhead,
  type CircuitBreaker,
  type Context,
  circuitBreaker,
  fallback,
  type HoldfastEvent,
  type Pipeline,
  type PolicyLike,
  pipeline,
  rateLimiter,
  retry,
  retryBudget,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

// A call that brings nothing goes a short way of its own, one that brings a signal a longer one, one with
// a report or in an observed pipeline the longest. Nobody may be able to tell by what happens.
type Mode = 'bare' | 'limited' | 'signal' | 'detailed'

const make = {
  retry: (size, clock) =>
    retry({ maxRetries: 1 + size, baseDelay: size === 1 ? 4 : 0, jitter: 'none', clock }),
  hooked: (_, clock) =>
    retry({
      name: 'hooked',
      maxRetries: 1,
      baseDelay: 2,
      jitter: 'none',
      budget: retryBudget({ clock }),
      clock,
    }),
  fallback: (size, clock) =>
    fallback({ steps: [(): unknown => (size > 0 ? caller.getStore() : refuse())], clock }),
  breaker: (size, clock) =>
    circuitBreaker({ failureThreshold: 2 + size, resetTimeout: 10, trialTimeout: 20, clock }),
  judging: (_, clock) =>
    circuitBreaker({
      name: 'judging',
      failureThreshold: 3,
      isFailureResult: () => false,
      resetTimeout: 10,
      clock,
    }),
  bulkhead: (size, clock) => bulkhead({ maxConcurrent: 1, maxQueue: 2 * size, maxWait: 7, clock }),
  limiter: (size, clock) =>
    rateLimiter({ limit: 2, interval: 10, maxQueue: 2 * size, maxWait: 15, clock }),
  measured: (_, clock) => retry({ name: 'measured', maxRetries: 0, latency: true, clock }),
} satisfies Record<string, (size: number, clock: VirtualClock) => PolicyLike<unknown>>

interface Part {
  readonly kind: keyof typeof make
  readonly size: number
}

type Way = 'answer' | 'plain' | 'throw' | 'fail' | 'hang' | 'nested' | 'rescued'
type Step =
  | ['call', number, readonly Way[]]
  | ['end' | 'break' | 'advance' | 'resize', number]
  | ['isolate' | 'close' | 'listen' | 'leave']

const caller = new AsyncLocalStorage<number>()
const down = new Error('down')
const never = new AbortController().signal

function refuse(): never {
  throw new Error('no alternative')
}

class World {
  readonly clock = virtualClock({ start: 100 })
  readonly policies: PolicyLike<unknown>[]
  readonly lines: Pipeline<unknown>[]
  readonly inner: Pipeline<unknown>
  readonly mode: Mode
  readonly hung: Deferred<void>[] = []
  /** What could be seen during the present step, and after each. */
  seen: string[] = []
  readonly story: string[] = []
  stop: (() => void) | undefined
  calls = 0
  open = 0

  constructor(parts: readonly Part[], mode: Mode) {
    const { clock } = this
    this.mode = mode
    this.policies = parts.map(({ kind, size }) => make[kind](size, clock))
    // The second shares all with the first, which is the outer half of it.
    const limits = mode === 'limited' ? [timeout({ duration: 100_000, clock })] : []
    const first = pipeline({ name: 'first', clock }, ...limits, ...this.policies)
    this.lines = [
      first,
      pipeline({ name: 'second', clock }, first, retry({ maxRetries: 0, clock })),
    ]
    this.inner = pipeline('inner', timeout({ duration: 5, clock }))
  }

  async take(step: Step): Promise<void> {
    const [kind, size = 0] = step
    if (step[0] === 'call') this.call(this.lines[size] as Pipeline<unknown>, step[2])
    else if (kind === 'end') this.hung.splice(size % (this.hung.length + 1), 1)[0]?.resolve()
    else if (kind === 'break') this.hung.splice(size % (this.hung.length + 1), 1)[0]?.reject(down)
    else if (kind === 'advance') await this.clock.advance(size)
    else if (kind === 'listen') this.stop ??= this.lines[0]?.subscribe((event) => this.hear(event))
    else if (kind === 'leave') this.leave()
    for (const policy of this.policies as Partial<Bulkhead & CircuitBreaker>[]) {
      if (kind === 'resize' && policy.name === 'bulkhead') policy.resize?.(1 + (size % 3))
      if (kind === 'isolate') policy.isolate?.()
      if (kind === 'close') policy.close?.()
    }
    await settled()
    this.story.push(`${JSON.stringify(step)}: ${this.seen.toSorted().join(', ')}`, this.stats())
    this.seen = []
  }

  call(line: Pipeline<unknown>, ways: readonly Way[]): void {
    const id = this.calls++
    let attempts = 0
    this.open++
    const operation = (context: Context): unknown => {
      same(caller.getStore(), id)
      this.seen.push(`${id} is called: ${context.attempt}`)
      return this.behave(ways[attempts++ % ways.length] as Way, id, context)
    }
    const answer = caller.run(id, () => this.start(line, operation))
    const ended = (how: string): void => {
      this.open--
      this.seen.push(`${id} ${how}`)
    }
    answer.then(
      (value) => ended(`gets ${same(value, id) ?? 'its own'}`),
      (error: unknown) => ended(String(error)),
    )
  }

  start(line: Pipeline<unknown>, operation: (context: Context) => unknown): Promise<unknown> {
    if (this.mode === 'signal') return line.execute(operation, { signal: never })
    if (this.mode !== 'detailed') return line.execute(operation)
    return line.executeDetailed(operation).then(({ value }) => value)
  }

  behave(way: Way, id: number, context: Context): unknown {
    if (way === 'throw') throw down
    if (way === 'plain') return id
    if (way === 'answer') return Promise.resolve(id)
    if (way === 'fail') return Promise.reject(down)
    const work = deferred()
    this.hung.push(work)
    const told = work.promise.then(() => id)
    // The inner call gives up, but its work goes on: the slots around it stay taken.
    if (way === 'hang') return told
    const nested = this.inner.execute(() => told, context)
    return way === 'nested' ? nested : nested.catch(() => id)
  }

  hear(event: HoldfastEvent): void {
    if (event.type === 'warning') return
    this.seen.push(JSON.stringify({ ...event, error: undefined, cause: undefined }))
    throw new Error('a broken listener')
  }

  leave(): void {
    this.stop?.()
    this.stop = undefined
  }

  stats(): string {
    return JSON.stringify(
      [...this.lines, ...(this.policies as Pipeline[])].map((one) => one.stats()),
    )
  }

  async ends(): Promise<void> {
    for (let round = 0; round < 100 && (this.open > 0 || this.hung.length > 0); round++) {
      await this.take(this.hung.length > 0 ? ['end', 0] : ['advance', 20])
    }
    await this.take(['advance', 100])
    same(this.open, 0)
    for (const one of [...this.lines, ...(this.policies as Pipeline[])])
      same(one.stats().inFlight, 0)
    expect(this.clock.timers).toEqual([])
  }
}

const part: fc.Arbitrary<Part> = fc.record({
  kind: fc.constantFrom(...(Object.keys(make) as Part['kind'][])),
  size: fc.nat(2),
})
const way = fc.constantFrom<Way>(
  'answer',
  'plain',
  'throw',
  'fail',
  'fail',
  'hang',
  'hang',
  'nested',
  'rescued',
)
const call = fc.tuple(
  fc.constant('call' as const),
  fc.nat(1),
  fc.array(way, { minLength: 1, maxLength: 3 }),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: call },
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom('end' as const, 'break' as const), fc.nat(5)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('advance' as const), fc.nat(12)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('resize' as const), fc.nat(2)) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom('isolate' as const, 'close', 'listen', 'leave')),
  },
)

describe('a call', () => {
  it.each(['signal', 'detailed', 'limited'] as const)(
    'that brings nothing sees and does what one does that is: %s',
    async (mode) => {
      await holds(
        fc.asyncProperty(
          fc.array(part, { minLength: 1, maxLength: 4 }),
          fc.array(step, { maxLength: 25 }),
          async (parts, history) => {
            const worlds = [new World(parts, 'bare'), new World(parts, mode)]
            for (const world of worlds) {
              for (const one of history) await world.take(one)
              await world.ends()
            }
            expect(worlds[1]?.story).toEqual(worlds[0]?.story)
          },
        ),
        150,
      )
    },
    60_000,
  )
})
