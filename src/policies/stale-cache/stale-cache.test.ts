import { CircuitOpenError, type HoldfastEvent, staleCache, systemClock } from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, rejection } from '../../../test/support/calls.ts'
import { withoutNoise } from '../../../test/support/leaks.ts'
import { bulkheadFull } from '../../../test/support/thrown.ts'

const down = Object.assign(new Error('connection reset'), { code: 'ECONNRESET' })
const key = (): string => 'all'

/** A cache without chance in it, and its clock. */
function cacheOf(options: Partial<Parameters<typeof staleCache>[0]> = {}) {
  const clock = virtualClock()
  const events: HoldfastEvent[] = []
  const cache = staleCache({ key, staleFor: 10_000, jitter: 0, clock, ...options })
  const told = (type: HoldfastEvent['type']): HoldfastEvent[] =>
    events.filter((event) => event.type === type)
  const listen = (): void => void cache.subscribe((event) => events.push(event))
  return { clock, cache, told, listen }
}

describe('a fresh value', () => {
  it('is served without a call until it is as old as freshFor', async () => {
    const { clock, cache } = cacheOf({ freshFor: 1_000 })
    const operation = scripted([{ value: 1 }, { value: 2 }])

    expect(await cache.execute(operation)).toBe(1)
    await clock.advance(999)
    expect(await cache.execute(operation)).toBe(1)
    expect(operation.calls).toBe(1)
    await clock.advance(1)
    expect(await cache.execute(operation)).toBe(2)
    expect(cache.stats()).toMatchObject({ fresh: 1, loads: 2, succeeded: 3, entries: 1 })
  })

  it('is not born stale when its load took long: its age counts from its end', async () => {
    const { clock, cache } = cacheOf({ freshFor: 1_000 })
    const slow = cache.execute(() => clock.advance(0).then(() => later(clock, 5_000, 'slow')))
    await clock.advance(5_000)
    await slow

    await clock.advance(999)
    expect(await cache.execute(() => 'called again')).toBe('slow')
  })

  it.each([undefined, null, 0, '', false, Number.NaN])(
    'is served although it is %s: that is a value, and no miss',
    async (value) => {
      const { cache } = cacheOf({ freshFor: 1_000 })
      await cache.execute(() => value)

      expect(await cache.execute(() => 'called again')).toBe(value)
    },
  )

  it('is kept for each key apart, for the function that was called first', async () => {
    const cache = staleCache({
      key: (user: string, id: number) => `${user}/${id}`,
      staleFor: 1e6,
      freshFor: 1e6,
    })
    const read = cache.wrap(async (user: string, id: number) => ({ user, id }))

    const [ann, ben] = [await read('ann', 1), await read('ben', 1)]

    expect(ann).toEqual({ user: 'ann', id: 1 })
    expect(ben).toEqual({ user: 'ben', id: 1 })
    expect(await read('ann', 1)).toBe(ann)
  })

  it('is never asked for when freshFor is not given', async () => {
    const { cache } = cacheOf()
    const operation = scripted([{ value: 1 }, { value: 2 }])

    expect([await cache.execute(operation), await cache.execute(operation)]).toEqual([1, 2])
  })

  it('is never asked for then, not even in the turn of the event loop in which it was made', async () => {
    const cache = staleCache({ key, staleFor: 10_000 })
    const answers: number[] = []
    for (let call = 0; call < 20; call++) {
      answers.push(await cache.execute(() => busyFor(0.2, call)))
    }

    expect(answers).toEqual(answers.map((_, call) => call))
  })

  it('tells in detail that it was kept, and how old it is', async () => {
    const { clock, cache, told, listen } = cacheOf({ name: 'prices', freshFor: 1_000 })
    await cache.execute(() => 1)
    await clock.advance(300)
    listen()

    const detailed = await cache.executeDetailed(() => 2)

    expect(detailed).toEqual({
      value: 1,
      source: 'prices',
      degraded: false,
      attempts: 0,
      duration: 0,
      errors: [],
      age: 300,
    })
    expect(told('cache')).toMatchObject([
      { policy: 'prices', key: 'all', answer: 'fresh', age: 300 },
    ])
    expect(told('call')).toMatchObject([{ ending: 'succeeded', attempts: 0 }])
  })
})

describe('a stale value', () => {
  it('is served when the call fails, within staleFor and no longer', async () => {
    const { clock, cache } = cacheOf()
    await cache.execute(() => 'good')

    await clock.advance(9_999)
    expect(await cache.execute(failing)).toBe('good')
    await clock.advance(1)
    expect(await rejection(cache.execute(failing))).toBe(down)
    expect(cache.stats()).toMatchObject({ stale: 1, succeeded: 2, failed: 1, failures: 2 })
  })

  it('is not served when it came of age while the call was failing', async () => {
    const { clock, cache } = cacheOf()
    await cache.execute(() => 'good')
    await clock.advance(9_000)
    const fails = gate<string>()

    const call = caught(cache.execute(() => fails.promise))
    await clock.advance(1_000)
    fails.fail(down)

    expect((await call).error).toBe(down)
  })

  it('tells in detail and by event why it was served', async () => {
    const { clock, cache, told, listen } = cacheOf({ name: 'prices' })
    await cache.execute(() => 'good')
    await clock.advance(2_000)
    listen()

    const detailed = await cache.executeDetailed(failing)

    expect(detailed).toMatchObject({
      value: 'good',
      source: 'prices',
      degraded: true,
      attempts: 1,
      age: 2_000,
      errors: [down],
    })
    expect(told('cache')).toMatchObject([{ answer: 'stale', reason: 'failed', cause: down }])
    expect(told('refresh')).toMatchObject([{ kept: false, background: false, error: down }])
    expect(told('call')).toMatchObject([{ ending: 'succeeded', attempts: 1 }])
  })

  it.each([
    ['a refusal: the circuit is open', new CircuitOpenError('circuit', 'open', 100, '')],
    ['a full bulkhead', bulkheadFull()],
    ['a 503', Object.assign(new Error('unavailable'), { status: 503 })],
  ])('stands in for %s', async (_what, error) => {
    const { cache } = cacheOf()
    await cache.execute(() => 'good')

    expect(await cache.execute(() => Promise.reject(error))).toBe('good')
  })

  it.each([
    ['a bug of our own', new TypeError('undefined is not a function')],
    ['a 404: the dependency has answered', Object.assign(new Error('gone'), { status: 404 })],
    ['an abort from inside', Object.assign(new Error('stopped'), { name: 'AbortError' })],
  ])('does not hide %s, and nothing is paced by it', async (_what, error) => {
    const { cache } = cacheOf()
    await cache.execute(() => 'good')

    expect(await rejection(cache.execute(() => Promise.reject(error)))).toBe(error)
    expect(await cache.execute(() => 'called at once')).toBe('called at once')
  })

  it('stands in for what handles says; one that throws says no', async () => {
    const { cache } = cacheOf({ handles: (error) => (error as { stale: boolean }).stale })
    await cache.execute(() => 'good')

    expect(await cache.execute(() => Promise.reject({ stale: true }))).toBe('good')
    cache.set('all', 'good')
    expect(await rejection(cache.execute(() => Promise.reject({ stale: false })))).toEqual({
      stale: false,
    })
    expect(await rejection(cache.execute(() => Promise.reject(null)))).toBe(null)
  })

  it('is left to whoever is outside when staleOnError is false', async () => {
    const { cache } = cacheOf({ staleOnError: false })
    const operation = scripted([{ value: 'good' }, 'fail', 'fail'])
    await cache.execute(operation)

    await rejection(cache.execute(operation))
    await rejection(cache.execute(operation))

    expect(operation.calls).toBe(3)
  })
})

describe('errors', () => {
  it('are not kept: who comes after one calls anew', async () => {
    const { cache } = cacheOf({ freshFor: 1_000 })
    const operation = scripted(['fail', { value: 'good' }])

    await rejection(cache.execute(operation))

    expect(await cache.execute(operation)).toBe('good')
    expect(cache.stats().entries).toBe(1)
  })

  it('do not take the place of a good value, nor lengthen its life', async () => {
    const { clock, cache } = cacheOf({ refreshPause: 0 })
    await cache.execute(() => 'good')
    for (let round = 0; round < 9; round++) {
      await clock.advance(1_000)
      expect(await cache.execute(failing)).toBe('good')
    }
    await clock.advance(1_000)

    expect(await rejection(cache.execute(failing))).toBe(down)
  })
})

describe('after a failed call', () => {
  it('stale values are served without another for refreshPause: no storm on who is down', async () => {
    const { clock, cache, told, listen } = cacheOf({ refreshPause: 500 })
    const operation = scripted([{ value: 'good' }, 'fail', { value: 'new' }])
    await cache.execute(operation)
    await cache.execute(operation)
    listen()

    await clock.advance(499)
    for (let call = 0; call < 100; call++) expect(await cache.execute(operation)).toBe('good')
    expect(operation.calls).toBe(2)
    expect(told('cache')[0]).toMatchObject({ answer: 'stale', reason: 'paused' })
    expect(told('call')[0]).toMatchObject({ attempts: 0 })
    await clock.advance(1)
    expect(await cache.execute(operation)).toBe('new')
    expect(await cache.execute(scripted([{ value: 'newer' }]))).toBe('newer')
  })

  it('paces refreshes in the background too', async () => {
    const { clock, cache } = cacheOf({ refreshPause: 500, softTimeout: 0 })
    const operation = scripted([{ value: 'good' }, 'fail', { value: 'new' }])
    await cache.execute(operation)

    await withoutNoise(async () => {
      for (let call = 0; call < 10; call++) {
        expect(await cache.execute(operation)).toBe('good')
        await clock.advance(10)
      }
    })
    expect(operation.calls).toBe(2)
    await clock.advance(500)
    await cache.execute(operation)
    expect(operation.calls).toBe(3)
  })
})

function busyFor<T>(duration: number, value: T): T {
  const until = systemClock.now() + duration
  while (systemClock.now() < until);
  return value
}

async function failing(): Promise<never> {
  throw down
}

function later<T>(clock: ReturnType<typeof virtualClock>, delay: number, value: T): Promise<T> {
  return new Promise((resolve) => clock.setTimer(() => resolve(value), delay))
}
