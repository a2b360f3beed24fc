import { batcher, timeout } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, times, watch } from '../support/calls.ts'
import { withoutNoise } from '../support/leaks.ts'

describe('BA1 one bad key fails all', () => {
  it('fails the middle one alone', async () => {
    const load = batcher((ids: readonly number[]) =>
      ids.map((id) => (id === 2 ? new Error('no 2') : `v${id}`)),
    )
    const ends = await Promise.allSettled([1, 2, 3].map((id) => load.load(id)))

    expect(ends).toEqual([
      { status: 'fulfilled', value: 'v1' },
      { status: 'rejected', reason: new Error('no 2') },
      { status: 'fulfilled', value: 'v3' },
    ])
  })
})

describe('BA2 the batch function breaks its contract', () => {
  const breaches: readonly (readonly [string, () => unknown])[] = [
    ['gives too few', () => ['v1']],
    ['gives nothing', () => undefined],
    ['gives what is no list', () => 'v1,v2'],
    [
      'throws',
      () => {
        throw new TypeError('broken')
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('broken'))],
    ['gives promises, which reject', () => times(2, async () => Promise.reject(new Error('k')))],
  ]
  it.each(breaches)(
    'when it %s: a clear error for all its keys, and the next batch works',
    async (_what, breach) => {
      let isBroken = true
      const load = batcher<number, string>(
        (ids) => {
          if (isBroken) return breach() as string[]
          return ids.map((id) => `v${id}`)
        },
        { cache: true },
      )
      await withoutNoise(async () => {
        const ends = await Promise.allSettled([load.load(1), load.load(2)])
        for (const end of ends) {
          expect(end).toMatchObject({ status: 'rejected', reason: { name: 'TypeError' } })
        }
      })
      isBroken = false

      expect(await Promise.all([load.load(1), load.load(2)])).toEqual(['v1', 'v2'])
      expect(load.stats()).toMatchObject({ queued: 0, running: 0, cached: 2 })
    },
  )

  it('when it never answers: its timeout ends it, and the next batch works', async () => {
    const clock = virtualClock()
    let isHung = true
    const load = batcher((ids: readonly number[]) => (isHung ? hangs() : ids), {
      policy: timeout({ duration: 100, clock }),
      maxConcurrentBatches: 1,
      clock,
    })
    const hung = caught(load.load(1))
    await quiet()
    await clock.advance(100)
    expect((await hung).error).toMatchObject({ code: 'ERR_TIMEOUT' })
    isHung = false

    expect(await load.load(1)).toBe(1)
  })
})

describe('BA3 size and time of a batch', () => {
  it('does not split batches by cache hits', async () => {
    const batches: (readonly number[])[] = []
    const load = batcher(
      (ids: readonly number[]) => {
        batches.push(ids)
        return ids
      },
      { cache: true, maxBatchSize: 3 },
    )
    await load.load(1)
    await Promise.all([2, 1, 3, 1, 4].map((id) => load.load(id)))

    expect(batches).toEqual([[1], [2, 3, 4]])
  })

  it('does not split them by keys that come twice', async () => {
    const batches: (readonly number[])[] = []
    const load = batcher(
      (ids: readonly number[]) => {
        batches.push(ids)
        return ids
      },
      { maxBatchSize: 3 },
    )
    await Promise.all([1, 1, 2, 1, 2, 3, 4].map((id) => load.load(id)))

    expect(batches).toEqual([[1, 2, 3], [4]])
  })

  it('never lets a stream of keys put the batch off', async () => {
    const clock = virtualClock()
    const sent: number[] = []
    const load = batcher(
      (ids: readonly number[]) => {
        sent.push(clock.now())
        return ids
      },
      { maxWait: 10, clock },
    )
    const calls: Promise<number>[] = []
    for (let at = 0; at < 100; at++) {
      calls.push(load.load(at))
      await clock.advance(1)
    }
    await clock.advance(10)
    await Promise.all(calls)

    expect(sent[0]).toBe(10)
    expect(Math.max(...sent.map((at, n) => at - (sent[n - 1] ?? 0)))).toBeLessThanOrEqual(11)
  })

  it('drops nothing when it is closed with five waiting', async () => {
    const load = batcher((ids: readonly number[]) => ids, { maxWait: 60_000 })
    const calls = times(5, (id) => load.load(id))
    await load.close()

    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4])
  })
})

describe('BA4 abort of a member', () => {
  it('hurts nobody, before and after the batch is sent', async () => {
    const answer = gate<readonly string[]>()
    const sent: (readonly number[])[] = []
    const signals: AbortSignal[] = []
    const load = batcher<number, string>((ids, { signal }) => {
      sent.push(ids)
      signals.push(signal)
      return answer.promise
    })
    const [before, after] = [new AbortController(), new AbortController()]
    const first = caught(load.load(1, { signal: before.signal }))
    const second = caught(load.load(2, { signal: after.signal }))
    const third = watch(load.load(3))
    before.abort('before')
    await quiet()
    after.abort('after')

    expect((await first).error).toBe('before')
    expect((await second).error).toBe('after')
    expect(sent).toEqual([[2, 3]])
    expect(signals[0]?.aborted).toBe(false)
    answer.open(['v2', 'v3'])
    await quiet()
    expect(third.value).toBe('v3')
  })
})
