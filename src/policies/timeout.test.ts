import { fallback, type HoldfastEvent, pipeline, TimeoutError } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { hangs, quiet, rejection } from '../../test/support/calls.ts'
import { timeout } from './timeout.ts'

describe('a timeout', () => {
  it('lets through what answers in time', async () => {
    const clock = virtualClock()
    const limit = timeout({ duration: 100, clock })

    expect(await limit.execute(() => clock.advance(99).then(() => 'in time'))).toBe('in time')
    expect(limit.stats()).toMatchObject({ succeeded: 1, timedOut: 0 })
    expect(clock.timers).toEqual([])
  })

  it('rejects at exactly its limit, even if the function takes no notice', async () => {
    const clock = virtualClock()
    const limit = timeout({ name: 'total', duration: 100, clock })
    let settled = false

    const call = rejection(limit.execute(hangs)).finally(() => {
      settled = true
    })
    await clock.advance(99)
    expect(settled).toBe(false)
    await clock.advance(1)

    const error = await call
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', policy: 'total', duration: 100 })
    expect(limit.stats()).toMatchObject({ calls: 1, timedOut: 1, failed: 0, inFlight: 0 })
    expect(clock.timers).toEqual([])
  })

  it('tells the function by its signal, with the error that the caller gets', async () => {
    const clock = virtualClock()
    let signal: AbortSignal | undefined

    const call = rejection(
      timeout({ duration: 5, clock }).execute((context) => {
        signal = context.signal
        return hangs()
      }),
    )
    await clock.advance(5)

    expect(signal?.reason).toBe(await call)
  })

  it('lets a function that obeys its signal fail as it likes: the caller gets the limit', async () => {
    const clock = virtualClock()
    const own = new Error('stopped')

    const call = rejection(
      timeout({ duration: 5, clock }).execute(
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(own))),
      ),
    )
    await clock.advance(5)

    expect(await call).toMatchObject({ code: 'ERR_TIMEOUT' })
  })

  it('drops a late answer, whatever it is', async () => {
    const clock = virtualClock()
    const limit = timeout({ duration: 5, clock })
    for (const late of ['resolve', 'reject'] as const) {
      let end: ((value: unknown) => void) | undefined
      const call = rejection(
        limit.execute(() => new Promise((resolve, reject) => (end = { resolve, reject }[late]))),
      )
      await clock.advance(5)
      await call
      end?.(new Error('late'))
      await quiet()
    }

    expect(limit.stats()).toMatchObject({ calls: 2, timedOut: 2, succeeded: 0, failed: 0 })
  })

  it('begins anew with each call', async () => {
    const clock = virtualClock()
    const limit = timeout({ duration: 100, clock })
    const first = rejection(limit.execute(hangs))
    await clock.advance(60)
    const second = limit.execute(() => clock.advance(0).then(hangs))
    let settled = false
    second.catch(() => {
      settled = true
    })

    await clock.advance(40)
    await first
    expect(settled).toBe(false)
    await clock.advance(60)

    expect(settled).toBe(true)
  })

  it('never takes the timeout of the function for its own', async () => {
    const theirs = new TimeoutError('theirs', 3)
    const limit = timeout(1_000)

    expect(await rejection(limit.execute(() => Promise.reject(theirs)))).toBe(theirs)
    expect(limit.stats()).toMatchObject({ failed: 1, timedOut: 0 })
  })

  it('tells of itself when it ends a call', async () => {
    const clock = virtualClock()
    const limit = timeout({ name: 'each', duration: 5, clock })
    const heard: HoldfastEvent[] = []
    limit.subscribe((event) => heard.push(event))
    const stack = pipeline({ name: 'stack', clock }, limit)

    const call = rejection(stack.execute(hangs))
    await clock.advance(5)
    await call

    expect(heard).toEqual([
      { type: 'timeout', policy: 'each', pipeline: 'stack', at: 5, duration: 5 },
    ])
  })

  it('says its limit', () => {
    expect(timeout(250).duration).toBe(250)
    expect(timeout({ duration: 250 }).duration).toBe(250)
    expect(timeout({ name: 'each', duration: Number.POSITIVE_INFINITY }).describe()).toEqual({
      policy: 'timeout',
      name: 'each',
      options: { duration: 'Infinity' },
    })
  })

  it('has no limit when it is Infinity', async () => {
    const clock = virtualClock()
    const limit = timeout({ duration: Number.POSITIVE_INFINITY, clock })

    const call = limit.execute(() => clock.advance(1e12).then(() => 'at last'))

    expect(await call).toBe('at last')
    expect(await limit.execute(({ deadline }) => deadline)).toBe(Number.POSITIVE_INFINITY)
  })

  it('can be as short as it likes above 0', async () => {
    const clock = virtualClock()

    const call = rejection(timeout({ duration: 0.001, clock }).execute(hangs))
    await clock.advance(0.001)

    expect(await call).toMatchObject({ duration: 0.001 })
  })

  it('limits what may answer in its place as well', async () => {
    const clock = virtualClock()
    const stack = pipeline(
      'stack',
      timeout({ name: 'total', duration: 50, clock }),
      fallback(() => hangs()),
    )

    const call = rejection(stack.execute(() => Promise.reject(new Error('down'))))
    await clock.advance(50)

    expect(await call).toMatchObject({ policy: 'total' })
  })

  it.each<[unknown, typeof Error]>([
    [0, RangeError],
    [-1, RangeError],
    [Number.NaN, RangeError],
    [Number.NEGATIVE_INFINITY, RangeError],
    [{ duration: 0 }, RangeError],
    [{ duration: '5' }, TypeError],
    [{}, TypeError],
    [undefined, TypeError],
    [null, TypeError],
    ['100', TypeError],
    [{ duration: 5, limit: 5 }, TypeError],
    [{ duration: 5, latency: 1 }, TypeError],
  ])('refuses %o', (limit, kind) => {
    expect(() => timeout(limit as number)).toThrow(kind)
    expect(() => timeout(limit as number)).toThrow('timeout')
  })

  it('says of text what a limit must be', () => {
    expect(() => timeout('2000' as never)).toThrow('duration must be a number of milliseconds')
  })
})
