/** Thread pools over real worker threads: what they do when nothing goes wrong, and what they refuse. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { type HoldfastEvent, pipeline, retry, timeout } from 'holdfast'
import { withDeadline } from 'holdfast/node'
import { describe, expect, it } from 'vitest'
import { rejection, times } from '../support/calls.ts'
import { Begun, inline, Piscina, tasks, until, useThreads } from '../support/threads.ts'

const rig = useThreads()

describe('a thread pool', () => {
  it('runs functions of its module in other threads', async () => {
    const pools = rig.work({ threads: 2 })

    expect(await pools.run('work', { any: ['thing'] })).toEqual({ any: ['thing'] })
    expect(await pools.run('work', 21, { name: 'double' })).toBe(42)
    expect(await pools.run('work', null, { name: 'thread' })).toBeGreaterThan(0)
    expect(pools.stats().work).toMatchObject({
      name: 'work',
      succeeded: 3,
      running: 0,
      maxConcurrent: 2,
      maxQueue: 20,
      threads: { limit: 2, total: 1, idle: 1, started: 1, startFailed: 0, crashed: 0 },
    })
  })

  it('runs as many at a time as it has threads, and starts no thread too many', async () => {
    const pools = rig.work({ threads: 3 })
    const begun = new Begun()
    const task = { began: begun.began, how: 'wait' }
    const all = times(9, () => pools.run('work', task, { name: 'beginAnd' }))
    await begun.times(3)

    expect(pools.stats().work).toMatchObject({ running: 3, queued: 6 })
    begun.release()
    expect(await Promise.all(all)).toEqual(times(9, () => 'released'))
    expect(pools.stats().work.threads).toMatchObject({ total: 3, started: 3 })
  })

  it('keeps the pools apart: one that is full does not keep another waiting', async () => {
    const pools = rig.pools({
      payment: { module: tasks, threads: 1, maxQueue: 0 },
      inventory: { module: tasks, threads: 1, maxQueue: 0 },
    })
    const hanging = pools.run('payment', 400, { name: 'spin' })

    expect(await rejection(pools.run('payment', 1))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    expect(await pools.run('inventory', 'in stock')).toBe('in stock')
    expect(pools.stats().payment.running).toBe(1)
    await hanging
  })

  it('refuses what finds neither a thread nor a place in line', async () => {
    const pools = rig.work({ maxQueue: 1 })
    const first = pools.run('work', 50, { name: 'sleep' })
    const second = pools.run('work', 2)

    expect(await rejection(pools.run('work', 3))).toMatchObject({
      code: 'ERR_BULKHEAD_FULL',
      policy: 'work',
      running: 1,
      queued: 1,
    })
    expect(await Promise.all([first, second])).toEqual([50, 2])
    expect(pools.stats().work).toMatchObject({ rejected: 1, succeeded: 2 })
  })

  it('serves by priority, first come first served within one', async () => {
    const pools = rig.work()
    const order: unknown[] = []
    const note = async (task: string, priority = 0): Promise<void> => {
      order.push(await pools.run('work', task, { priority }))
    }
    const first = pools.run('work', 30, { name: 'sleep' })
    await Promise.all([first, note('a'), note('b'), note('urgent', 5), note('c')])

    expect(order).toEqual(['urgent', 'a', 'b', 'c'])
  })

  it('goes on in the async context of its caller, also after standing in line', async () => {
    const store = new AsyncLocalStorage<string>()
    const pools = rig.work()
    const call = (user: string) =>
      store.run(user, () => pools.run('work', 5, { name: 'sleep' }).then(() => store.getStore()))

    expect(await Promise.all(['ann', 'bob', 'eve'].map(call))).toEqual(['ann', 'bob', 'eve'])
  })

  it('moves what is to be transferred, and what the task moves back', async () => {
    const pools = rig.work()
    const buffer = new ArrayBuffer(1_000)

    expect(await pools.run('work', buffer, { name: 'length', transfer: [buffer] })).toBe(1_000)
    expect(buffer.byteLength).toBe(0)
    expect(await pools.run('work', 8, { name: 'moved' })).toEqual({ length: 8, left: 0 })
  })

  it('ends threads that have nothing to do, and starts them again', async () => {
    const pools = rig.work({ threads: 3, minThreads: 1, idleTimeout: 30 })
    await Promise.all(times(3, () => pools.run('work', 20, { name: 'sleep' })))

    await until(() => pools.stats().work.threads.total === 1)
    expect(await pools.run('work', 'still here')).toBe('still here')
    expect(pools.stats().work.threads.crashed).toBe(0)
  })

  it('replaces a thread after maxTasks', async () => {
    const pools = rig.work({ maxTasks: 2 })
    const threads: unknown[] = []
    for (let n = 0; n < 4; n++) threads.push(await pools.run('work', 0, { name: 'thread' }))

    expect(threads[0]).toBe(threads[1])
    expect(threads[2]).toBe(threads[3])
    expect(threads[0]).not.toBe(threads[2])
  })

  it('starts minThreads at once when warmed up', async () => {
    const pools = rig.work({ threads: 4, minThreads: 2 })
    await pools.warmUp()

    expect(pools.stats().work.threads).toMatchObject({ idle: 2, started: 2 })
  })

  it('loads CommonJS modules as well, and paths', async () => {
    const path = new URL('../support/threads/common.cjs', import.meta.url).pathname
    const pools = rig.pools({ work: { module: path, threads: 1 } })

    expect(await pools.run('work', 2, { name: 'triple' })).toBe(6)
    expect(await rejection(pools.run('work', 2, { name: 'tripel' }))).toMatchObject({
      name: 'TypeError',
      message: expect.stringContaining('did you mean "triple"?'),
    })
  })

  it('hands environment and flags to its threads', async () => {
    const module = inline('export default () => [process.env.WHO, process.execArgv]')
    const env = { WHO: 'me' }
    const pools = rig.pools({ work: { module, threads: 1, env, execArgv: ['--no-warnings'] } })

    expect(await pools.run('work', 0)).toEqual(['me', ['--no-warnings']])
  })
})

describe('the time of a task', () => {
  it('counts while it runs, not while it stands in line or its thread starts', async () => {
    const slowToLoad = inline(
      'await new Promise((r) => setTimeout(r, 1_500)); export default (n) => n',
    )
    const pools = rig.pools({
      work: { module: tasks, threads: 1, timeout: 1_200 },
      slow: { module: slowToLoad, threads: 1, timeout: 1_000 },
    })
    const inLine = times(5, () => pools.run('work', 400, { name: 'sleep' }))

    expect(await pools.run('slow', 1)).toBe(1)
    expect(await Promise.all(inLine)).toEqual(times(5, () => 400))
  })

  it('ends the task and its thread, and tells so at once', async () => {
    const pools = rig.work({ timeout: 5_000 })
    await pools.run('work', 'warm')
    const started = performance.now()
    const error = await rejection(pools.run('work', 60_000, { name: 'spin', timeout: 100 }))

    expect(performance.now() - started).toBeLessThan(20_000)
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', policy: 'work', duration: 100 })
    expect((error as Error).message).toMatch(/"work".*"spin".*100 ms.*ended/)
    expect(await pools.run('work', 'next')).toBe('next')
    expect(pools.stats().work).toMatchObject({ timedOut: 1, succeeded: 2, threads: { started: 2 } })
  })

  it('before it runs is bounded by maxWait', async () => {
    const pools = rig.work({ minThreads: 1, maxWait: 50, maxQueue: 5 })
    await pools.warmUp()
    const begun = new Begun()
    const first = pools.run('work', { began: begun.began, how: 'wait' }, { name: 'beginAnd' })
    const error = await rejection(pools.run('work', 1))

    expect(error).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    begun.release()
    expect(await first).toBe('released')
  })

  it('before it runs is bounded by maxWait while a thread starts, too', async () => {
    const never = inline('await new Promise(() => setInterval(() => {}, 1e6))')
    const pools = rig.pools({ slow: { module: never, threads: 1, maxWait: 60 } })

    expect(await rejection(pools.run('slow', 1))).toMatchObject({
      code: 'ERR_ACQUIRE_TIMEOUT',
      policy: 'slow',
    })
  })

  it('lets an answer win that was there before a blocked event loop noticed the limit', async () => {
    const pools = rig.work({ timeout: 1_000 })
    const thread = await pools.run('work', 0, { name: 'thread' })
    const begun = new Begun()
    const task = { began: begun.began, how: 'wait' }
    const answer = pools.run('work', task, { name: 'beginAnd' })
    await begun.times()
    // From here the loop comes to its timers before it looks at what has arrived.
    await new Promise((resolve) => setImmediate(resolve))
    begun.release()
    // The thread answers meanwhile, also on a machine that is busy with other things.
    const end = performance.now() + 1_500
    while (performance.now() < end);

    expect(await answer).toBe('released')
    expect(await pools.run('work', 0, { name: 'thread' })).toBe(thread)
  })
})

describe('an abort', () => {
  it('rejects at once with the reason itself, ends the thread, and frees its slot', async () => {
    const pools = rig.work()
    const caller = new AbortController()
    const begun = new Begun()
    const task = { began: begun.began, how: 'spin', ms: 60_000 }
    const aborted = rejection(pools.run('work', task, { name: 'beginAnd', signal: caller.signal }))
    await begun.times()
    const reason = { changed: 'my mind' }
    caller.abort(reason)

    expect(await aborted).toBe(reason)
    expect(await pools.run('work', 'next')).toBe('next')
    expect(pools.stats().work).toMatchObject({ aborted: 1, threads: { crashed: 0 } })
  })

  it('in line takes only that task out, and never ends a thread', async () => {
    const pools = rig.work()
    const caller = new AbortController()
    const { signal } = caller
    const first = pools.run('work', 50, { name: 'sleep' })
    const aborted = times(3, () => rejection(pools.run('work', 1, { signal })))
    const last = pools.run('work', 'last')
    caller.abort('enough')

    expect(await Promise.all(aborted)).toEqual(['enough', 'enough', 'enough'])
    expect(await Promise.all([first, last])).toEqual([50, 'last'])
    expect(pools.stats().work.threads.started).toBe(1)
  })

  it('before the call runs nothing', async () => {
    const pools = rig.work()
    const signal = AbortSignal.abort(null)

    expect(await rejection(pools.run('work', 1, { signal }))).toBe(null)
    expect(pools.stats().work.threads.total).toBe(0)
  })

  it('lets a task that listens end by itself, and keeps its thread', async () => {
    const pools = rig.work({ abortGrace: 2_000 })
    const thread = await pools.run('work', 0, { name: 'thread' })
    const error = await rejection(pools.run('work', 60_000, { name: 'polite', timeout: 30 }))

    expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(await pools.run('work', 0, { name: 'thread' })).toBe(thread)
  })

  it('ends a task that does not listen after abortGrace, and tells its caller before', async () => {
    const pools = rig.work({ abortGrace: 1_500 })
    await pools.run('work', 'warm')
    await rejection(pools.run('work', 60_000, { name: 'spin', timeout: 30 }))

    expect(pools.stats().work).toMatchObject({ running: 1, timedOut: 0 })

    expect(await pools.run('work', 'next')).toBe('next')
    expect(pools.stats().work.threads.started).toBe(2)
  })
})

describe('among the policies', () => {
  it('takes the context of a pipeline: signal and deadline reach the thread', async () => {
    const pools = rig.work({ minThreads: 1 })
    await pools.warmUp()
    const invoices = pipeline('invoices', timeout(500))

    expect(await invoices.execute((context) => pools.run('work', 1, context))).toBe(1)
    const error = await rejection(
      invoices.execute(({ signal }) => pools.run('work', 60_000, { signal, name: 'spin' })),
    )
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', policy: 'timeout' })
    await until(() => pools.stats().work.running === 0)
    expect(pools.stats().work).toMatchObject({ aborted: 1, abandoned: 0 })
  })

  it('ends a task at the deadline that its request brought along, and its thread with it', async () => {
    const pools = rig.work({ minThreads: 1 })
    await pools.warmUp()
    const begun = new Begun()
    const task = { began: begun.began, how: 'spin', ms: 60_000 }

    const error = await withDeadline(300, () =>
      rejection(pools.run('work', task, { name: 'beginAnd' })),
    )

    expect(String(error)).toContain('deadline reached')
    await until(() => pools.stats().work.running === 0)
    expect(await pools.run('work', 'next')).toBe('next')
  })

  it('is tried again in another thread by a retry around it', async () => {
    const pools = rig.work()
    const again = retry({ maxRetries: 1, baseDelay: 1 })
    const codes = [7, undefined]
    const answer = await again.execute((context) => {
      const code = codes.shift()
      return code === undefined
        ? pools.run('work', 'fine', context)
        : pools.run('work', code, { name: 'exit' })
    })

    expect(answer).toBe('fine')
  })

  it('tells of calls, refusals and threads', async () => {
    const pools = rig.work({ maxQueue: 0 })
    const events: HoldfastEvent[] = []
    const stop = pools.subscribe((event) => events.push(event))
    const first = pools.run('work', 10, { name: 'sleep' })
    await rejection(pools.run('work', 1))
    await first
    await rejection(pools.run('work', 3, { name: 'exit' }))
    await until(() => pools.stats().work.threads.total === 0)
    stop()
    await until(() => pools.stats().work.running === 0)
    await pools.run('work', 'unheard')

    const told = events.map((event) => ('change' in event ? event.change : event.type))
    expect(told.sort()).toEqual(['call', 'call', 'call', 'created', 'destroyed', 'reject'])
    expect(new Set(events.map(({ policy }) => policy))).toEqual(new Set(['work']))
    const endings = events.flatMap((event) => (event.type === 'call' ? [event.ending] : []))
    expect(endings.sort()).toEqual(['failed', 'rejected', 'succeeded'])
    expect(events.find((event) => event.type === 'pool' && event.error)).toMatchObject({
      change: 'destroyed',
      error: { message: 'the thread ended itself with exit code 3' },
    })
  })

  it('hands in piscina, or says what is missing', () => {
    expect(Piscina).toBeTypeOf('function')
    expect(() => rig.work({}, { Piscina: undefined as never })).toThrow(
      /Piscina is required and must be the class of the package piscina/,
    )
  })
})
