import fc from 'fast-check'
import { type RetryBudget, type RetryInfo, retry, TimeoutError } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { bulkheadFull } from '../support/thrown.ts'
import { holds } from './seed.ts'

type Way = 'ok' | 'refused' | 'down' | 'busy' | 'gone' | 'bug' | 'full' | 'slow'

interface Options {
  readonly maxRetries: number
  readonly baseDelay: number
  readonly factor: number
  readonly maxDelay: number
  readonly ownBackoff: boolean
  readonly maxRetryAfter: number | undefined
  readonly maxElapsed: number
  readonly stubborn: boolean | undefined
}

/** One call of the caller, and what the function will do each time it is called. */
interface Plan {
  readonly startAt: number
  readonly attempts: readonly { readonly takes: number; readonly way: Way }[]
  /** Since the start of the call. */
  readonly abortAt: number
  readonly timeLeft: number
}

const busyFor = 2_000
const errors: Partial<Record<Way, unknown>> = {
  down: new Error('down'),
  busy: { status: 503, headers: { 'retry-after': `${busyFor / 1_000}` } },
  gone: { status: 404 },
  bug: new TypeError('not a function'),
  full: bulkheadFull('inner'),
  slow: new TimeoutError('inner', 5),
}
const forever = Number.POSITIVE_INFINITY
const changedMind = { changed: 'my mind' }

/** Everything that somebody could notice of a call, in order. */
type Log = unknown[][]

/** What the documentation says: a loop, and additions. */
function expected(options: Options, plan: Plan, budget: readonly boolean[]): Log {
  const { maxRetries, maxElapsed, maxDelay, baseDelay, factor, stubborn } = options
  const log: Log = []
  const end = Math.min(plan.abortAt, plan.timeLeft)
  const cut = end === plan.abortAt ? ['rejected', end, 'changed mind'] : ['rejected', end, 'late']
  const allowances = [...budget]
  let now = 0
  let previous = 0

  for (let attempt = 1; ; attempt++) {
    const { takes, way } = plan.attempts[attempt - 1] ?? { takes: 0, way: 'ok' }
    log.push(['before', attempt, now], ['called', attempt, now])
    now += takes
    if (end < now) return [...log, cut]
    log.push(['after', attempt, now, way === 'refused' ? 'ok' : way])
    if (way === 'ok') return [...log, ['resolved', now, 'ok']]
    const answer = [way === 'refused' ? 'resolved' : 'rejected', now, way]
    const giveUp = (reason: string): Log => [...log, ['give up', attempt, now, reason], answer]

    const worthIt = way === 'refused' || way === 'down' || way === 'busy' || way === 'slow'
    if (!(way === 'refused' ? worthIt : (stubborn ?? worthIt))) return giveUp('not-retryable')
    if (attempt > maxRetries) return giveUp('max-retries')
    const grown = options.ownBackoff ? previous + 7 * attempt : baseDelay * factor ** (attempt - 1)
    const asked = way === 'busy' ? Math.min(busyFor, options.maxRetryAfter ?? maxDelay) : 0
    const delay = Math.max(Math.min(grown, maxDelay), asked)
    if (now + delay >= maxElapsed) return giveUp('max-elapsed')
    if (now + delay >= plan.timeLeft) return giveUp('deadline')
    if (allowances.shift() === false) return giveUp('budget')
    log.push(['retry', attempt, now, delay])
    previous = delay
    now += delay
    if (end < now) return [...log, cut]
  }
}

/** The same calls, made for real, all by one policy. */
async function seen(
  options: Options,
  plans: readonly Plan[],
  budget: readonly boolean[],
): Promise<Log[]> {
  const clock = virtualClock({ start: 500 })
  const { ownBackoff, stubborn, maxRetryAfter, baseDelay, factor, ...rest } = options
  const logs: Log[] = plans.map(() => [])
  const allowances = [...budget]
  const allowance: RetryBudget = {
    deposit: () => undefined,
    tryWithdraw: () => allowances.shift() ?? true,
    stats: () => ({ calls: 0, retries: 0, remaining: 0, refused: 0 }),
  }
  const [log, plan] = [logs[0] ?? [], plans[0]]
  const since = ({ startAt }: Plan): number => clock.now() - 500 - startAt
  const note = (what: string, { attempt, retriesLeft, elapsed }: RetryInfo, ...more: unknown[]) => {
    expect(retriesLeft).toBe(options.maxRetries - attempt + 1)
    if (plan !== undefined && plans.length === 1) expect(elapsed).toBe(since(plan))
    log.push([what, attempt, elapsed, ...more])
  }
  const policy = retry({
    ...rest,
    ...(ownBackoff
      ? { backoff: (attempt, { previous }) => previous + 7 * attempt }
      : { baseDelay, factor, jitter: 'none' }),
    ...(maxRetryAfter !== undefined && { maxRetryAfter }),
    ...(budget.length > 0 && { budget: allowance }),
    shouldRetry: () => stubborn,
    shouldRetryResult: (result) => result === 'refused',
    beforeAttempt: (info) => note('before', info),
    afterAttempt: (info) => note('after', info, nameOf(info.error)),
    onRetry: (info) => note('retry', info, info.delay),
    onGiveUp: (info) => note('give up', info, info.reason),
    clock,
    // What is added to a Retry-After is nothing.
    random: () => 0,
  })
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.setTimer(resolve, ms))

  const calls = plans.map(async (one, who) => {
    const mine = logs[who] as Log
    await wait(one.startAt)
    const controller = new AbortController()
    clock.setTimer(() => controller.abort(changedMind), one.abortAt)
    let called = 0
    const answer = policy.execute(
      async ({ attempt }) => {
        mine.push(['called', attempt, since(one)])
        expect(attempt).toBe(++called)
        const { takes, way } = one.attempts[attempt - 1] ?? { takes: 0, way: 'ok' }
        if (takes > 0) await wait(takes)
        if (way in errors) throw errors[way]
        return way
      },
      {
        signal: controller.signal,
        deadline: one.timeLeft === forever ? undefined : clock.now() + one.timeLeft,
      },
    )
    await answer.then(
      (value) => mine.push(['resolved', since(one), value]),
      (error) => mine.push(['rejected', since(one), nameOf(error)]),
    )
  })
  await clock.advance(100_000)
  await Promise.all(calls)
  expect(clock.timers).toEqual([])
  expect(policy.stats()).toMatchObject({ inFlight: 0, calls: plans.length })
  return logs
}

function nameOf(error: unknown): unknown {
  if (error === undefined) return 'ok'
  if (error === changedMind) return 'changed mind'
  const way = Object.keys(errors).find((one) => errors[one as Way] === error)
  return way ?? (error instanceof TimeoutError ? 'late' : error)
}

const options: fc.Arbitrary<Options> = fc
  .record({
    maxRetries: fc.integer({ min: 0, max: 5 }),
    baseDelay: fc.constantFrom(0, 10, 100),
    factor: fc.constantFrom(1, 2, 2.5),
    maxDelay: fc.constantFrom(0, 50, 1_000),
    ownBackoff: fc.boolean(),
    maxRetryAfter: fc.constantFrom(undefined, undefined, 0, 300, 60_000),
    maxElapsed: fc.constantFrom(forever, forever, 60, 300).map((ms) => ms + 2 ** -5),
    stubborn: fc.constantFrom(undefined, undefined, undefined, true, false),
  })
  .map((some) => ({ ...some, baseDelay: Math.min(some.baseDelay, some.maxDelay) }))
const way = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Way>('down') },
  { weight: 1, arbitrary: fc.constant<Way>('ok') },
  { weight: 4, arbitrary: fc.constantFrom<Way>('refused', 'busy', 'slow', 'gone', 'bug', 'full') },
)
const attempt = fc.record({ takes: fc.constantFrom(0, 0, 1, 20, 150), way })
const plan: fc.Arbitrary<Plan> = fc.record({
  startAt: fc.nat(100),
  attempts: fc.array(attempt, { maxLength: 6 }),
  abortAt: fc.constantFrom(forever, forever, forever, 0, 15, 120, 400).map((ms) => ms + 2 ** -6),
  timeLeft: fc.constantFrom(forever, forever, forever, 0, 30, 200, 2_500).map((ms) => ms + 2 ** -4),
})

describe('a retry', () => {
  it('calls, pauses, gives up and tells its hooks exactly as documented', async () => {
    const budgets = fc.array(fc.boolean(), { maxLength: 4 })

    await holds(
      fc.asyncProperty(options, plan, budgets, async (chosen, one, budget) => {
        expect(await seen(chosen, [one], budget)).toEqual([expected(chosen, one, budget)])
      }),
    )
  }, 300_000)

  it('shares nothing between calls under way', async () => {
    const public_ = (log: Log): Log =>
      log.filter(([what]) => what === 'called' || what === 'resolved' || what === 'rejected')

    await holds(
      fc.asyncProperty(
        options,
        fc.array(plan, { minLength: 2, maxLength: 5 }),
        async (...given) => {
          const [chosen, plans] = given
          const logs = await seen(chosen, plans, [])
          expect(logs.map(public_)).toEqual(plans.map((one) => public_(expected(chosen, one, []))))
        },
      ),
    )
  }, 300_000)
})
