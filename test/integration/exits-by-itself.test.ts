import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bundle, bundle, runScript } from '../support/child.ts'

let library: Bundle
beforeAll(async () => {
  library = await bundle()
})
afterAll(() => library.remove())

async function expectQuickEnd(script: string, stdout = ''): Promise<void> {
  const ended = await runScript(library, script)

  expect(ended).toMatchObject({ code: 0, stdout, stderr: '' })
  expect(ended.lingered).toBeLessThan(5_000)
}

describe('LC1 an idle policy keeps the process alive', () => {
  it('ends after one use of everything, undisposed, with an open circuit', async () => {
    await expectQuickEnd(
      `
      const { pipeline, fallback, retry, retryBudget, circuitBreaker, bulkhead, timeout, keyed } = holdfast
      const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 3_600_000 })
      const calls = pipeline({ name: 'p', latency: true, onEvent() {} },
        fallback(() => 'instead'),
        retry({ maxRetries: 1, baseDelay: 1, budget: retryBudget() }),
        breaker,
        bulkhead({ maxConcurrent: 1, maxQueue: 10, maxWait: 3_600_000, abandonAfter: 3_600_000 }),
        timeout(3_600_000))
      const keys = keyed(() => timeout(3_600_000), { idleTime: 3_600_000 })
      tell(await calls.execute(async () => 'fine'))
      tell(await calls.execute(down))
      tell(await keys.execute('key', async () => 'by key'))
      tell(breaker.state)`,
      'fine\ninstead\nby key\nopen',
    )
  })

  it('ends after a timeout, a deadline and an abort of functions that take no notice', async () => {
    await expectQuickEnd(
      `
      const { pipeline, bulkhead, timeout } = holdfast
      const slots = bulkhead({ maxConcurrent: 3, abandonAfter: 3_600_000 })
      const calls = pipeline('p', slots, timeout(50))
      const controller = new AbortController()
      const aborted = calls.execute(hang, { signal: controller.signal })
      const late = calls.execute(hang, { deadline: performance.now() + 100 })
      controller.abort('enough')
      for (const call of [aborted, late, calls.execute(hang)]) await call.catch(tell)
      tell(slots.stats().abandoned)`,
      'enough\nERR_TIMEOUT\nERR_TIMEOUT\n3',
    )
  })

  it('ends with values in a cache, a refresh that hangs and a store that never answers', async () => {
    await expectQuickEnd(
      `
      const { staleCache, coalesce } = holdfast
      const hour = 3_600_000
      const cache = staleCache({ key: () => 'all', staleFor: hour, softTimeout: 20, refreshPause: hour })
      tell(await cache.execute(async () => 'fine'))
      tell(await cache.execute(hang))
      const store = { get: hang, set: hang, delete: hang }
      const stored = staleCache({ name: 'n', key: () => 'all', staleFor: hour, store, storeTimeout: 20 })
      tell(await stored.execute(async () => 'from the function'))
      const left = new AbortController()
      const shared = coalesce({ key: () => 'all' }).execute(hang, { signal: left.signal })
      left.abort('enough')
      await shared.catch(tell)`,
      'fine\nfine\nfrom the function\nenough',
    )
  })

  it('ends right after a success under a limit of an hour, and after 10,000 of them', async () => {
    await expectQuickEnd(`
      const limit = holdfast.timeout(3_600_000)
      await limit.execute(() => new Promise((resolve) => setTimeout(resolve, 5)))
      for (let n = 0; n < 10_000; n++) await limit.execute(async () => n)
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => limit.execute(async () => n)))`)
  })

  it('ends after a call that failed, threw or was refused under a limit of an hour', async () => {
    await expectQuickEnd(`
      const { pipeline, bulkhead, timeout } = holdfast
      const calls = pipeline('p', timeout(3_600_000), bulkhead({ maxConcurrent: 1 }))
      await calls.execute(down).catch(() => {})
      await calls.execute(() => { throw null }).catch(() => {})
      const long = calls.execute(() => new Promise((resolve) => setTimeout(resolve, 20)))
      await calls.execute(hang).catch(() => {})
      await long`)
  })
})

describe('RT7 a wait longer than 2^31-1 ms', () => {
  const ages = '[2 ** 31, 2 ** 32 + 5_000, Number.MAX_SAFE_INTEGER, Infinity]'

  it('never fires at once, warns of nothing, can be aborted and then holds nothing', async () => {
    await expectQuickEnd(
      `
      const { bulkhead, retry, timeout, circuitBreaker, keyed } = holdfast
      process.on('warning', (warning) => tell(warning.name))
      const controller = new AbortController()
      const { signal } = controller
      const ends = []
      const start = (name, call) => call.then(() => ends.push(name), () => ends.push(name))
      for (const age of ${ages}) {
        start('timeout', timeout(age).execute(hang, { signal }))
        start('deadline', timeout(age).execute(hang, { signal, deadline: performance.now() + age }))
        const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: age, abandonAfter: age })
        start('holder', slots.execute(hang, { signal }))
        start('waiter', slots.execute(hang, { signal }))
        if (age === Infinity) continue
        start('retry', retry({ backoff: () => age }).execute(down, { signal }))
        const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: age, trialTimeout: age })
        await breaker.execute(down).catch(() => {})
        tell(breaker.state)
        keyed(() => retry(), { idleTime: age }).get('key')
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
      tell(ends.join())
      controller.abort()
      await new Promise((resolve) => setTimeout(resolve, 0))
      tell(ends.length)`,
      'open\nopen\nopen\n\n19',
    )
  })
})

describe('L4, L5 every fault in one process', () => {
  it('is survived without a listener, without a word on stderr, and ends', async () => {
    await expectQuickEnd(
      `
      const { pipeline, fallback, retry, circuitBreaker, bulkhead, timeout } = holdfast
      const calls = pipeline('p',
        fallback({ steps: [async () => { throw new Error('step') }] }),
        retry({ maxRetries: 2, baseDelay: 5 }),
        circuitBreaker({ failureThreshold: 3, resetTimeout: 20, isFailure: async () => { throw 1 } }),
        bulkhead({ maxConcurrent: 2, maxQueue: 2, maxWait: 20, abandonAfter: 30 }),
        timeout(10))
      calls.subscribe(async () => { throw new Error('listener') })
      const faults = [down, hang, () => { throw undefined }, () => ({ then() { throw 1 } }),
        () => new Promise((_, reject) => setTimeout(reject, 40, new Error('late'))),
        ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(1)))]
      let ended = 0
      for (let round = 0; round < 20; round++) {
        const controller = new AbortController()
        const ends = faults.map((fault) => calls.execute(fault, { signal: controller.signal })
          .catch(() => {}).then(() => ended++))
        if (round % 3 === 0) controller.abort()
        await Promise.all(ends)
      }
      tell(ended)`,
      '120',
    )
  })
})
