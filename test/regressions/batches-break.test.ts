import { batcher, retry, timeout } from 'holdfast'
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
    [
      'gives promises by key, which reject',
      () => new Map(times(2, (n) => [n + 1, Promise.reject(new Error('k'))])),
    ],
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

describe('BA2 the batch function changes its keys', () => {
  type Change = (keys: number[]) => unknown
  const byKey = (ids: readonly number[]): unknown => new Map(ids.map((id) => [id, `v${id}`]))
  const changes: readonly (readonly [string, Change])[] = [
    ['sorts them', (keys) => byKey(keys.sort())],
    ['uses them up', (keys) => byKey(keys.splice(0))],
    [
      'sorts them later',
      async (keys) => {
        await quiet()
        return byKey(keys.reverse())
      },
    ],
  ]
  it.each(changes)('when it %s, and answers by key: to each its own', async (_what, change) => {
    const load = batcher<number, string>((keys) => change(keys as number[]) as never, {
      cache: true,
    })

    for (const _round of ['asked', 'remembered']) {
      expect(await load.loadMany([3, 1, 2])).toEqual(['v3', 'v1', 'v2'])
      expect(await Promise.all([load.load(2), load.load(3)])).toEqual(['v2', 'v3'])
    }
  })

  it.each([
    ['sorts them', (keys: number[]) => keys.sort().map((id) => `v${id}`)],
    ['uses them up', (keys: number[]) => keys.splice(0).map((id) => `v${id}`)],
  ])(
    'when it %s, and answers by position: nobody gets what is somebody else’s',
    async (_what, change) => {
      const load = batcher<number, string>((keys) => change(keys as number[]))
      const ends = await Promise.allSettled([load.load(3), load.load(1)])

      for (const end of ends) {
        expect(end).toMatchObject({
          reason: { message: expect.stringContaining('after it had changed its keys') },
        })
      }
    },
  )

  it('when it is tried again: the keys are there again', async () => {
    let tries = 0
    const load = batcher<number, string>(
      (keys) => {
        const own = (keys as number[]).splice(0)
        if (++tries === 1) throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
        return new Map(own.map((id) => [id, `v${id}`]))
      },
      { policy: retry({ baseDelay: 0 }) },
    )

    expect(await load.loadMany([3, 1])).toEqual(['v3', 'v1'])
    expect(tries).toBe(2)
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
