import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, type HoldfastEvent, staleCache } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, rejection, times, watch } from '../../../test/support/calls.ts'
import { expectConserved } from '../../../test/support/conservation.ts'
import { listenersOn, withoutNoise } from '../../../test/support/leaks.ts'

const down = Object.assign(new Error('connection reset'), { code: 'ECONNRESET' })

function cacheOf(options: Partial<Parameters<typeof staleCache>[0]> = {}) {
  const clock = virtualClock()
  const cache = staleCache({ key: () => 'all', staleFor: 10_000, jitter: 0, clock, ...options })
  return { clock, cache }
}

describe('one call at a time for each key', () => {
  it('serves everybody who waits: no stampede on a cold key', async () => {
    const { cache } = cacheOf({ freshFor: 1_000 })
    const answer = gate<object>()
    let calls = 0

    const all = times(100, () =>
      cache.execute(() => {
        calls++
        return answer.promise
      }),
    )
    const value = {}
    answer.open(value)

    for (const one of await Promise.all(all)) expect(one).toBe(value)
    expect(calls).toBe(1)
    expect(cache.stats()).toMatchObject({ loads: 1, joined: 99, running: 0, succeeded: 100 })
  })

  it('is told once as called, and by whoever joined as joined', async () => {
    const { cache } = cacheOf()
    const events: HoldfastEvent[] = []
    const answer = gate<string>()
    cache.subscribe((event) => events.push(event))
    const both = [cache.execute(() => answer.promise), cache.execute(() => 'not called')]
    answer.open('once')
    await Promise.all(both)

    expect(events).toMatchObject([
      { type: 'join', key: 'all', waiting: 2 },
      { type: 'refresh', kept: true, background: false },
      { type: 'call', attempts: 1 },
      { type: 'call', attempts: 0 },
    ])
  })

  it('fails everybody who waits and has nothing else, and nobody who has', async () => {
    const { cache } = cacheOf()
    const cold = await Promise.all(times(3, () => caught(cache.execute(failing))))
    expect(cold.map(({ error }) => error)).toEqual([down, down, down])
    await cache.execute(() => 'good')

    expect(await Promise.all(times(3, () => cache.execute(failing)))).toEqual(
      times(3, () => 'good'),
    )
    expect(cache.stats()).toMatchObject({ loads: 3, joined: 4, stale: 3 })
  })

  it('is made anew when it hangs: nobody joins it for ever, and it overrules nobody', async () => {
    const { clock, cache } = cacheOf({ joinWithin: 1_000, freshFor: 5_000 })
    const hung = gate<string>()
    const first = cache.execute(() => hung.promise)
    await clock.advance(1_001)

    expect(await cache.execute(() => 'newer')).toBe('newer')
    hung.open('older')

    expect(await first).toBe('older')
    expect(await cache.execute(() => 'unreached')).toBe('newer')
  })
})

describe('a refresh in the background', () => {
  it('is made once, and the next caller gets what it brought', async () => {
    const { cache } = cacheOf({ softTimeout: 0 })
    const events: HoldfastEvent[] = []
    const answer = gate<string>()
    await cache.execute(() => 'old')
    cache.subscribe((event) => events.push(event))
    let calls = 0
    const operation = (): Promise<string> => {
      calls++
      return answer.promise
    }

    expect(await Promise.all(times(20, () => cache.execute(operation)))).toEqual(
      times(20, () => 'old'),
    )
    expect(calls).toBe(1)
    expect(cache.stats()).toMatchObject({ refreshes: 1, running: 1, inFlight: 0, stale: 20 })
    answer.open('new')
    await quiet()

    expect(await cache.execute(operation)).toBe('new')
    expect(events.find(({ type }) => type === 'refresh')).toMatchObject({
      kept: true,
      background: true,
    })
    expect(events.find(({ type }) => type === 'cache')).toMatchObject({
      answer: 'stale',
      reason: 'slow',
    })
  })

  it('that fails reaches nobody: the value stays until its own end', async () => {
    const { clock, cache } = cacheOf({ softTimeout: 0, refreshPause: 0 })
    await cache.execute(() => 'good')

    await withoutNoise(async () => {
      for (let round = 0; round < 9; round++) {
        await clock.advance(1_000)
        expect(await cache.execute(failing)).toBe('good')
        expect(
          await cache.execute(() => {
            throw down
          }),
        ).toBe('good')
      }
    })
    await clock.advance(1_000)

    expect(await rejection(cache.execute(failing))).toBe(down)
  })

  it('goes on when its caller aborts later, in the async context of that caller', async () => {
    const { cache } = cacheOf({ softTimeout: 0 })
    const store = new AsyncLocalStorage<string>()
    const caller = new AbortController()
    const seen: unknown[] = []
    await cache.execute(() => 'old')

    await store.run('ann', () =>
      cache.execute(
        async ({ signal, deadline }: Context) => {
          await quiet()
          seen.push(store.getStore(), signal.aborted, deadline)
          return 'new'
        },
        { signal: caller.signal, deadline: 500 },
      ),
    )
    caller.abort('too late')
    await quiet()
    await quiet()

    expect(seen).toEqual(['ann', false, Number.POSITIVE_INFINITY])
    expect(listenersOn(caller.signal)).toBe(0)
  })

  it('goes on when somebody who waited for it leaves', async () => {
    const { clock, cache } = cacheOf({ softTimeout: 0, staleFor: 1_000 })
    const answer = gate<string>()
    const signals: AbortSignal[] = []
    await cache.execute(() => 'old')
    await cache.execute(({ signal }) => {
      signals.push(signal)
      return answer.promise
    })
    await clock.advance(1_000)
    const caller = new AbortController()
    const waits = caught(cache.execute(() => 'not called', { signal: caller.signal }))
    await quiet()

    caller.abort('gone')
    await waits
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    answer.open('new')
    await quiet()

    expect(await cache.execute(failing)).toBe('new')
  })

  it('is made early, before a fresh value expires, the earlier the longer it takes', async () => {
    const { clock, cache } = cacheOf({ freshFor: 1_000, earlyRefresh: 1, random: () => 0.5 })
    const slow = cache.execute(() => later(clock, 200, 'old'))
    await clock.advance(200)
    await slow
    // ln 2 of 200 ms is 139 ms.
    await clock.advance(860)
    expect(await cache.execute(() => 'too early')).toBe('old')
    expect(cache.stats().refreshes).toBe(0)
    await clock.advance(2)

    expect(await cache.executeDetailed(() => 'new')).toMatchObject({
      value: 'old',
      degraded: false,
    })
    await quiet()

    expect(cache.stats().refreshes).toBe(1)
    expect(await cache.execute(() => 'unreached')).toBe('new')
  })
})

describe('a call that takes longer than softTimeout', () => {
  it('goes on and fills the cache, while its callers get the stale value', async () => {
    const { clock, cache } = cacheOf({ softTimeout: 100, freshFor: 1_000 })
    await cache.execute(() => 'old')
    await clock.advance(1_000)
    const signals: AbortSignal[] = []
    const operation = ({ signal }: Context): Promise<string> => {
      signals.push(signal)
      return later(clock, 300, 'new')
    }

    const first = watch(cache.execute(operation))
    await clock.advance(50)
    const second = watch(cache.executeDetailed(operation))
    await clock.advance(49)
    expect(first.status).toBe('pending')
    await clock.advance(1)
    expect(first.value).toBe('old')
    await clock.advance(50)
    expect(second.value).toMatchObject({ value: 'old', degraded: true, age: 1_150, attempts: 0 })
    await clock.advance(150)

    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    expect(await cache.execute(() => 'unreached')).toBe('new')
    clock.assertIdle()
    expectConserved(cache.stats(), 4)
  })

  it('is waited for when there is no value to serve instead', async () => {
    const { clock, cache } = cacheOf({ softTimeout: 100 })
    const call = cache.execute(() => later(clock, 300, 'first'))
    await clock.advance(300)

    expect(await call).toBe('first')
  })

  it('is waited for when the value has come of age meanwhile', async () => {
    const { clock, cache } = cacheOf({ softTimeout: 100 })
    await cache.execute(() => 'old')
    await clock.advance(9_950)
    const call = cache.execute(() => later(clock, 300, 'new'))
    await clock.advance(300)

    expect(await call).toBe('new')
  })

  it('is waited for by whoever found nothing at softTimeout, whatever is set after it', async () => {
    const { clock, cache } = cacheOf({ softTimeout: 150, staleFor: 400 })
    cache.set('all', 'old')
    await clock.advance(250)
    const answer = gate<string>()
    const call = watch(cache.execute(() => answer.promise))
    await clock.advance(150)
    cache.set('all', 'set')
    await clock.advance(1_000)
    expect(call.status).toBe('pending')
    answer.open('called')
    await quiet()

    expect(call.value).toBe('called')
    clock.assertIdle()
  })
})

describe('a caller that leaves', () => {
  it('leaves alone; with the last of them the call is told to stop, and keeps nothing', async () => {
    const { cache } = cacheOf({ freshFor: 1_000 })
    const late = gate<string>()
    const signals: AbortSignal[] = []
    const callers = [new AbortController(), new AbortController()]
    const operation = (context: Context): Promise<string> => {
      signals.push(context.signal)
      return late.promise
    }
    const calls = callers.map(({ signal }) => caught(cache.execute(operation, { signal })))

    callers[0]?.abort('first')
    expect(signals[0]?.aborted).toBe(false)
    callers[1]?.abort('last')
    expect(signals[0]?.reason).toBe('last')
    expect(cache.stats()).toMatchObject({ running: 0, aborted: 2 })
    expect(await cache.execute(() => 'a new call')).toBe('a new call')
    late.open('late')
    await Promise.all(calls)

    expect(await cache.execute(() => 'unreached')).toBe('a new call')
  })

  it('lets the call fill the cache with finishAlone', async () => {
    const { clock, cache } = cacheOf({ freshFor: 1_000, finishAlone: true })
    const caller = new AbortController()
    const call = caught(cache.execute(() => later(clock, 50, 'kept'), { signal: caller.signal }))

    caller.abort('gone')
    await call
    await clock.advance(50)

    expect(await cache.execute(() => 'unreached')).toBe('kept')
  })

  it('by its deadline does not shorten the time of the others', async () => {
    const { clock, cache } = cacheOf()
    const hasty = caught(cache.execute(() => later(clock, 500, 'late'), { deadline: 100 }))
    const patient = cache.execute(hangs)
    await clock.advance(500)

    expect((await hasty).error).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(await patient).toBe('late')
  })

  it('makes no pause: its abort says nothing of the dependency', async () => {
    const { cache } = cacheOf()
    await cache.execute(() => 'old')
    const caller = new AbortController()
    const call = caught(
      cache.execute(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(down))
          }),
        { signal: caller.signal },
      ),
    )
    caller.abort('gone')
    await call
    await quiet()

    expect(await cache.execute(() => 'new')).toBe('new')
  })
})

describe('set and delete', () => {
  it('overrule a call that is under way: nothing is brought back, nothing is overwritten', async () => {
    const { cache } = cacheOf({ freshFor: 1_000 })
    const older = gate<string>()
    const first = cache.execute(() => older.promise)
    cache.set('all', 'set')
    older.open('loaded')
    expect(await first).toBe('loaded')
    expect(await cache.execute(() => 'unreached')).toBe('set')

    const again = gate<string>()
    await cache.delete('all')
    const second = cache.execute(() => again.promise)
    await cache.delete('all')
    again.open('deleted')
    expect(await second).toBe('deleted')

    expect(await cache.execute(() => 'called')).toBe('called')
  })

  it('decide what a call that fails is answered with', async () => {
    const { cache } = cacheOf()
    const fails = gate<string>()
    await cache.execute(() => 'old')
    const deleted = caught(cache.execute(() => fails.promise))
    await cache.delete('all')
    const other = gate<string>()
    cache.set('all', 'older')
    const replaced = cache.execute(() => other.promise)
    cache.set('all', 'set')
    fails.fail(down)
    other.fail(down)

    expect((await deleted).error).toBe(down)
    expect(await replaced).toBe('set')
  })
})

async function failing(): Promise<never> {
  throw down
}

function later<T>(clock: ReturnType<typeof virtualClock>, delay: number, value: T): Promise<T> {
  return new Promise((resolve) => clock.setTimer(() => resolve(value), delay))
}
