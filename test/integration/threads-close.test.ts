/** WP4 and LC4: the end of thread pools is bounded, settles every task, and leaves no thread behind. */
import { constant } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rejection, times } from '../support/calls.ts'
import { Begun, inline, tasks, useThreads } from '../support/threads.ts'

const rig = useThreads()

/** As many tasks as asked for that run, and do not end by themselves. */
async function endless(
  pools: ReturnType<typeof rig.work>,
  count: number,
): Promise<Promise<unknown>[]> {
  const begun = new Begun()
  const task = { began: begun.began, how: 'spin', ms: 1e6 }
  const running = times(count, () => rejection(pools.run('work', task, { name: 'beginAnd' })))
  await begun.times(count)
  return running
}

async function timed<T>(work: Promise<T>): Promise<{ value: T; took: number }> {
  const started = performance.now()
  return { value: await work, took: performance.now() - started }
}

describe('close', () => {
  it.each([0, 1, 100])('settles everything with %s in line', async (count) => {
    const pools = rig.work({ threads: 2, maxQueue: 100 })
    const begun = new Begun()
    const task = { began: begun.began, how: 'wait' }
    const running = times(2, () => pools.run('work', task, { name: 'beginAnd' }))
    await begun.times(2)
    const inLine = times(count, () => rejection(pools.run('work', 1)))
    const closing = pools.close()

    for (const error of await Promise.all(inLine)) {
      expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED', policy: 'work' })
    }
    begun.release()
    expect(await Promise.all(running)).toEqual(['released', 'released'])
    expect(await closing).toEqual({ forced: 0, errors: [] })
    expect(pools.stats().work.threads.total).toBe(0)
  })

  it('ends by force what does not end in time, and tells its caller', async () => {
    const pools = rig.work({ threads: 2 })
    const running = await endless(pools, 2)
    const { value, took } = await timed(pools.close({ timeout: 50 }))

    expect(took).toBeLessThan(20_000)
    expect(value.forced).toBe(2)
    for (const error of await Promise.all(running)) {
      expect(error).toMatchObject({ code: 'ERR_THREAD_ENDED', reason: 'closed', task: 'beginAnd' })
    }
    expect(pools.stats().work.threads.total).toBe(0)
  })

  it('is one close, however often it is called', async () => {
    const pools = rig.work({ minThreads: 1 })
    await pools.warmUp()
    const running = pools.run('work', 20, { name: 'sleep' })
    await new Promise((resolve) => setTimeout(resolve))
    const reports = await Promise.all([pools.close(), pools.close({ timeout: 0 }), pools.close()])

    expect(reports).toEqual(times(3, () => ({ forced: 0, errors: [] })))
    expect(await running).toBe(20)
    expect(await pools.close()).toEqual({ forced: 0, errors: [] })
  })

  it('of pools that were never used, or are idle, takes no time', async () => {
    const pools = rig.pools({
      unused: { module: tasks, threads: 2 },
      idle: { module: tasks, threads: 2, minThreads: 2 },
    })
    await pools.run('idle', 1)
    const { took } = await timed(pools.close())

    expect(took).toBeLessThan(10_000)
    expect(pools.stats().idle.threads.total).toBe(0)
  })

  it('during the start of a thread ends it, and rejects whoever waits for it', async () => {
    const never = inline('await new Promise(() => setInterval(() => {}, 1e6))')
    const pools = rig.pools({ slow: { module: never, threads: 2 } })
    const waiting = times(4, () => rejection(pools.run('slow', 1)))
    await new Promise((resolve) => setTimeout(resolve, 30))
    const { took } = await timed(pools.close())

    expect(took).toBeLessThan(10_000)
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    }
    expect(pools.stats().slow.threads.total).toBe(0)
  })

  it('during the pause after a crash does not wait for its end, and starts nothing', async () => {
    const pools = rig.work({ restartBackoff: constant(60_000) })
    await rejection(pools.run('work', 1, { name: 'exit' }))
    const waiting = rejection(pools.run('work', 1))
    await new Promise((resolve) => setTimeout(resolve, 10))
    const { took } = await timed(pools.close())

    expect(took).toBeLessThan(10_000)
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(pools.stats().work.threads).toMatchObject({ started: 1, total: 0 })
  })

  it('while threads crash settles everything, and leaves none', async () => {
    const pools = rig.work({ threads: 4, restartBackoff: constant(0) })
    const dying = times(12, (n) => pools.run('work', n, { name: 'exit' }))
    await Promise.race(dying).catch(() => {})
    const closed = pools.close({ timeout: 500 })
    const outcomes = await Promise.allSettled(dying)
    await closed

    const codes = outcomes.map((one) => one.status === 'rejected' && one.reason.code)
    expect(new Set(codes)).toEqual(new Set(['ERR_THREAD_ENDED', 'ERR_POOL_CLOSED']))
    expect(pools.stats().work.threads.total).toBe(0)
  })

  it('refuses every task that comes later, by one name', async () => {
    const pools = rig.work({ minThreads: 1 })
    await pools.close()

    expect(await rejection(pools.run('work', 1))).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(await rejection(pools.warmUp())).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  })

  it('happens at the end of an `await using` block', async () => {
    const pools = rig.work()
    {
      await using scoped = pools
      await scoped.run('work', 1)
    }

    expect(await rejection(pools.run('work', 1))).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  })
})

describe('drain', () => {
  it('serves everybody who is there, those in line too, and takes nobody in', async () => {
    const pools = rig.work({ maxQueue: 10 })
    const all = times(5, () => pools.run('work', 20, { name: 'sleep' }))
    const drained = pools.drain()

    expect(await rejection(pools.run('work', 1))).toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(await drained).toBe(true)
    expect(await Promise.all(all)).toEqual(times(5, () => 20))
    expect(await pools.close()).toEqual({ forced: 0, errors: [] })
  })

  it('tells when not all ended in time, and lets close end them', async () => {
    const pools = rig.work()
    const [running] = await endless(pools, 1)
    const inLine = rejection(pools.run('work', 1))

    expect(await pools.drain({ timeout: 50 })).toBe(false)
    expect(await pools.close({ timeout: 0 })).toMatchObject({ forced: 1 })
    expect(await running).toMatchObject({ code: 'ERR_THREAD_ENDED', reason: 'closed' })
    expect(await inLine).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  })

  it('of idle pools is over at once', async () => {
    expect(await rig.work().drain({ timeout: 0 })).toBe(true)
  })

  it('that waits is over when the pools are closed', async () => {
    const pools = rig.work()
    const [running] = await endless(pools, 1)
    const drained = pools.drain()
    await pools.close({ timeout: 0 })

    expect(await running).toMatchObject({ code: 'ERR_THREAD_ENDED' })
    expect(await drained).toBe(true)
  })
})
