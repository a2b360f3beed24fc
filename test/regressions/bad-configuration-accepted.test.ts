import {
  adaptiveConcurrency,
  adaptiveThrottle,
  bulkhead,
  circuitBreaker,
  constant,
  countWindow,
  exponential,
  fallback,
  fibonacci,
  hedge,
  keyed,
  linear,
  pipeline,
  protect,
  rateLimiter,
  retry,
  retryBudget,
  timeout,
} from 'holdfast'
import { scripted, seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail } from '../support/breakers.ts'

type Make = (options: object) => unknown

/** Each factory, with options that are enough and every option that it has, by the kind of value. */
const factories: [name: string, make: Make, enough: object, options: Record<string, Kind>][] = [
  [
    'circuitBreaker',
    (options) => circuitBreaker(options),
    {},
    {
      name: 'text',
      clock: 'object',
      latency: 'flag',
      failureThreshold: 'count',
      failureRate: 'rate',
      resetTimeout: 'time or function',
      maxRetryAfter: 'time',
      halfOpenCalls: 'count',
      trialTimeout: 'time',
      rampUp: 'time',
      isFailure: 'function',
      isFailureResult: 'function',
      mode: 'literal',
      random: 'function',
    },
  ],
  [
    'circuitBreaker with rates',
    (options) => circuitBreaker(options),
    { slowCallRate: 0.5, slowCallDuration: 100, window: countWindow(10), minimumCalls: 5 },
    { slowCallRate: 'rate', slowCallDuration: 'time', minimumCalls: 'count', window: 'object' },
  ],
  [
    'retry',
    (options) => retry(options),
    {},
    {
      name: 'text',
      clock: 'object',
      maxRetries: 'count from 0',
      backoff: 'function',
      baseDelay: 'time',
      factor: 'number',
      maxDelay: 'time',
      jitter: 'jitter',
      maxRetryAfter: 'time',
      maxElapsed: 'time',
      shouldRetry: 'function',
      shouldRetryResult: 'function',
      budget: 'object',
      beforeAttempt: 'function',
      afterAttempt: 'function',
      onRetry: 'function',
      onGiveUp: 'function',
      random: 'function',
    },
  ],
  [
    'timeout',
    (options) => timeout(options as never),
    { duration: 5 },
    { name: 'text', duration: 'time' },
  ],
  [
    'bulkhead',
    (options) => bulkhead(options as never),
    { maxConcurrent: 1 },
    {
      maxConcurrent: 'count',
      maxQueue: 'count from 0',
      maxWait: 'time',
      abandonAfter: 'time',
      latency: 'flag',
    },
  ],
  [
    'adaptiveThrottle',
    (options) => adaptiveThrottle(options as never),
    {},
    {
      name: 'text',
      clock: 'object',
      latency: 'flag',
      multiplier: 'number',
      window: 'time',
      maxRejection: 'rate',
      minimumCalls: 'count',
      isRefusal: 'function',
      random: 'function',
    },
  ],
  [
    'hedge',
    (options) => hedge(options as never),
    { delay: 1, percentile: 0.5 },
    {
      name: 'text',
      clock: 'object',
      latency: 'flag',
      delay: 'time',
      maxHedges: 'count',
      shouldHedge: 'function',
      discard: 'function',
    },
  ],
  [
    'adaptiveConcurrency',
    (options) => adaptiveConcurrency(options as never),
    {},
    {
      name: 'text',
      clock: 'object',
      latency: 'flag',
      algorithm: 'literal',
      initialLimit: 'count',
      minLimit: 'count',
      window: 'time',
      minSamples: 'count',
      probeInterval: 'time',
      isOverload: 'function',
      maxQueue: 'count from 0',
      maxWait: 'time',
      abandonAfter: 'time',
      random: 'function',
    },
  ],
  [
    'rateLimiter',
    (options) => rateLimiter(options as never),
    { limit: 20 },
    {
      name: 'text',
      clock: 'object',
      latency: 'flag',
      limit: 'number',
      interval: 'time',
      burst: 'number',
      algorithm: 'literal',
      maxQueue: 'count from 0',
      maxWait: 'time',
    },
  ],
  [
    'fallback',
    (options) => fallback(options as never),
    { steps: [() => 1] },
    { name: 'text', handles: 'function', steps: 'object' },
  ],
  [
    'pipeline',
    (options) => pipeline(options as never),
    { name: 'p' },
    { name: 'text', strict: 'flag', latency: 'flag', clock: 'object', onEvent: 'function' },
  ],
  [
    'keyed',
    (options) => keyed(() => retry(), options),
    {},
    { maxKeys: 'count', idleTime: 'time', clock: 'object' },
  ],
  [
    'retryBudget',
    (options) => retryBudget(options),
    {},
    { ratio: 'rate from 0', minPerSecond: 'number', window: 'time', clock: 'object' },
  ],
  [
    'exponential',
    (options) => exponential(options),
    {},
    { baseDelay: 'time', factor: 'number', maxDelay: 'time', jitter: 'jitter' },
  ],
  [
    'linear',
    (options) => linear(options),
    {},
    { baseDelay: 'time', increment: 'time', maxDelay: 'time', jitter: 'jitter' },
  ],
  [
    'fibonacci',
    (options) => fibonacci(options),
    {},
    { baseDelay: 'time', maxDelay: 'time', jitter: 'jitter' },
  ],
  ['constant', (options) => constant(options), {}, { delay: 'time', jitter: 'jitter' }],
]

type Kind = keyof typeof bad

/** Values that an option of each kind may not have. */
const bad = {
  text: [42, null, {}, ''],
  flag: ['yes', 1, 0, null],
  time: ['5', null, {}, Number.NaN, -1],
  'time or function': ['5', null, {}, Number.NaN, -1],
  number: ['5', null, {}, Number.NaN, -1],
  count: ['5', null, {}, Number.NaN, -1, 0, 1.5],
  'count from 0': ['5', null, {}, Number.NaN, -1, 1.5],
  rate: ['5', null, {}, Number.NaN, -0.1, 0, 1.1, 50],
  'rate from 0': ['5', null, {}, Number.NaN, -0.1, 1.1],
  function: ['5', null, {}, 42, true],
  object: ['5', null, 42, true, () => {}],
  literal: ['always', null, 42, 'ENABLED'],
  jitter: ['much', null, {}, Number.NaN, -0.1, 1.1],
} as const

const cases = factories.flatMap(([name, make, enough, options]) =>
  Object.entries(options).map(([option, kind]) => [name, option, kind, make, enough] as const),
)

describe('OB7 bad configuration is accepted', () => {
  it.each(cases)('%s names a bad %s (%s), and its value', (_name, option, kind, make, enough) => {
    for (const value of bad[kind]) {
      const thrown = errorOf(() => make({ ...enough, [option]: value }))

      expect(thrown, `${option}: ${String(value)}`).toBeInstanceOf(Error)
      expect(thrown instanceof TypeError || thrown instanceof RangeError).toBe(true)
      expect(thrown?.message).toContain(option)
    }
  })

  it.each(factories)(
    '%s refuses a misspelt name and no options at all',
    (_name, make, enough, options) => {
      const [first = 'name'] = Object.keys(options)
      const misspelt = `${first.slice(0, -1)}x`

      expect(() => make({ ...enough, [misspelt]: 1 })).toThrow(TypeError)
      expect(() => make({ ...enough, [misspelt]: 1 })).toThrow(misspelt)
      for (const none of [null, true, []]) expect(() => make(none as never)).toThrow(TypeError)
    },
  )

  it.each(factories)(
    '%s takes undefined for its default and frozen options as they are',
    (_name, make, enough, options) => {
      const undefineds = Object.fromEntries(
        Object.keys(options)
          .filter((key) => !(key in enough))
          .map((key) => [key, undefined]),
      )

      expect(make(Object.freeze({ ...undefineds, ...enough }))).toBeDefined()
    },
  )

  it('copies its options: changing them later has no effect', async () => {
    const clock = virtualClock()
    const given = { failureThreshold: 2, resetTimeout: 100, clock }
    const breaker = circuitBreaker(given)
    Object.assign(given, { failureThreshold: 1_000, resetTimeout: 1 })
    const slotsGiven = { maxConcurrent: 1, maxQueue: 0 }
    const slots = bulkhead(slotsGiven)
    Object.assign(slotsGiven, { maxConcurrent: 99, maxQueue: 99 })
    const steps = [() => 'first']
    const answer = fallback({ steps })
    steps[0] = () => 'changed'

    await fail(breaker, 2)
    expect(breaker.stats()).toMatchObject({ state: 'open', retryAfter: 100 })
    expect(slots.stats()).toMatchObject({ maxConcurrent: 1, maxQueue: 0 })
    expect(await answer.execute(() => Promise.reject(new Error('down')))).toBe('first')
    expect(breaker.describe().options).toMatchObject({ failureThreshold: 2 })
  })

  it('refuses pairs that contradict each other', () => {
    const contradictions: (() => unknown)[] = [
      () => circuitBreaker({ slowCallRate: 0.5 }),
      () => circuitBreaker({ slowCallDuration: 100 }),
      () => circuitBreaker({ minimumCalls: 10 }),
      () => circuitBreaker({ window: countWindow(10) }),
      () => circuitBreaker({ failureRate: 0.5, window: countWindow(5), minimumCalls: 6 }),
      () => retry({ baseDelay: 500, maxDelay: 100 }),
      () => exponential({ baseDelay: 500, maxDelay: 100 }),
    ]

    for (const make of contradictions) expect(make).toThrow(Error)
  })

  it('refuses what is no policy, in its place', () => {
    for (const value of [undefined, null, 42, {}, () => {}]) {
      expect(() => pipeline('orders', retry(), value as never)).toThrow(/"orders".*policy 2/)
      expect(() => protect(value as never)).toThrow(TypeError)
    }
    for (const create of [undefined, null, 42, 'text']) {
      expect(() => keyed(create as never)).toThrow(TypeError)
    }
  })

  it('refuses bad scripts and seeds of the testing kit', () => {
    expect(() => scripted([])).toThrow(TypeError)
    expect(() => scripted(['okay' as never])).toThrow(TypeError)
    expect(() => virtualClock({ strat: 1 } as never)).toThrow(TypeError)
    expect(() => seededRandom(1).pick([])).toThrow(RangeError)
  })
})

describe('OB6 prototype pollution through options', () => {
  const hostile = [
    '{"__proto__":{"maxConcurrent":1,"polluted":true}}',
    '{"constructor":{"prototype":{"polluted":true}}}',
  ]
  it.each(hostile)('refuses %s and pollutes nothing', (text) => {
    for (const [, make, enough] of factories) {
      expect(() => make({ ...enough, ...JSON.parse(text) })).toThrow(TypeError)
      expect(() =>
        make(Object.assign({}, enough, { __proto__: null }, JSON.parse(text))),
      ).not.toThrow(RangeError)
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('honours no inherited option', () => {
    expect(() => bulkhead(Object.create({ maxConcurrent: 1 }))).toThrow(TypeError)
    const inherits = Object.assign(Object.create({ failureThreshold: 1 }), {})
    expect(() => circuitBreaker(inherits)).toThrow(TypeError)
  })

  it('reads no option from a polluted Object.prototype', async () => {
    Object.assign(Object.prototype, { failureThreshold: 1, maxRetries: 0, name: 'polluted' })
    try {
      const breaker = circuitBreaker()
      await fail(breaker, 1)
      expect(breaker.state).toBe('closed')
      expect(breaker.name).toBe('circuitBreaker')
    } finally {
      for (const key of ['failureThreshold', 'maxRetries', 'name'])
        Reflect.deleteProperty(Object.prototype, key)
    }
  })
})

function errorOf(run: () => unknown): Error | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return error as Error
  }
}
