/** What governs load, in every order and before every fault: each call settles, and nothing is kept. */
import {
  adaptiveConcurrency,
  adaptiveThrottle,
  type Context,
  circuitBreaker,
  hedge,
  type Policy,
  pipeline,
  rateLimiter,
  retry,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, quiet, type Seen, watch } from '../support/calls.ts'
import { withTurns } from '../support/clocks.ts'
import { listenersOn, withoutNoise } from '../support/leaks.ts'
import { faults } from '../support/orders.ts'

const kinds = ['hedge', 'retry', 'limiter', 'adaptive', 'throttle', 'timeout'] as const
type Kind = (typeof kinds)[number]

function make(time: VirtualClock, turns: boolean): Record<Kind, Policy> {
  const clock = turns ? withTurns(time) : time
  return {
    hedge: hedge({ delay: 20, maxHedges: 2, budget: false, clock }),
    retry: retry({ maxRetries: 2, baseDelay: 10, clock }),
    limiter: rateLimiter({ limit: 10, interval: 100, maxQueue: 5, maxWait: 300, clock }),
    adaptive: adaptiveConcurrency({ initialLimit: 3, maxQueue: 3, maxWait: 200, clock }),
    throttle: adaptiveThrottle({ window: 1_000, clock }),
    timeout: timeout({ duration: 100, clock }),
  }
}

/** Each kind once at each place, and each pair of neighbours: a sample of the 720 orders. */
const orders: Kind[][] = kinds.flatMap((_, shift) => {
  const turned = [...kinds.slice(shift), ...kinds.slice(0, shift)]
  return [
    turned,
    turned.toReversed(),
    [...turned].sort((a, b) => a.localeCompare(b)),
    pairs(turned),
  ]
})

function pairs(order: readonly Kind[]): Kind[] {
  const [a, b, c, d, e, f] = order as [Kind, Kind, Kind, Kind, Kind, Kind]
  return [c, a, e, b, f, d]
}

describe.each([
  ['an exact clock', false],
  ['a clock with turns', true],
])('on %s', (_what, turns) => {
  it.each(orders.map((order) => [order.join(' > '), order] as const))(
    '%s: every call settles and nothing is kept',
    async (_title, order) => {
      for (const [fault, behave] of faults) {
        const clock = virtualClock()
        const made = make(clock, turns)
        const members = order.map((kind) => made[kind])
        const policy = pipeline('all', ...members)
        const hung: Gate[] = []
        const controller = new AbortController()
        const { signal } = controller
        const calls: Seen<unknown>[] = []
        let sent = 0
        await withoutNoise(async () => {
          const call = (options = {}): void => {
            const run = (context: Context): unknown => behave(context, ++sent, hung)
            calls.push(watch(policy.execute(run, options)))
          }
          for (let n = 0; n < 12; n++) call([{ signal }, { deadline: 150 }, {}][n % 3])
          await clock.advance(25)
          controller.abort('enough')
          await clock.advance(50)
          for (let n = 0; n < 6; n++) call()
          for (let step = 0; step < 12; step++) await clock.advance(500)
          // Without a limit of its own a call that hangs may wait for ever; what hangs is let go now.
          for (const work of hung) work.open()
          for (let step = 0; step < 12; step++) await clock.advance(500)
          await quiet()
        })
        const where = `${order.join(' > ')}, ${fault}`
        expect(
          calls.map(({ status }) => status),
          where,
        ).not.toContain('pending')
        expect(listenersOn(signal), where).toBe(0)
        expect(clock.pending, where).toBe(0)
        expect(policy.stats(), where).toMatchObject({ calls: calls.length, inFlight: 0 })
        for (const member of members) {
          const { inFlight, calls: all, ...ended } = member.stats()
          const { succeeded, failed, timedOut, rejected, aborted } = ended
          expect(inFlight, `${where}: ${member.name}`).toBe(0)
          expect(all).toBe(succeeded + failed + timedOut + rejected + aborted)
        }
        expect(made.adaptive.stats(), where).toMatchObject({ running: 0, queued: 0 })
        expect(sent, where).toBeLessThanOrEqual(calls.length * 9)
      }
    },
    20_000,
  )
})

describe('a breaker between them', () => {
  it('opens by what the dependency does, and by nothing that they do', async () => {
    const clock = virtualClock()
    const breaker = circuitBreaker({ failureThreshold: 3, clock })
    const policy = pipeline(
      'all',
      breaker,
      rateLimiter({ limit: 1, interval: 60_000, clock }),
      adaptiveConcurrency({ initialLimit: 1, clock }),
    )
    await policy.execute(() => 'fine')
    for (let n = 0; n < 20; n++) await policy.execute(() => 'fine').catch(() => undefined)

    expect(breaker.stats()).toMatchObject({ state: 'closed', ignored: 20, rejected: 20 })
  })
})
