import fc from 'fast-check'
import { limiter } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, it } from 'vitest'
import { type Gate, gate } from '../support/calls.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

const kinds = [
  'call',
  'call',
  'call',
  'signal',
  'signal',
  'nested',
  'throws',
  'ends',
  'ends',
  'ends',
  'fails',
  'abort',
  'resize',
  'advance',
] as const
const step = fc.tuple(fc.constantFrom(...kinds), fc.nat(1_000))

function pick<T>(list: T[], choice: number): T | undefined {
  return list.length === 0 ? undefined : list.splice(choice % list.length, 1)[0]
}

describe('a limiter', () => {
  it('never runs too many, keeps nobody for ever, and gives every slot back, in any history', async () => {
    const histories = fc.array(step, { maxLength: 60 })
    const bound = fc.constantFrom(0, 3, Number.POSITIVE_INFINITY)
    await holds(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        bound,
        histories,
        async (size, maxQueue, history) => {
          const clock = virtualClock()
          const limit = limiter(size, { maxQueue, stallTimeout: 500, clock })
          const working: Gate[] = []
          const callers: AbortController[] = []
          const seen = { running: 0, most: size, pending: 0, refused: 0 }
          const work = async (): Promise<void> => {
            seen.running++
            const ends = gate()
            working.push(ends)
            await ends.promise.finally(() => seen.running--)
          }
          const nested = async (): Promise<void> => {
            seen.running++
            await limit(work).finally(() => seen.running--)
          }
          const wait = (call: Promise<unknown>): void => {
            seen.pending++
            call
              .catch((error) => {
                if (error?.code === 'ERR_LIMITER_FULL') seen.refused++
              })
              .finally(() => seen.pending--)
          }
          const throwing = (): never => {
            throw new Error('at once')
          }

          for (const [kind, choice] of history) {
            if (kind === 'call') wait(limit(work))
            else if (kind === 'nested') wait(limit(nested))
            else if (kind === 'throws') wait(limit(throwing))
            else if (kind === 'signal') {
              const caller = new AbortController()
              callers.push(caller)
              wait(limit(work, { signal: caller.signal }))
            } else if (kind === 'ends') pick(working, choice)?.open()
            else if (kind === 'fails') pick(working, choice)?.fail(new Error('work'))
            else if (kind === 'abort') pick(callers, choice)?.abort(new Error('caller'))
            else if (kind === 'resize') {
              limit.resize(1 + (choice % 4))
              seen.most = Math.max(limit.concurrency, seen.running)
            } else await clock.advance(choice)
            await settled()
            const { running, queued, concurrency } = limit.stats()
            same(running, seen.running)
            same(running <= seen.most, true)
            // Work-conserving: nobody waits beside a free slot.
            same(queued === 0 || running >= concurrency, true)
            same(queued <= maxQueue, true)
          }

          // Work ends; what waits for itself is refused in time.
          for (let round = 0; round < 200 && seen.pending + limit.stats().running > 0; round++) {
            while (working.length > 0) working.pop()?.open()
            await clock.advance(500)
            await settled()
          }
          const { running, queued } = limit.stats()
          same(seen.pending + running + queued, 0)
          clock.assertIdle()
        },
      ),
    )
  }, 300_000)
})
