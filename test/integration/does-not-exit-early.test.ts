import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bundle, bundle, runScript } from '../support/child.ts'

let library: Bundle
beforeAll(async () => {
  library = await bundle()
})
afterAll(() => library.remove())

/** Nothing else in these processes keeps them alive: a lost wait would end them with code 13. */
const waits: [what: string, script: string, told: string][] = [
  [
    'the limit of a call that hangs',
    `await holdfast.timeout(60).execute(hang).catch(tell)`,
    'ERR_TIMEOUT',
  ],
  [
    'the second limit, when the first call has ended before',
    `const limit = holdfast.timeout(60)
     const first = limit.execute(async () => 'first')
     const second = limit.execute(hang)
     tell(await first)
     await second.catch(tell)`,
    'first\nERR_TIMEOUT',
  ],
  [
    'a limit that begins while the policy is idle',
    `const limit = holdfast.timeout(60)
     await limit.execute(() => new Promise((resolve) => setTimeout(resolve, 30)))
     await new Promise((resolve) => setTimeout(resolve, 10))
     await limit.execute(hang).catch(tell)`,
    'ERR_TIMEOUT',
  ],
  [
    'a limit that begins after the policy was idle for longer than that',
    `const limit = holdfast.timeout(60)
     await limit.execute(() => new Promise((resolve) => setTimeout(resolve, 30)))
     await new Promise((resolve) => setTimeout(resolve, 80))
     await limit.execute(hang).catch(tell)`,
    'ERR_TIMEOUT',
  ],
  [
    'a deadline',
    `await holdfast.retry().execute(hang, { deadline: performance.now() + 60 }).catch(tell)`,
    'ERR_TIMEOUT',
  ],
  [
    'the pause of a retry',
    `let calls = 0
     tell(await holdfast.retry({ baseDelay: 60 }).execute(async () => {
       if (++calls < 3) throw new Error('down')
       return calls
     }))`,
    '3',
  ],
  [
    'a place in line',
    `const slots = holdfast.bulkhead({ maxConcurrent: 1, maxQueue: 1, maxWait: 60 })
     slots.execute(hang)
     await slots.execute(hang).catch(tell)`,
    'ERR_BULKHEAD_FULL',
  ],
  [
    'a retry and a fallback after a limit',
    `const { pipeline, fallback, retry, timeout } = holdfast
     let calls = 0
     const policy = pipeline('p', fallback(() => calls), retry({ maxRetries: 1, baseDelay: 20 }), timeout(30))
     tell(await policy.execute(() => { calls++; return hang() }))`,
    '2',
  ],
  [
    'the cool-down that a caller sleeps by our clock',
    `const { systemClock } = holdfast
     await new Promise((resolve) => systemClock.setTimer(resolve, 60))
     tell('slept')`,
    'slept',
  ],
]

describe('LC2 a wait is lost because its timer does not hold the process', () => {
  it.each(waits)('stays alive for %s', async (_what, script, told) => {
    const ended = await runScript(library, script)

    expect(ended).toMatchObject({ code: 0, stdout: told, stderr: '' })
    expect(ended.lingered).toBeLessThan(5_000)
  })
})

describe('endless retries without a pause', () => {
  const endless: [string, string][] = [
    ['failures', 'retry({ maxRetries: Infinity, baseDelay: 0 }).execute(down, options)'],
    [
      'synchronous failures',
      'retry({ maxRetries: Infinity, baseDelay: 0 }).execute(() => { throw new Error() }, options)',
    ],
    [
      'refused results',
      'retry({ maxRetries: Infinity, baseDelay: 0, shouldRetryResult: () => true }).execute(() => 1, options)',
    ],
    [
      'refusals',
      `pipeline('p', retry({ maxRetries: Infinity, baseDelay: 0, maxRetryAfter: 0, shouldRetry: () => true }), open)
         .execute(down, options)`,
    ],
  ]
  it.each(endless)(
    'leave the event loop its turns: an abort by a timer ends them (%s)',
    async (_what, call) => {
      const ended = await runScript(
        library,
        `
      const { pipeline, retry, circuitBreaker } = holdfast
      const open = circuitBreaker()
      open.isolate()
      const controller = new AbortController()
      const options = { signal: controller.signal }
      setTimeout(() => controller.abort('enough'), 50)
      await ${call}.catch(tell)`,
      )

      expect(ended).toMatchObject({ code: 0, stdout: 'enough', stderr: '' })
    },
  )

  it('end by a limit around them', async () => {
    const ended = await runScript(
      library,
      `
      const { pipeline, retry, timeout } = holdfast
      await pipeline('p', timeout(50), retry({ maxRetries: Infinity, baseDelay: 0 })).execute(down).catch(tell)`,
    )

    // By the limit itself, or by the last error when another attempt could not end in time.
    expect(ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^(down|ERR_TIMEOUT)$/),
      stderr: '',
    })
  })
})
