import {
  bulkhead,
  circuitBreaker,
  hedge,
  pipeline,
  retryBudget,
  systemClock,
  timeout,
} from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, quiet, times, watch } from '../support/calls.ts'
import { heldResources, withoutNoise } from '../support/leaks.ts'

describe('HG1 a deaf loser delays the winner', () => {
  it('no: the first answer is the answer, whatever the others do', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, budget: false, clock })
    const answer = watch(policy.execute(({ attempt }) => (attempt === 1 ? hangs() : 'second')))
    await clock.advance(10)

    expect(answer.value).toBe('second')
    expect(policy.stats().inFlight).toBe(0)
    expect(clock.timers).toEqual([])
  })

  it('nor does it leave anything behind, a thousand times', async () => {
    const before = heldResources().length
    const policy = hedge({ delay: 0, budget: false })
    await withoutNoise(async () => {
      for (const _ of times(1_000, () => 0)) {
        await policy.execute(({ attempt, signal }) =>
          attempt === 2
            ? 'second'
            : new Promise((_, reject) => signal.addEventListener('abort', () => reject('stopped'))),
        )
      }
    })
    expect(heldResources().length).toBeLessThanOrEqual(before)
    expect(policy.stats()).toMatchObject({ won: 1_000, inFlight: 0 })
  })
})

describe('HG3 a hedge after the end', () => {
  it('is not sent when the caller aborts in the same tick', async () => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, budget: false, clock })
    const controller = new AbortController()
    let calls = 0
    // Set first, it fires first.
    clock.setTimer(() => controller.abort('gone'), 10)
    const call = (): Promise<never> => {
      calls++
      return hangs()
    }
    const answer = watch(policy.execute(call, { signal: controller.signal }))
    await clock.advance(100)

    expect(answer.reason).toBe('gone')
    expect(calls).toBe(1)
  })

  it.each([1, 2])('is not sent when the answer comes in the same tick (%d)', async (turns) => {
    const clock = virtualClock()
    const policy = hedge({ delay: 10, budget: false, clock })
    let calls = 0
    let answerIt: (value: string) => void = () => undefined
    if (turns === 1) clock.setTimer(() => answerIt('first'), 10)
    const answer = policy.execute(() => {
      calls++
      return new Promise<string>((resolve) => {
        answerIt = resolve
      })
    })
    if (turns === 2) clock.setTimer(() => answerIt('first'), 9.999)
    await clock.advance(100)

    expect(await answer).toBe('first')
    expect(calls).toBe(1)
  })

  it('is not sent after a blocked event loop, when the answer is already there', async () => {
    const policy = hedge({ delay: 20, budget: false })
    let calls = 0
    const answer = policy.execute(() => {
      calls++
      return new Promise((resolve) => setTimeout(resolve, 10, 'first'))
    })
    await quiet()
    const until = systemClock.now() + 60
    while (systemClock.now() < until);

    expect(await answer).toBe('first')
    await quiet()
    expect(calls).toBe(1)
  })
})

describe('HG4 losers feed the breaker and the limits', () => {
  it('no: after a thousand hedged calls the circuit is closed and every slot free', async () => {
    const breaker = circuitBreaker({ failureThreshold: 1 })
    const slots = bulkhead({ maxConcurrent: 2 })
    const policy = pipeline('p', hedge({ delay: 0, budget: false }), breaker, slots, timeout(1_000))
    for (const _ of times(1_000, () => 0)) {
      await policy.execute(({ attempt, signal }) =>
        attempt === 2
          ? 'second'
          : new Promise((_, reject) => signal.addEventListener('abort', () => reject('stopped'))),
      )
    }
    expect(breaker.stats()).toMatchObject({ state: 'closed', failed: 0, succeeded: 1_000 })
    await quiet()
    expect(slots.stats()).toMatchObject({ running: 0, rejected: 0 })
  })
})

describe('HG5 hedges multiply an outage', () => {
  it.each([
    ['slow', 1],
    ['failing', 3],
  ] as const)(
    'no: ten thousand %s calls cost a tenth more at most',
    async (how, maxHedges) => {
      const clock = virtualClock()
      const budget = retryBudget({ ratio: 0.1, minPerSecond: 1, clock })
      const policies = [
        hedge({ delay: 10, maxHedges, budget, clock }),
        hedge({ delay: 20, maxHedges, budget, clock }),
      ]
      const random = seededRandom(5)
      let calls = 0
      const call = (): Promise<unknown> => {
        calls++
        if (how === 'failing') return Promise.reject(new Error('down'))
        return new Promise((resolve) => void clock.setTimer(() => resolve(1), 100))
      }
      for (let second = 0; second < 10; second++) {
        for (const _ of times(1_000, () => 0)) {
          policies[random() < 0.5 ? 0 : 1]?.execute(call).catch(() => undefined)
        }
        await clock.advance(1_000)
      }
      expect(calls).toBeGreaterThan(10_500)
      expect(calls).toBeLessThanOrEqual(11_010)
    },
    30_000,
  )

  it('a budget that is used up gives the answer, or the failure, of the call itself', async () => {
    const clock = virtualClock()
    const budget = retryBudget({ ratio: 0, minPerSecond: 0, clock })
    const policy = hedge({ delay: 10, budget, clock })
    const down = new Error('down')
    const failed = watch(policy.execute(() => Promise.reject(down)))
    const slow = watch(
      policy.execute(
        () => new Promise((resolve) => void clock.setTimer(() => resolve('slow'), 50)),
      ),
    )
    await clock.advance(50)

    expect([failed.reason, slow.value]).toEqual([down, 'slow'])
    expect(policy.stats()).toMatchObject({ hedges: 0, refused: 2 })
  })
})
