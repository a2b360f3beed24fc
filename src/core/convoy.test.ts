import { circuitBreaker, fallback, pipeline, retry, timeout } from 'holdfast'
import { describe, expect, it, vi } from 'vitest'
import { gate as heldCall, quiet } from '../../test/support/calls.ts'
import { collectGarbage } from '../../test/support/leaks.ts'
import { Convoy, convoyOf } from './convoy.ts'
import { Gate } from './gate.ts'

describe('a Convoy', () => {
  it('counts for each of its gates, and twice for one that stands there twice', () => {
    const [once, twice] = [new Gate(), new Gate()]
    const convoy = new Convoy([once, twice, twice])

    convoy.running = 2
    convoy.succeeded = 5

    expect([once.inside, once.successes]).toEqual([2, 5])
    expect([twice.inside, twice.successes]).toEqual([4, 10])
  })

  it('leaves its counts behind when it is disbanded', () => {
    const [once, twice] = [new Gate(), new Gate()]
    const convoy = new Convoy([once, twice, twice])
    convoy.succeeded = 5

    convoy.disband()

    expect([once.successes, twice.successes]).toEqual([5, 10])
    expect([once.convoys, twice.convoys]).toEqual([[], []])
  })

  it('is watched as long as one of its gates is', () => {
    const gates = [new Gate(), new Gate()] as const
    const convoy = new Convoy(gates)
    const seen = [convoy.watched]

    for (const [gate, watched] of [
      [gates[0], true],
      [gates[1], true],
      [gates[0], false],
      [gates[1], false],
    ] as const) {
      gate.watch(watched)
      seen.push(convoy.watched)
    }

    expect(seen).toEqual([false, true, true, true, false])
  })
})

describe('convoyOf', () => {
  it('lets go of the convoys of engines that are gone, and keeps what they counted', async () => {
    const gate = new Gate()
    const make = () => {
      convoyOf({}, [gate]).succeeded++
    }
    for (let n = 0; n < 500; n++) make()

    await vi.waitFor(
      async () => {
        collectGarbage()
        await quiet()
        expect(gate.convoys.length).toBeLessThan(50)
      },
      { timeout: 10_000 },
    )

    expect(gate.successes).toBe(500)
  })
})

describe('the steps that are not visited', () => {
  const stack = () => {
    const again = retry({ maxRetries: 1, baseDelay: 0 })
    const limit = timeout(1_000)
    const breaker = circuitBreaker()
    const whole = pipeline(
      'stack',
      fallback(() => 'instead'),
      again,
      breaker,
      limit,
    )
    const counts = () =>
      [whole, again, breaker, limit].map((policy) => {
        const { inFlight, succeeded, failed } = policy.stats()
        return [inFlight, succeeded, failed]
      })
    return { whole, again, breaker, limit, counts }
  }

  it('count what is under way and what succeeded like those that are', async () => {
    const { whole, counts } = stack()
    const held = heldCall()
    const call = whole.execute(() => held.promise)

    expect(counts()).toEqual(new Array(4).fill([1, 0, 0]))
    held.open()
    await call

    expect(counts()).toEqual(new Array(4).fill([0, 1, 0]))
  })

  it('add up over all the pipelines that they are a part of', async () => {
    const again = retry()
    const [one, other] = [pipeline('one', again), pipeline('other', again, timeout(100))]

    await Promise.all([one.execute(() => 1), other.execute(() => 2), again.execute(() => 3)])

    expect(again.stats().succeeded).toBe(3)
  })

  it('take over a call that fails, each for itself', async () => {
    const { whole, counts } = stack()

    expect(await whole.execute(() => Promise.reject(new Error('down')))).toBe('instead')

    expect(counts()).toEqual([
      [0, 1, 0],
      [0, 0, 1],
      [0, 0, 2],
      [0, 0, 2],
    ])
  })

  it('take over a call that they are watched in the middle of', async () => {
    const { whole, again, counts } = stack()
    const held = heldCall()
    const call = whole.execute(() => held.promise)

    const stop = again.subscribe(() => undefined)
    const within = counts()
    held.open()
    await call
    stop()
    await whole.execute(() => 'later')

    expect(within).toEqual(new Array(4).fill([1, 0, 0]))
    expect(counts()).toEqual(new Array(4).fill([0, 2, 0]))
  })

  it('take over a call whose inner policy refuses, up to that policy', async () => {
    const { whole, again, breaker, limit, counts } = stack()
    breaker.isolate()

    await whole.execute(() => 'never')

    expect(counts()[0]).toEqual([0, 1, 0])
    expect([again, breaker, limit].map((policy) => policy.stats().calls)).toEqual([1, 1, 0])
    expect(again.stats().rejected).toBe(1)
  })
})
