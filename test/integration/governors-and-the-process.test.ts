/** What fake timers cannot show of rate limits, hedges and adaptive limits: processes that end, and waits that hold. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bundle, bundle, runScript } from '../support/child.ts'

let library: Bundle
beforeAll(async () => {
  library = await bundle()
})
afterAll(() => library.remove())

describe('LC1 what governs load keeps an idle process alive', () => {
  it('no: it ends after one use of everything', async () => {
    const ended = await runScript(
      library,
      `
      const { pipeline, rateLimiter, hedge, adaptiveConcurrency, adaptiveThrottle } = holdfast
      const hour = 3_600_000
      const calls = pipeline('p',
        adaptiveThrottle({ window: hour }),
        hedge({ delay: hour, percentile: 0.9, shouldHedge: () => false }),
        rateLimiter({ limit: 1, interval: hour, burst: 5, maxQueue: 5, maxWait: hour * 9 }),
        adaptiveConcurrency({ probeInterval: hour, abandonAfter: hour }))
      tell(await calls.execute(async () => 'fine'))
      await calls.execute(down).catch(() => tell('failed'))
      const left = new AbortController()
      const hangs = calls.execute(hang, { signal: left.signal })
      left.abort('enough')
      await hangs.catch(tell)
      for (let n = 0; n < 2; n++) await calls.execute(async () => n)
      const queued = new AbortController()
      const waits = calls.execute(async () => 'never', { signal: queued.signal })
      setTimeout(() => queued.abort('left the line'), 5)
      await waits.catch(tell)`,
    )

    expect(ended).toMatchObject({
      code: 0,
      stdout: 'fine\nfailed\nenough\nleft the line',
      stderr: '',
    })
    expect(ended.lingered).toBeLessThan(5_000)
  })
})

describe('LC2 a wait is lost because nothing holds the process', () => {
  it('no: a turn is waited for, and a hedge that is to come is sent', async () => {
    const ended = await runScript(
      library,
      `
      const { rateLimiter, hedge } = holdfast
      const limiter = rateLimiter({ limit: 1, interval: 100, maxQueue: 5 })
      const turns = [1, 2, 3].map((n) => limiter.execute(async () => n))
      tell((await Promise.all(turns)).join())
      const slowAtFirst = ({ attempt }) => attempt === 1 ? hang() : 'call ' + attempt
      tell(await hedge({ delay: 50, budget: false }).execute(slowAtFirst))`,
    )

    expect(ended).toMatchObject({ code: 0, stdout: '1,2,3\ncall 2', stderr: '' })
  })
})
