/**
 * Short random histories with real threads, two pools beside each other. Each costs dozens of threads, so
 * there are 25 of them; the same claims are checked in thousands of histories without threads in
 * `test/properties/threads-match-model.test.ts`.
 */
import fc from 'fast-check'
import { constant } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { holds } from '../properties/seed.ts'
import { times } from '../support/calls.ts'
import { tasks, until, useThreads } from '../support/threads.ts'

const rig = useThreads()

const kinds = [
  'echo',
  'sleep',
  'spin',
  'exit',
  'exitLater',
  'crashLater',
  'reject',
  'fail',
] as const
const step = fc.record({
  name: fc.constantFrom(...kinds),
  ms: fc.integer({ min: 0, max: 12 }),
  /** When the caller changes its mind, in ms; 0 for never. */
  patience: fc.constantFrom(0, 0, 1, 5, 30),
  timeout: fc.constantFrom(5, 40, 5_000),
  /** Time until the next step, in ms. */
  pause: fc.constantFrom(0, 0, 0, 2, 20),
})
const known = [
  'ERR_BULKHEAD_FULL',
  'ERR_ACQUIRE_TIMEOUT',
  'ERR_TIMEOUT',
  'ERR_THREAD_ENDED',
  'ERR_POOL_CLOSED',
  'E_DECLINED',
]
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('thread pools with real threads', () => {
  it('settle every task for a reason, and can do as much as before', async () => {
    const histories = fc.array(step, { minLength: 5, maxLength: 25 })
    await holds(
      fc.asyncProperty(histories, fc.boolean(), async (history, closes) => {
        const options = { module: tasks, restartBackoff: constant(1) }
        const pools = rig.pools({
          work: { ...options, threads: 2, maxQueue: 8, maxWait: 10_000 },
          beside: { ...options, threads: 1, minThreads: 1 },
        })
        await pools.warmUp()
        const thread = await pools.run('beside', 0, { name: 'thread' })
        const calls: Promise<void>[] = []

        for (const [id, { name, ms, patience, timeout, pause }] of history.entries()) {
          const caller = new AbortController()
          const { signal } = caller
          const reason = { id }
          if (patience > 0) setTimeout(() => caller.abort(reason), patience)
          const task = name === 'echo' ? { id } : name === 'fail' ? 'coded' : ms
          const call = pools.run('work', task, { name, timeout, signal }).then(
            (value) => {
              const answers = { echo: { id }, sleep: ms, spin: ms } as Record<string, unknown>
              expect(value).toEqual(answers[name])
            },
            (error: { code?: unknown }) => {
              if (signal.aborted && error === reason) return
              expect(known).toContain(error.code)
            },
          )
          calls.push(call)
          expect(pools.stats().work.threads.total).toBeLessThanOrEqual(2)
          if (pause > 0) await sleep(pause)
        }
        const closing = closes ? pools.close({ timeout: 50 }) : undefined
        await Promise.all(calls)

        if (closing !== undefined) {
          await closing
          expect(pools.stats().work.threads.total).toBe(0)
          return
        }
        // As many as before run at the same time, as soon as what was left to crash has crashed.
        for (let well = false; !well; ) {
          await until(() => pools.stats().work.running === 0)
          const fresh = times(2, () => pools.run('work', 20, { name: 'sleep' }))
          expect(pools.stats().work).toMatchObject({ running: 2, queued: 0 })
          const outcomes = await Promise.allSettled(fresh)
          const errors = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
          for (const error of errors) expect(error).toMatchObject({ code: 'ERR_THREAD_ENDED' })
          well = errors.length === 0
        }
        expect(await pools.run('beside', 0, { name: 'thread' })).toBe(thread)
        await pools.close({ timeout: 0 })
      }),
      25,
    )
  }, 300_000)
})
