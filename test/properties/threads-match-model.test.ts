/**
 * Thread pools in any history: each task ends once, for a reason that was there, on a thread that did
 * nothing else. By a piscina that does what the history says; real threads play shorter ones in
 * `test/integration/threads-any-history.test.ts`.
 */
import fc from 'fast-check'
import { constant } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { threadPools } from 'holdfast/threads'
import { describe, expect, it } from 'vitest'
import { Floor } from '../support/threads/fake-piscina.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

const kinds = [
  'run',
  'run',
  'run',
  'run with a signal',
  'run with a signal',
  'run for long',
  'comes up',
  'comes up',
  'comes up',
  'does not load',
  'answers',
  'answers',
  'answers',
  'throws',
  'crashes',
  'crashes with an error',
  'leaves',
  'leaves',
  'abort',
  'abort',
  'advance',
  'advance',
  'drain',
  'close',
] as const

const step = fc.tuple(fc.constantFrom(...kinds), fc.nat(1_000), fc.boolean())
const shape = fc.record({
  threads: fc.integer({ min: 1, max: 3 }),
  minThreads: fc.integer({ min: 0, max: 1 }),
  maxQueue: fc.constantFrom(0, 2, Number.POSITIVE_INFINITY),
  maxWait: fc.constantFrom(250, Number.POSITIVE_INFINITY),
  timeout: fc.constantFrom(100, Number.POSITIVE_INFINITY),
  startTimeout: fc.constantFrom(150, Number.POSITIVE_INFINITY),
  abortGrace: fc.constantFrom(0, 30),
  maxTasks: fc.constantFrom(2, Number.POSITIVE_INFINITY),
  idleTimeout: fc.constantFrom(300, Number.POSITIVE_INFINITY),
})

/** What a naive model knows of a call. */
interface Call {
  readonly id: number
  readonly at: number
  readonly caller: AbortController | undefined
  readonly crowded: boolean
  runAt: number
  answered: 'value' | 'error' | undefined
  crashed: boolean
  outcome: { value: unknown } | { error: unknown } | undefined
  endedAt: number
}

function pick<T>(list: readonly T[], choice: number): T | undefined {
  return list[choice % Math.max(1, list.length)]
}

describe('thread pools', () => {
  it('end each task once, for a reason, and never have a thread too many', async () => {
    await holds(
      fc.asyncProperty(
        shape,
        fc.array(step, { maxLength: 60 }),
        fc.nat(),
        async (sizes, history, dice) => {
          const clock = virtualClock()
          const floor = new Floor()
          const pools = threadPools(
            { work: { module: 'file:///tasks.js', restartBackoff: constant(40), ...sizes } },
            { Piscina: floor.Piscina, clock, random: seededRandom(dice) },
          )
          const calls: Call[] = []
          let startFailures = 0
          let shutAt = Number.POSITIVE_INFINITY
          let closing: Promise<unknown> | undefined
          let draining: Promise<unknown> | undefined

          const run = (options: object, caller?: AbortController): void => {
            const { running, queued } = pools.stats().work
            const crowded = running + queued >= sizes.threads
            const call: Call = {
              id: calls.length,
              at: clock.now(),
              caller,
              crowded,
              runAt: Number.POSITIVE_INFINITY,
              answered: undefined,
              crashed: false,
              outcome: undefined,
              endedAt: 0,
            }
            calls.push(call)
            const end = (outcome: NonNullable<Call['outcome']>): void => {
              same(call.outcome, undefined)
              call.outcome = outcome
              call.endedAt = clock.now()
            }
            pools.run('work', call.id, { name: 'echo', ...options }).then(
              (value) => end({ value }),
              (error: unknown) => end({ error }),
            )
          }
          const callOf = (worker: { order: { task?: unknown } | undefined } | undefined) =>
            calls.find(({ id }) => worker?.order !== undefined && worker.order.task === id)
          floor.onTask = (task) => {
            const call = calls.find(({ id }) => id === task)
            same(call?.runAt, Number.POSITIVE_INFINITY)
            if (call !== undefined) call.runAt = clock.now()
          }
          const look = (): void => {
            const { running, queued, threads } = pools.stats().work
            expect(floor.live.length).toBeLessThanOrEqual(sizes.threads)
            expect(threads.total).toBeLessThanOrEqual(sizes.threads)
            expect(queued).toBeLessThanOrEqual(sizes.maxQueue)
            if (closing === undefined) expect(running).toBeLessThanOrEqual(sizes.threads)
            // Nobody waits beside a free slot, nor beside an idle thread.
            if (closing === undefined && queued > 0) same(running, sizes.threads)
            const well = floor.live.filter(
              (one) => one.ready && !one.told && one.order === undefined,
            )
            expect(threads.idle).toBeLessThanOrEqual(well.length)
            if (threads.idle > 0) expect(running).toBeLessThanOrEqual(threads.busy)
            same(floor.workers.flatMap(({ complaints }) => complaints).join(), '')
          }

          const steps: Record<(typeof kinds)[number], (choice: number, ahead: boolean) => unknown> =
            {
              run: () => run({}),
              'run with a signal': () => {
                const caller = new AbortController()
                run({ signal: caller.signal }, caller)
              },
              'run for long': () => run({ timeout: Number.POSITIVE_INFINITY }),
              'comes up': (choice, ahead) => {
                const starting = floor.live.filter(({ order }) => order?.name === 'start')
                pick(starting, choice)?.answer({ ok: true, value: undefined }, ahead)
              },
              'does not load': (choice) => {
                const starting = floor.live.filter(({ order }) => order?.name === 'start')
                const worker = pick(starting, choice)
                if (worker === undefined) return
                startFailures++
                worker.answer({ ok: false, error: { kind: 'plain', value: 'does not load' } }, true)
              },
              answers: (choice, ahead) => {
                const worker = pick(
                  floor.live.filter((one) => callOf(one) !== undefined),
                  choice,
                )
                const call = callOf(worker)
                if (call !== undefined) call.answered = 'value'
                worker?.answer({ ok: true, value: call?.id }, ahead)
              },
              throws: (choice, ahead) => {
                const worker = pick(
                  floor.live.filter((one) => callOf(one) !== undefined),
                  choice,
                )
                const call = callOf(worker)
                if (call !== undefined) call.answered = 'error'
                worker?.answer(
                  { ok: false, error: { kind: 'plain', value: `of ${call?.id}` } },
                  ahead,
                )
              },
              crashes: (choice) => crash(choice, undefined),
              'crashes with an error': (choice) => crash(choice, new Error('uncaught')),
              leaves: (choice) =>
                pick(
                  floor.live.filter(({ told }) => told),
                  choice,
                )?.leave(1),
              abort: (choice) => pick(calls, choice)?.caller?.abort(`by ${choice}`),
              advance: (choice) => clock.advance(choice % 120),
              drain: () => {
                draining ??= pools.drain({ timeout: 200 })
                shutAt = Math.min(shutAt, clock.now())
              },
              close: (choice) => {
                closing ??= pools.close({ timeout: choice % 50 })
                shutAt = Math.min(shutAt, clock.now())
              },
            }
          const crash = (choice: number, error: unknown): void => {
            const worker = pick(
              floor.live.filter(({ told }) => !told),
              choice,
            )
            if (worker === undefined) return
            const call = callOf(worker)
            if (call !== undefined) call.crashed = true
            if (worker.order === undefined || worker.order.name === 'start') startFailures++
            worker.crash(error)
          }

          for (const [kind, choice, yields] of history) {
            await steps[kind](choice, yields)
            // Without a pause between, several things happen in one turn.
            if (yields || kind === 'advance') {
              await settled()
              look()
            }
          }
          await settled()
          look()

          // The end: whatever still runs is closed, threads that were told to go do.
          closing ??= pools.close({ timeout: 10 })
          shutAt = Math.min(shutAt, clock.now())
          for (let n = 0; n < 4; n++) {
            await settled()
            for (const worker of floor.live) if (worker.told) worker.leave(1)
            await clock.advance(200)
          }
          await Promise.all([closing, draining])
          await settled()

          same(floor.live.length, 0)
          same(floor.workers.flatMap(({ complaints }) => complaints).join(), '')
          const { running, queued, threads, ...stats } = pools.stats().work
          same([running, queued, threads.total].join(), '0,0,0')
          same(stats.succeeded, calls.filter(({ outcome }) => 'value' in Object(outcome)).length)
          for (const call of calls) expectReason(call, { sizes, startFailures, shutAt })
          const refusedAtTheDoor = calls.filter(
            ({ at, outcome }) => at >= shutAt && codeOf(outcome) === 'ERR_POOL_CLOSED',
          ).length
          expect(stats.calls).toBeGreaterThanOrEqual(calls.length - refusedAtTheDoor)
          expect(stats.calls).toBeLessThanOrEqual(calls.length)
        },
      ),
    )
  }, 300_000)
})

function codeOf(outcome: Call['outcome']): unknown {
  if (outcome === undefined || !('error' in outcome)) return undefined
  return (Object(outcome.error) as { code?: unknown }).code
}

interface World {
  readonly sizes: Record<'maxWait' | 'timeout' | 'startTimeout', number>
  readonly startFailures: number
  readonly shutAt: number
}

/** Whatever a call ended with has to have happened to it. */
function expectReason(call: Call, { sizes, startFailures, shutAt }: World): void {
  const { outcome, caller, id, at, runAt, endedAt } = call
  expect(outcome, `call ${id} never ended`).toBeDefined()
  if (outcome === undefined) return
  if ('value' in outcome) {
    same(outcome.value, id)
    same(call.answered, 'value')
    return
  }
  const { error } = outcome
  const why = codeOf(outcome)
  if (caller?.signal.aborted && error === caller.signal.reason) return
  if (error === `of ${id}`) return same(call.answered, 'error')
  if (why === 'ERR_TIMEOUT') return expect(endedAt - runAt).toBeGreaterThanOrEqual(sizes.timeout)
  if (why === 'ERR_THREAD_ENDED') {
    const { reason } = error as { reason: string }
    return reason === 'closed' ? expect(shutAt).toBeLessThan(Infinity) : same(call.crashed, true)
  }
  expect(runAt, `call ${id} ran, and was rejected with ${why}`).toBe(Number.POSITIVE_INFINITY)
  if (why === 'ERR_POOL_CLOSED') return expect(endedAt).toBeGreaterThanOrEqual(shutAt)
  if (why === 'ERR_THREAD_START') {
    return same(startFailures > 0 || endedAt >= sizes.startTimeout, true)
  }
  if (why === 'ERR_ACQUIRE_TIMEOUT')
    return expect(endedAt - at).toBeGreaterThanOrEqual(sizes.maxWait)
  same(why, 'ERR_BULKHEAD_FULL')
  if (endedAt - at < sizes.maxWait) same(call.crowded, true)
}
