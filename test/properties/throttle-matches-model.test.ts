import fc from 'fast-check'
import { adaptiveThrottle, ThrottledError } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

const window = 4_000
const width = window / 40

type Ending = 'ok' | 'transient' | 'permanent' | 'bug'
type Step = ['start'] | ['end', number, Ending] | ['advance', number]

const errors = {
  transient: new Error('down'),
  permanent: Object.assign(new Error('not found'), { status: 404 }),
  bug: new TypeError('bug'),
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>(['start']) },
  {
    weight: 5,
    arbitrary: fc.tuple(
      fc.constant('end' as const),
      fc.nat(9),
      fc.constantFrom<Ending>('ok', 'transient', 'transient', 'transient', 'permanent', 'bug'),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('advance' as const), fc.constantFrom(0, 50, 400, 1_000, 5_000)),
  },
)

describe('an adaptive throttle', () => {
  it('rejects whom the formula of the book rejects, by the same dice', async () => {
    await holds(
      fc.asyncProperty(
        fc.record({
          multiplier: fc.constantFrom(1, 1.5, 2, 5),
          maxRejection: fc.constantFrom(0.5, 0.9, 0.999),
          minimumCalls: fc.constantFrom(1, 3, 10),
        }),
        fc.integer(),
        fc.array(step, { minLength: 1, maxLength: 80 }),
        async ({ multiplier, maxRejection, minimumCalls }, dice, steps) => {
          const clock = virtualClock()
          const random = seededRandom(dice)
          const policy = adaptiveThrottle({
            multiplier,
            maxRejection,
            minimumCalls,
            window,
            random,
            clock,
          })
          const sameDice = seededRandom(dice)
          // Everything that was ever counted, in the step of the window in which it was.
          const seen: { step: number; accepted: boolean }[] = []
          const running: ReturnType<typeof deferred<string>>[] = []
          const stepNow = (): number => Math.floor(clock.now() / width)
          const share = (): number => {
            const recent = seen.filter((one) => one.step > stepNow() - 40)
            const accepts = recent.filter(({ accepted }) => accepted).length
            if (recent.length < minimumCalls) return 0
            const wanted = (recent.length - multiplier * accepts) / (recent.length + 1)
            return Math.max(0, Math.min(wanted, maxRejection))
          }

          // Calls pass unasked from when nobody would be rejected until one has ended: what the window
          // forgets in between, without a call, is noticed then.
          let asks = false

          for (const [kind, ...rest] of steps) {
            if (kind === 'advance') await clock.advance(rest[0] as number)
            else if (kind === 'end') {
              const [call] = running.splice((rest[0] as number) % Math.max(1, running.length), 1)
              if (call === undefined) continue
              const ending = rest[1] as Ending
              if (ending === 'ok') call.resolve('ok')
              else call.reject(errors[ending])
              await settled()
              if (ending === 'bug') continue
              seen.push({ step: stepNow(), accepted: ending !== 'transient' })
              asks = share() > 0
            } else {
              const rejects = asks && share() > 0 && sameDice() < share()
              const held = deferred<string>()
              let called = false
              let error: unknown
              policy
                .execute(() => {
                  called = true
                  return held.promise
                })
                .catch((thrown: unknown) => {
                  error = thrown
                })
              await settled()
              same(called, !rejects)
              same(error instanceof ThrottledError, rejects)
              if (rejects) seen.push({ step: stepNow(), accepted: false })
              else running.push(held)
              if (asks) asks = share() > 0
            }
            expect(policy.stats().rejection).toBeCloseTo(share(), 10)
            same(policy.stats().inFlight, running.length)
          }
          expect(clock.timers).toEqual([])
        },
      ),
    )
  }, 300_000)
})
