import { adaptiveConcurrency, type ConcurrencyAlgorithm } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, expect, it, vi } from 'vitest'
import { queueingServer, trafficOf } from '../support/queueing-server.ts'
import { seed } from './seed.ts'

// Minutes of traffic, call by call.
vi.setConfig({ testTimeout: 60_000 })

interface World {
  readonly algorithm: ConcurrencyAlgorithm
  readonly initialLimit: number
  readonly workers?: number
  readonly serviceTime?: number
  /** Offered, as a multiple of what the server can do. */
  readonly load: number
  readonly probeInterval?: number
  readonly seconds?: number
}

async function run(world: World) {
  const { algorithm, initialLimit, load, probeInterval = 30_000, seconds = 130 } = world
  const { workers = 10, serviceTime = 100 } = world
  const clock = virtualClock()
  const server = queueingServer(clock, workers, serviceTime)
  const random = seededRandom(seed)
  const policy = adaptiveConcurrency({ algorithm, initialLimit, probeInterval, random, clock })
  const capacity = (workers * 1_000) / serviceTime
  const traffic = trafficOf(clock, policy, load * capacity, () => server.call())
  const limits: number[] = []
  for (let second = 0; second < seconds; second++) {
    await clock.advance(1_000)
    const { maxConcurrent, probing } = policy.stats()
    if (!probing) limits.push(maxConcurrent)
  }
  const goodput = server.served / (capacity * seconds)
  return { clock, server, policy, traffic, limits, goodput, capacity }
}

const guarded = ['vegas', 'gradient2'] as const

describe.each(guarded)('%s, in overload', (algorithm) => {
  it.each([1, 20, 1_000])('comes near the capacity from %d', async (initialLimit) => {
    const { limits, goodput } = await run({ algorithm, initialLimit, load: 3 })
    const settled = limits.slice(-60)

    expect(Math.min(...settled)).toBeGreaterThanOrEqual(9)
    expect(Math.max(...settled)).toBeLessThanOrEqual(26)
    expect(goodput).toBeGreaterThan(0.9)
  })

  it('comes near the capacity of a larger server', async () => {
    const world = { algorithm, initialLimit: 400, workers: 50, serviceTime: 50, load: 2 }
    const { limits, goodput } = await run({ ...world, seconds: 70 })
    const settled = limits.slice(-20)

    expect(Math.min(...settled)).toBeGreaterThanOrEqual(45)
    expect(Math.max(...settled)).toBeLessThanOrEqual(95)
    expect(goodput).toBeGreaterThan(0.9)
  })

  // What the guard is for: the published formula alone.
  it('stays far above the capacity from 1000 without measuring its baseline', async () => {
    const probeInterval = Number.POSITIVE_INFINITY
    const { limits } = await run({ algorithm, initialLimit: 1_000, load: 3, probeInterval })

    expect(limits.at(-1)).toBeGreaterThan(300)
  })

  it('follows a server that becomes slower, and faster again', async () => {
    const { clock, server, policy } = await run({
      algorithm,
      initialLimit: 20,
      load: 3,
      seconds: 70,
    })
    server.workers = 4
    await clock.advance(120_000)
    const small = policy.stats()
    server.workers = 20
    await clock.advance(120_000)
    const large = policy.stats()

    if (!small.probing) expect(small.maxConcurrent).toBeLessThanOrEqual(13)
    if (!large.probing) expect(large.maxConcurrent).toBeGreaterThanOrEqual(18)
  })
})

describe.each(guarded)('%s, while nobody uses the limit', (algorithm) => {
  it('does not drift, does not measure, and refuses nobody', async () => {
    const { policy, traffic, goodput } = await run({ algorithm, initialLimit: 100, load: 0.3 })

    expect(policy.stats()).toMatchObject({ maxConcurrent: 100, probes: 0 })
    expect(traffic.rejected).toBe(0)
    expect(goodput).toBeGreaterThan(0.27)
  })

  it('keeps its limit through an hour without a call', async () => {
    const { clock, policy, traffic } = await run({ algorithm, initialLimit: 20, load: 0.5 })
    traffic.stop()
    await clock.advance(1_000)
    const { maxConcurrent } = policy.stats()
    expect(clock.timers).toEqual([])

    await clock.advance(3_600_000)
    await policy.execute(() => 1)

    expect(policy.stats().maxConcurrent).toBe(maxConcurrent)
  })
})

describe('AIMD', () => {
  it.each([1, 200])('comes near what is not refused from %d', async (initialLimit) => {
    const clock = virtualClock()
    const server = queueingServer(clock, 10, 100)
    const policy = adaptiveConcurrency({ algorithm: 'aimd', initialLimit, clock })
    const busy = Object.assign(new Error('busy'), { status: 503 })
    const call = (): Promise<void> => (server.present >= 15 ? Promise.reject(busy) : server.call())
    trafficOf(clock, policy, 300, call)

    await clock.advance(90_000)

    const { maxConcurrent } = policy.stats()
    expect(maxConcurrent).toBeGreaterThanOrEqual(12)
    expect(maxConcurrent).toBeLessThanOrEqual(17)
  })
})
