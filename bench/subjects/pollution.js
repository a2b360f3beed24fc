/**
 * What a real service does to a library before the call that is measured: policies of many shapes,
 * breakers of every kind, functions that return and fail in every way. Inline caches that were
 * monomorphic are not any more.
 */
import * as cockatiel from './cockatiel.js'
import * as holdfast from './holdfast.js'
import * as opossum from './opossum.js'

const repeats = 4
const reset = Object.assign(new Error('reset by peer'), { code: 'ECONNRESET' })

class Client {
  value = 1
  async get() {
    return this.value
  }
}
const client = new Client()

/** Ways in which a protected function answers or fails. */
const callees = [
  async () => 1,
  () => 1,
  () => Promise.resolve({ status: 200 }),
  () => client.get(),
  async () => {
    throw reset
  },
  () => {
    throw reset
  },
  // biome-ignore lint/suspicious/noThenProperty: a thenable is one of the ways
  () => ({ then: (/** @type {(value: number) => void} */ done) => done(1) }),
  () => new Promise((done) => setImmediate(done, 'later')),
  async (/** @type {{ signal?: AbortSignal } | undefined} */ context) => context?.signal?.aborted,
]

/** @param {Array<() => unknown>} calls */
async function all(calls) {
  await Promise.allSettled(calls.map(async (call) => await call()))
}

export async function polluteHoldfast() {
  const { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } = holdfast
  const breakers = [
    () => circuitBreaker({ failureThreshold: 5 }),
    () => circuitBreaker({ failureRate: 0.5, window: holdfast.countWindow(100) }),
    () => circuitBreaker({ failureRate: 0.5, window: holdfast.timeWindow(10_000) }),
    () => circuitBreaker({ slowCallRate: 0.5, slowCallDuration: 100 }),
    () => circuitBreaker({ failureThreshold: 3, resetTimeout: (count) => count * 1_000 }),
  ]
  const again = () => retry({ maxRetries: 2, baseDelay: 0, jitter: 'none' })
  const zero = () => fallback(() => 0)
  const limit = () => timeout(1_000)
  const seats = () => bulkhead({ maxConcurrent: 4, maxQueue: 50 })
  for (const breaker of breakers) {
    const shapes = [
      [breaker()],
      [again()],
      [limit()],
      [seats()],
      [zero()],
      [again(), limit()],
      [zero(), again()],
      [breaker(), limit()],
      [seats(), limit()],
      [limit(), again()],
      [again(), breaker()],
      [breaker(), again()],
      [zero(), breaker(), seats()],
      [again(), breaker(), limit()],
      [limit(), again(), breaker(), seats()],
      [zero(), again(), breaker(), seats()],
      [zero(), again(), breaker(), seats(), limit()],
      [zero(), limit(), again(), seats(), breaker(), limit()],
    ]
    for (const [number, policies] of shapes.entries()) {
      const policy = pipeline(`shape ${number}`, ...policies)
      const wrapped = policy.wrap((/** @type {number} */ value) => value)
      for (let time = 0; time < repeats; time++) {
        await all(callees.map((callee) => () => policy.execute(/** @type {any} */ (callee))))
        await all([() => wrapped(time), () => policies[0].execute(async () => time)])
      }
    }
  }
}

export async function polluteCockatiel() {
  const { bulkhead, circuitBreaker, fallback, handleAll, retry, timeout, wrap } = cockatiel
  const breakers = [
    () => new cockatiel.ConsecutiveBreaker(5),
    () => new cockatiel.CountBreaker({ threshold: 0.5, size: 100 }),
    () => new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000 }),
  ]
  const again = () =>
    retry(handleAll, { maxAttempts: 2, backoff: new cockatiel.ConstantBackoff(0) })
  for (const create of breakers) {
    for (const way of Object.values(cockatiel.timeouts)) {
      const breaker = () => circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: create() })
      const shapes = [
        [breaker()],
        [again()],
        [timeout(1_000, way)],
        [bulkhead(4, 50)],
        [fallback(handleAll, 0)],
        [again(), timeout(1_000, way)],
        [breaker(), timeout(1_000, way)],
        [fallback(handleAll, 0), again(), breaker(), bulkhead(4, 50), timeout(1_000, way)],
      ]
      for (const policies of shapes) {
        const policy = wrap(.../** @type {[any]} */ (policies))
        for (let time = 0; time < repeats; time++) {
          await all(callees.map((callee) => () => policy.execute(/** @type {any} */ (callee))))
        }
      }
    }
  }
}

export async function polluteOpossum() {
  const shapes = [
    {},
    { timeout: false },
    { capacity: 4 },
    { rollingPercentilesEnabled: false },
    { timeout: false, capacity: 4, errorThresholdPercentage: 10 },
  ]
  for (const options of shapes) {
    for (const callee of callees) {
      const action = async () => await callee(undefined)
      const breakers = [
        opossum.breaker(action, options),
        opossum.breakerWithFallback(action, options),
      ]
      for (const breaker of breakers) {
        for (let time = 0; time < repeats; time++) await all([() => breaker.fire()])
        breaker.shutdown()
      }
    }
  }
}
