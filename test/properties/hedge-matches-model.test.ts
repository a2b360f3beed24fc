import fc from 'fast-check'
import { hedge } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from './seed.ts'
import { settled } from './turn.ts'

// Durations bring fractions of their own, so that no two things happen at the same moment.
interface Plan {
  readonly takes: number
  readonly ends: 'ok' | 'poor' | 'transient' | 'permanent'
}

interface World {
  readonly delay: number
  readonly maxHedges: number
  readonly allowed: number
  readonly abortAt: number
  readonly plans: readonly Plan[]
}

interface Fate {
  readonly starts: number[]
  ending: string
  at: number
}

/** What the documentation says, one moment after the other. */
function foretell({ delay, maxHedges, allowed, abortAt, plans }: World): Fate {
  const starts = [0]
  const running = new Map([[0, plans[0]?.takes as number]])
  let failure: string | undefined
  let poor: string | undefined
  let closed = false
  let left = allowed
  let nextAt = delay
  for (;;) {
    const mayGoOn = !closed && starts.length <= maxHedges
    const ends = [...running].sort(([, a], [, b]) => a - b)[0]
    const hedgeAt = mayGoOn ? nextAt : Number.POSITIVE_INFINITY
    const now = Math.min(ends?.[1] ?? Number.POSITIVE_INFINITY, hedgeAt)
    if (abortAt < now) return { starts, ending: 'aborted', at: abortAt }
    const send = (): boolean => {
      if (left-- <= 0) {
        closed = true
        return false
      }
      running.set(starts.length, now + (plans[starts.length]?.takes as number))
      starts.push(now)
      nextAt = now + delay
      return true
    }
    if (now === hedgeAt) {
      send()
      continue
    }
    const [who] = ends as [number, number]
    running.delete(who)
    const how = plans[who]?.ends
    if (how === 'ok') return { starts, ending: `ok ${who}`, at: now }
    if (how === 'poor') poor ??= `poor ${who}`
    else failure ??= `${how} ${who}`
    if (how === 'permanent') closed = true
    else if (mayGoOn && send()) continue
    if (running.size === 0) return { starts, ending: (poor ?? failure) as string, at: now }
  }
}

const worlds: fc.Arbitrary<World> = fc.record({
  delay: fc.constantFrom(5, 20, 100).map((ms) => ms + 2 ** -3),
  maxHedges: fc.integer({ min: 1, max: 4 }),
  allowed: fc.constantFrom(0, 1, 2, 9),
  abortAt: fc.oneof(
    { weight: 3, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
    { weight: 1, arbitrary: fc.nat(150).map((ms) => ms + 2 ** -9) },
  ),
  plans: fc
    .array(
      fc.record({
        takes: fc.integer({ min: 0, max: 120 }),
        ends: fc.constantFrom('ok', 'ok', 'poor', 'transient', 'transient', 'permanent'),
      }),
      { minLength: 5, maxLength: 5 },
    )
    .map((plans) =>
      plans.map((plan, index) => ({ ...plan, takes: plan.takes + (index + 1) * 2 ** -14 })),
    ),
})

describe('a hedge', () => {
  it.each([false, true])(
    'makes the calls and gives the answer that a naive model foretells (detailed: %s)',
    async (detailed) => {
      await holds(
        fc.asyncProperty(worlds, async (world) => {
          const { delay, maxHedges, abortAt, plans } = world
          const clock = virtualClock()
          let left = world.allowed
          let deposits = 0
          const budget = {
            deposit: () => void deposits++,
            tryWithdraw: () => left-- > 0,
            stats: () => ({ calls: 0, retries: 0, remaining: 0, refused: 0 }),
          }
          const made: unknown[] = []
          const lost: unknown[] = []
          const policy = hedge({
            ...{ delay, maxHedges, budget, clock },
            shouldHedgeResult: (result) => String(result).startsWith('poor'),
            discard: (value) => lost.push(value),
          })
          const controller = new AbortController()
          if (Number.isFinite(abortAt)) clock.setTimer(() => controller.abort('gone'), abortAt)
          const starts: number[] = []
          const signals: AbortSignal[] = []
          let running = 0
          const call = ({ signal }: { signal: AbortSignal }): Promise<string> => {
            const who = starts.push(clock.now()) - 1
            signals.push(signal)
            const { takes, ends } = plans[who] as Plan
            running++
            return new Promise((resolve, reject) => {
              clock.setTimer(() => {
                running--
                if (ends === 'ok' || ends === 'poor') {
                  made.push(`${ends} ${who}`)
                  resolve(`${ends} ${who}`)
                } else
                  reject(
                    Object.assign(new Error(`${ends} ${who}`), {
                      status: ends === 'permanent' ? 404 : 500,
                    }),
                  )
              }, takes)
            })
          }
          const { signal } = controller
          const fate: { ending?: string; at?: number } = {}
          const note = (ending: string): void => {
            Object.assign(fate, { ending, at: clock.now() })
          }
          const answer = detailed
            ? policy.executeDetailed(call, { signal }).then(({ value, attempts }) => {
                expect(attempts).toBe(starts.length)
                return value
              })
            : policy.execute(call, { signal })
          answer.then(note, (error: unknown) =>
            note(error === 'gone' ? 'aborted' : (error as Error).message),
          )

          const expected = foretell(world)
          await clock.advance(expected.at)
          await settled()
          expect({ ...fate, starts }).toEqual(expected)
          expect(deposits).toBe(1)
          // Whoever still runs was told to stop; whoever has ended was not.
          if (expected.ending !== 'aborted') {
            expect(signals.filter(({ aborted }) => aborted)).toHaveLength(running)
          } else
            expect(signals.every(({ aborted }) => aborted || running < signals.length)).toBe(true)
          expect(policy.stats().inFlight).toBe(0)

          await clock.advance(1_000)
          expect(starts).toEqual(expected.starts)
          expect(clock.timers).toEqual([])
          // Every result is given to the caller or let go of, once.
          expect(lost.toSorted()).toEqual(made.filter((value) => value !== fate.ending).toSorted())
        }),
      )
    },
    120_000,
  )
})
