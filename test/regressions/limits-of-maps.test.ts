import { AsyncLocalStorage } from 'node:async_hooks'
import { limiter, mapConcurrent } from 'holdfast'
import { seededRandom } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, times } from '../support/calls.ts'
import { heapInUse, listenersOn, withoutNoise } from '../support/leaks.ts'

/** As many fresh calls as the limit start at once, and one more does not. */
async function expectFree(limit: ReturnType<typeof limiter>): Promise<void> {
  const held = gate()
  let entered = 0
  const calls = times(limit.concurrency + 1, () =>
    limit(() => {
      entered++
      return held.promise
    }),
  )
  await quiet()
  expect(entered).toBe(limit.concurrency)
  held.open()
  await Promise.all(calls)
}

describe('BH1 a queued call aborts', () => {
  it('is never granted a slot, whatever the order of grant and abort', async () => {
    const limit = limiter(1)
    const random = seededRandom('abort')
    const ends: Promise<unknown>[] = []
    for (let n = 0; n < 1_000; n++) {
      const controller = new AbortController()
      const { signal } = controller
      ends.push(limit(() => quiet(), { signal }).catch(() => {}))
      if (random() < 0.5) controller.abort()
      else if (random() < 0.3) queueMicrotask(() => controller.abort())
      if (n % 100 === 0) await quiet()
    }
    await Promise.all(ends)
    await limit.idle()
    await expectFree(limit)
  })
})

describe('BH2 a synchronous throw leaks a slot', () => {
  it('gives back every slot', async () => {
    const limit = limiter(2)
    const fail = (): never => {
      throw new Error('sync')
    }
    const { signal } = new AbortController()
    await Promise.all(times(100, (n) => caught(n % 2 ? limit(fail) : limit(fail, { signal }))))
    await mapConcurrent(times(50, String), fail, { concurrency: limit, settle: true })
    await expectFree(limit)
  })
})

describe('BH3 BH4 aborting those in line', () => {
  it('lets everybody else run, and leaves nobody pending', async () => {
    const limit = limiter(1)
    const held = gate()
    const first = limit(() => held.promise)
    const controllers = times(20, () => new AbortController())
    const ran: number[] = []
    const calls = controllers.map(({ signal }, n) =>
      limit(() => ran.push(n), { signal }).catch(() => 'aborted'),
    )
    for (const [n, controller] of controllers.entries()) if (n % 2 === 0) controller.abort()
    held.open()
    await first
    await Promise.all(calls)

    expect(ran).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
  })
})

describe('BH5 many waiters', () => {
  it('abort 100,000 at once without depth, noise or listeners', async () => {
    await withoutNoise(async () => {
      const limit = limiter(1)
      const held = gate()
      const first = limit(() => held.promise)
      const controller = new AbortController()
      const { signal } = controller
      const calls = times(100_000, () => limit(() => 1, { signal }).catch(() => {}))
      expect(listenersOn(signal)).toBe(1)
      controller.abort()
      await Promise.all(calls)
      expect(limit.stats().queued).toBe(0)
      expect(listenersOn(signal)).toBe(0)
      held.open()
      await first
    })
  })

  it('keep nothing of an endless stream of items', async () => {
    const controller = new AbortController()
    let marks: number[] = []
    function* endless(): Generator<number> {
      for (let n = 0; ; n++) yield n
    }
    const map = mapConcurrent(
      endless(),
      (n) => {
        if (n % 200_000 === 100_000) marks = [...marks, heapInUse()]
        if (n === 700_000) controller.abort()
      },
      { signal: controller.signal, ordered: false, settle: false, stopOnError: false },
    )
    await caught(map)
    const [first = 0, , , last = 0] = marks
    // Results alone: 8 bytes or so each.
    expect((last - first) / 600_000).toBeLessThan(40)
  })
})

describe('BH6 work that outlives its caller', () => {
  it('keeps its slot: never more at work than the limit', async () => {
    const limit = limiter(2)
    const gates = times(20, () => gate())
    let atWork = 0
    let most = 0
    const calls = gates.map(({ promise }) => {
      const controller = new AbortController()
      const call = limit(
        async () => {
          most = Math.max(most, ++atWork)
          await promise
          atWork--
        },
        { signal: controller.signal },
      )
      queueMicrotask(() => queueMicrotask(() => controller.abort()))
      return call.catch(() => {})
    })
    await Promise.all(calls)
    for (const { open } of gates) open()
    await limit.idle()
    expect(most).toBeLessThanOrEqual(2)
  })
})

describe('BH8 idle', () => {
  it('is told after an abort, a resize and plain work, at once when nothing runs', async () => {
    const limit = limiter(1)
    await limit.idle()
    const held = gate()
    const controller = new AbortController()
    const first = limit(() => held.promise, { signal: controller.signal })
    const second = limit(() => 2)
    const idlers = [limit.idle(), limit.idle()]
    controller.abort()
    limit.resize(2)
    expect(await second).toBe(2)
    held.open()
    await caught(first)
    await Promise.all(idlers)
    expect(limit.stats()).toMatchObject({ running: 0, queued: 0 })
  })
})

describe('BH9 the limit changes at run time', () => {
  it('loses no slot over random resizes', async () => {
    const limit = limiter(3)
    const random = seededRandom('resizes')
    let running = 0
    const calls: Promise<void>[] = []
    for (let n = 0; n < 500; n++) {
      limit.resize(random.integer(1, 9))
      const work = async (): Promise<void> => {
        expect(++running).toBeLessThanOrEqual(9)
        await Promise.resolve()
        running--
      }
      calls.push(limit(work))
      if (n % 20 === 0) await quiet()
    }
    await Promise.all(calls)
    await expectFree(limit)
  })
})

describe('BH10 the async context is lost', () => {
  it('is kept by maps whose limit somebody else raises', async () => {
    const store = new AsyncLocalStorage<string>()
    const limit = limiter(1)
    const held = gate()
    const seen = new Set<string | undefined>()
    const map = store.run('owner', () =>
      mapConcurrent(
        times(10, String),
        async () => {
          seen.add(store.getStore())
          await held.promise
          seen.add(store.getStore())
        },
        { concurrency: limit },
      ),
    )
    store.run('operator', () => limit.resize(5))
    await quiet()
    held.open()
    await map
    expect(seen).toEqual(new Set(['owner']))
  })
})

describe('BH13 a map inside a map with the same limit', () => {
  it('ends by its signal, and gives everything back', async () => {
    const limit = limiter(1)
    const controller = new AbortController()
    const { signal } = controller
    const map = mapConcurrent([1], () => limit(() => hangs(), { signal }), { concurrency: limit })
    await quiet()
    controller.abort('it waits for itself')

    expect((await caught(map)).error).toBe('it waits for itself')
    await limit.idle()
    await expectFree(limit)
  })
})
