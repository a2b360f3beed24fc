/** What goes wrong in real worker threads, named by the symptom it had elsewhere. */
import type { HoldfastEvent } from 'holdfast'
import { constant } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rejection, times, watch } from '../support/calls.ts'
import { Begun, inline, tasks, until, useThreads } from '../support/threads.ts'

const rig = useThreads()

describe('WP1 a worker dies with work in flight', () => {
  const deaths = [
    ['exits', 'exit', 3, { reason: 'exit', exitCode: 3 }],
    ['exits as if all were well', 'exit', 0, { reason: 'exit', exitCode: 0 }],
    [
      'has an unhandled rejection',
      'reject',
      0,
      { reason: 'error', cause: { message: 'nobody awaits me' } },
    ],
  ] as const

  it.each(deaths)('rejects the task when its thread %s, and says what next', async (...death) => {
    const [, name, task, facts] = death
    const pools = rig.work({ threads: 2 })
    const error = await rejection(pools.run('work', task, { name }))

    expect(error).toMatchObject({ code: 'ERR_THREAD_ENDED', policy: 'work', task: name, ...facts })
    expect((error as Error).message).toMatch(
      new RegExp(
        `"work": the thread of task "${name}" .* after \\d+ ms; .*; the thread is replaced`,
      ),
    )
    expect(await pools.run('work', 'next')).toBe('next')
    expect(pools.stats().work.threads.crashed).toBe(1)
  })

  it('rejects the task that eats all memory, and harms neither others nor the process', async () => {
    const pools = rig.pools({
      greedy: { module: tasks, threads: 2, memoryLimitMb: 32 },
      modest: { module: tasks, threads: 1 },
    })
    const begun = new Begun()
    const beside = { began: begun.began, how: 'wait' }
    const neighbours = [
      pools.run('greedy', beside, { name: 'beginAnd' }),
      pools.run('modest', beside, { name: 'beginAnd' }),
    ]
    await begun.times(2)
    const error = await rejection(pools.run('greedy', 0, { name: 'eat' }))

    expect(error).toMatchObject({
      code: 'ERR_THREAD_ENDED',
      reason: 'out-of-memory',
      cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
    })
    expect((error as Error).message).toContain('memoryLimitMb (32)')
    begun.release()
    expect(await Promise.all(neighbours)).toEqual(['released', 'released'])
    expect(await pools.run('greedy', 'again')).toBe('again')
  })

  it('serves those in line with a new thread', async () => {
    const pools = rig.work({ restartBackoff: constant(10) })
    const dying = rejection(pools.run('work', 1, { name: 'exit' }))
    const inLine = times(3, (n) => pools.run('work', n))

    expect(await dying).toMatchObject({ code: 'ERR_THREAD_ENDED' })
    expect(await Promise.all(inLine)).toEqual([0, 1, 2])
  })

  it('never chooses a thread that died idle', async () => {
    const pools = rig.work({ restartBackoff: constant(1) })
    await pools.run('work', 0, { name: 'crashLater' })
    await until(() => pools.stats().work.threads.crashed === 1)

    expect(pools.stats().work.threads.total).toBe(0)
    expect(await pools.run('work', 'next')).toBe('next')
  })

  it('settles a task given to a thread that is about to die', async () => {
    const pools = rig.work({ restartBackoff: constant(1) })
    for (let round = 0; round < 10; round++) {
      await pools.run('work', 0, { name: 'exitLater' }).catch(() => {})
      const outcomes = await Promise.allSettled(
        times(4, () => pools.run('work', 3, { name: 'sleep' })),
      )
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toMatchObject({ code: 'ERR_THREAD_ENDED', reason: 'exit' })
        }
      }
    }
    await until(() => pools.stats().work.running === 0)
  })
})

describe('WP2 cancelling one task kills its neighbours', () => {
  it('ends the thread of that task alone', async () => {
    const pools = rig.work({ threads: 3 })
    const begun = new Begun()
    const waiting = { began: begun.began, how: 'wait' }
    const caller = new AbortController()
    const { signal } = caller
    const neighbours = times(2, () => pools.run('work', waiting, { name: 'beginAnd' }))
    const cancelled = rejection(
      pools.run('work', { began: begun.began, how: 'spin', ms: 1e6 }, { name: 'beginAnd', signal }),
    )
    const limited = rejection(pools.run('work', 1e6, { name: 'spin', timeout: 50 }))
    await begun.times(3)
    caller.abort('no more')

    expect(await cancelled).toBe('no more')
    expect(await limited).toMatchObject({ code: 'ERR_TIMEOUT' })
    begun.release()
    expect(await Promise.all(neighbours)).toEqual(['released', 'released'])
  })
})

describe('WP3 a value that cannot be cloned', () => {
  it('as a task rejects that task alone, and the thread stays', async () => {
    const pools = rig.work()
    const thread = await pools.run('work', 0, { name: 'thread' })
    const error = await rejection(pools.run('work', { fn: () => {} }, { name: 'echo' }))

    expect(error).toMatchObject({ name: 'TypeError', cause: { name: 'DataCloneError' } })
    expect((error as Error).message).toMatch(/"work".*"echo".*not run/)
    expect(await pools.run('work', 0, { name: 'thread' })).toBe(thread)
  })

  it('as a result rejects that task alone, and the thread stays', async () => {
    const pools = rig.work()
    const thread = await pools.run('work', 0, { name: 'thread' })
    const error = await rejection(pools.run('work', 0, { name: 'uncloneable' }))

    expect(error).toMatchObject({ name: 'TypeError', cause: { name: 'DataCloneError' } })
    expect((error as Error).message).toMatch(/"work".*result of task "uncloneable"/)
    expect(await pools.run('work', 0, { name: 'thread' })).toBe(thread)
  })

  it('in an error leaves name, message and code, and the thread stays', async () => {
    const pools = rig.work()
    const thread = await pools.run('work', 0, { name: 'thread' })
    const error = await rejection(pools.run('work', 'uncloneable', { name: 'fail' }))

    expect(error).toMatchObject({ name: 'Error', message: 'with a handle', code: 'E_X' })
    expect(error).not.toHaveProperty('socket')
    expect(await pools.run('work', 0, { name: 'thread' })).toBe(thread)
  })
})

describe('WP5 a worker that fails before its first task', () => {
  const loads = [
    ['throws', 'throw new Error("broken module")', /did not load: Error: broken module/],
    ['exits', 'process.exit(9)', /ended with exit code 9 while it loaded/],
    ['never ends', 'await new Promise(() => setInterval(() => {}, 1e6))', /did not load within/],
    [
      'crashes on its own',
      'setTimeout(() => { throw new Error("later") }); await new Promise((r) => setTimeout(r, 1e6))',
      /died while it loaded .*: Error: later/,
    ],
  ] as const

  it.each(loads)('rejects with the cause when its module %s', async (how, text, message) => {
    const startTimeout = how === 'never ends' ? 500 : 30_000
    const pools = rig.pools({ bad: { module: inline(text), threads: 2, startTimeout } })
    const error = await rejection(pools.run('bad', 1))

    expect(error).toMatchObject({ code: 'ERR_THREAD_START', policy: 'bad', task: 'default' })
    expect((error as Error).message).toMatch(message)
    expect(pools.stats().bad).toMatchObject({ rejected: 1, failed: 0 })
    expect(pools.stats().bad.threads).toMatchObject({ started: 0, startFailed: 1, crashed: 0 })
  })

  it('is missing, and says so', async () => {
    const module = new URL('../support/threads/missing.js', import.meta.url)
    const pools = rig.pools({ bad: { module, threads: 1 } })

    expect(await rejection(pools.run('bad', 1))).toMatchObject({
      code: 'ERR_THREAD_START',
      cause: { code: 'ERR_MODULE_NOT_FOUND' },
    })
  })

  it('cannot be found, as `warmUp` says too', async () => {
    const module = new URL('../support/threads/missing.js', import.meta.url)
    const pools = rig.pools({ bad: { module, threads: 1, minThreads: 1 } })

    expect(await rejection(pools.warmUp())).toMatchObject({
      code: 'ERR_THREAD_START',
      policy: 'bad',
      task: '',
      message: expect.stringContaining('no thread could be started: file:'),
      cause: { code: 'ERR_MODULE_NOT_FOUND' },
    })
  })

  it('dies before it can be asked, and its task is not forgotten', async () => {
    const execArgv = ['--import', './no-such-file.mjs']
    const pools = rig.work({ execArgv })

    expect(await rejection(pools.run('work', 1))).toMatchObject({ code: 'ERR_THREAD_START' })
  })

  it('cannot be made at all, and its task is not forgotten', async () => {
    const pools = rig.work({ execArgv: ['--no-such-flag'] })

    expect(await rejection(pools.run('work', 1))).toMatchObject({ code: 'ERR_THREAD_START' })
  })

  it('is not started over and over, however many tasks come', async () => {
    const module = inline('throw new Error("broken module")')
    const pools = rig.pools({
      bad: { module, threads: 4, maxQueue: 1_000, maxWait: 5_000 },
      good: { module: tasks, threads: 1 },
    })
    const cpu = process.cpuUsage()
    const began = performance.now()
    const end = began + 2_000
    let refused = 0
    while (performance.now() < end) {
      const errors = await Promise.all(times(8, () => rejection(pools.run('bad', 1))))
      refused += errors.length
      for (const error of errors) {
        expect(error).toMatchObject({
          code: 'ERR_THREAD_START',
          cause: { message: 'broken module' },
        })
      }
    }
    const { user, system } = process.cpuUsage(cpu)
    const elapsed = performance.now() - began

    // Four at once, then pauses of 100, 200, 400, 800 ms.
    expect(pools.stats().bad.threads.startFailed).toBeLessThanOrEqual(6 + Math.log2(elapsed / 100))
    expect(refused).toBeGreaterThan(0)
    expect((user + system) / 1_000 / elapsed).toBeLessThan(0.8)
    expect(await pools.run('good', 'unharmed')).toBe('unharmed')
  })
})

describe('a thread that crashes with every task', () => {
  it('is replaced at a pace', async () => {
    const pools = rig.work({ threads: 1, maxQueue: 100, restartBackoff: constant(200) })
    const events: HoldfastEvent[] = []
    pools.subscribe((event) => events.push(event))
    const errors = times(4, () => rejection(pools.run('work', 1, { name: 'exit' })))
    await Promise.all(errors)

    const starts = events.filter((event) => event.type === 'pool' && event.change === 'created')
    const gaps = starts.slice(1).map((event, n) => event.at - (starts[n]?.at ?? 0))
    expect(starts.length).toBe(4)
    expect(Math.min(...gaps)).toBeGreaterThan(190)
  })

  it('does not keep the threads that are well from working', async () => {
    const pools = rig.work({ threads: 2, minThreads: 2, restartBackoff: constant(60_000) })
    await pools.warmUp()
    await rejection(pools.run('work', 1, { name: 'exit' }))

    expect(await Promise.all(times(5, (n) => pools.run('work', n)))).toEqual([0, 1, 2, 3, 4])
    expect(pools.stats().work.threads.started).toBe(2)
  })
})

describe('wrong calls', () => {
  it.each([
    [
      'a pool',
      () => rig.work().run('wrok' as 'work', 1),
      /no pool "wrok" \(did you mean "work"\?\)/,
    ],
    ['a function', () => rig.work().run('work', 1, { name: 'duoble' }), /did you mean "double"/],
    [
      'no function',
      () => rig.work().run('work', 1, { name: 'notAFunction' }),
      /exports no function/,
    ],
    [
      'the prototype',
      () => rig.work().run('work', 1, { name: '__proto__' }),
      /exports no function/,
    ],
    ['a limit', () => rig.work().run('work', 1, { timeout: -1 }), /timeout must be a number of/],
    [
      'a list',
      () => rig.work().run('work', 1, { transfer: 1 as never }),
      /transfer must be a list/,
    ],
    [
      'a signal',
      () => rig.work().run('work', 1, { signal: 1 as never }),
      /signal must be an AbortS/,
    ],
    ['options', () => rig.work().run('work', 1, null as never), /options must be an object/],
  ])('name %s that does not exist', async (_what, call, message) => {
    const error = watch(call())
    await until(() => error.status !== 'pending')

    expect(error.reason).toMatchObject({ message: expect.stringMatching(message) })
  })
})
