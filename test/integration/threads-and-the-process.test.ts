/** What thread pools mean for the life of their process, in processes of their own with default flags. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ended, runScript } from '../support/child.ts'
import { type Built, build, tasks } from '../support/threads.ts'

const piscina = pathToFileURL(createRequire(import.meta.url).resolve('piscina')).href

let built: Built
beforeAll(() => {
  built = build()
})
afterAll(() => built.remove())

function run(script: string): Promise<Ended> {
  return runScript(
    { url: built.library.href, remove: async () => {} },
    `
    const { Piscina } = (await import(${JSON.stringify(piscina)})).default
    const entry = ${JSON.stringify(built.entry.href)}
    const module = ${JSON.stringify(tasks.href)}
    const threadPools = (pools) => holdfast.threadPools(pools, { Piscina, entry })
    const work = (options) => threadPools({ work: { module, threads: 2, ...options } })
    ${script}`,
  )
}

describe('LC1 idle threads keep the process alive', () => {
  it('ends by itself with idle threads, undisposed', async () => {
    const ended = await run(`
      const pools = work({ minThreads: 2, idleTimeout: Infinity })
      await pools.warmUp()
      tell(await pools.run('work', 'fine'))
      await pools.run('work', 1, { name: 'spin', timeout: 3_600_000 })
      await pools.run('work', 1, { name: 'exit' }).catch(tell)
      await pools.run('work', 1e6, { name: 'spin', timeout: 20 }).catch(tell)
      await pools.run('work', 5, { name: 'polite', signal: AbortSignal.abort('before') }).catch(tell)`)

    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toBe('fine\nERR_THREAD_ENDED\nERR_TIMEOUT\nbefore')
    expect(ended.lingered).toBeLessThan(5_000)
  })

  it('ends by itself after a module that never loaded, and after close', async () => {
    const ended = await run(`
      const pools = threadPools({
        bad: { module: 'data:text/javascript,throw new Error("broken")', threads: 3 },
        good: { module, threads: 1 },
      })
      await pools.run('bad', 1).catch(tell)
      tell(await pools.run('good', 1))
      await pools.close()`)

    expect(ended).toMatchObject({ code: 0, stdout: 'ERR_THREAD_START\n1', stderr: '' })
    expect(ended.lingered).toBeLessThan(5_000)
  })
})

describe('LC2 the process ends while somebody awaits', () => {
  it('stays for tasks that run, stand in line, or wait for a thread after a crash', async () => {
    const ended = await run(`
      const pools = work({ threads: 1, restartBackoff: () => 200, maxWait: Infinity })
      const dying = pools.run('work', 2, { name: 'exit' })
      const inLine = pools.run('work', 30, { name: 'sleep' })
      await dying.catch(tell)
      tell(await inLine)
      await pools.run('work', 2, { name: 'exit' }).catch(tell)
      tell(await pools.run('work', 'after the pause'))
      await pools.run('work', 0, { name: 'eat', timeout: 300 }).catch(tell)
      tell((await pools.close()).forced)`)

    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toBe(
      'ERR_THREAD_ENDED\n30\nERR_THREAD_ENDED\nafter the pause\nERR_TIMEOUT\n0',
    )
  })
})

describe('an abort that races a result ends the process', () => {
  it('never does, in 20 seeded races of aborts, limits and results', async () => {
    const ended = await run(`
      let state = 20261123
      const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
      const pools = work({ threads: 4, minThreads: 4, restartBackoff: () => 0 })
      const counts = {}
      const count = (what) => { counts[what] = (counts[what] ?? 0) + 1 }
      for (let round = 0; round < 5; round++) {
        await pools.warmUp()
        await Promise.all(Array.from({ length: 4 }, async () => {
          const caller = new AbortController()
          const abort = () => caller.abort('gone')
          const ms = Math.floor(random() * 4)
          const kind = random()
          const timeout = kind < 0.3 ? Math.max(0.5, ms - 1 + random() * 2) : 10_000
          const name = kind > 0.6 ? 'echo' : random() < 0.5 ? 'spin' : 'sleep'
          const call = pools.run('work', ms, { name, timeout, signal: caller.signal })
          const ended = call.then(() => count('done'), (error) => count(error?.code ?? error))
          if (kind > 0.6) {
            // The task is on its way. Its answer arrives, unseen, while this thread is busy.
            for (let hop = 0; hop < 30; hop++) await null
            const end = performance.now() + random()
            while (performance.now() < end);
            abort()
          } else if (kind > 0.3) setTimeout(abort, ms + random() * 3)
          await ended
        }))
      }
      // How each race ends is chance's; that it ends in one of the three ways is not.
      tell(Object.keys(counts).filter((how) => !['ERR_TIMEOUT', 'done', 'gone'].includes(how)).join() || 'as documented')
      tell(Object.values(counts).reduce((sum, n) => sum + n))
      await pools.close()
      tell(pools.stats().work.running + pools.stats().work.threads.total)`)

    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toBe('as documented\n20\n0')
  })
})

describe('every fault in one process', () => {
  it('is survived without a listener, without a word on stderr, and ends', async () => {
    const ended = await run(`
      process.on('warning', (warning) => tell(warning.name))
      const pools = threadPools({
        work: { module, threads: 3, memoryLimitMb: 24, maxQueue: 100, restartBackoff: () => 1 },
        bad: { module: 'data:text/javascript,process.exit(1)', threads: 1 },
      })
      pools.subscribe(() => { throw new Error('listener') })
      const faults = [
        ['exit', 0], ['exit', 1], ['eat', 0], ['reject', 0], ['crashLater', 0], ['exitLater', 1],
        ['uncloneable', 0], ['fail', 'coded'], ['fail', 'getter'], ['fail', 'callable'], ['missing', 0],
      ]
      const calls = faults.flatMap(([name, task]) => [0, 1].map(() => pools.run('work', task, { name })))
      calls.push(pools.run('bad', 1), pools.run('work', () => {}), pools.run('none', 1))
      const outcomes = await Promise.allSettled(calls)
      tell(outcomes.length)
      tell(await pools.run('work', 'well').catch((error) => error.code))`)

    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toMatch(/^25\n(?:well|ERR_THREAD_ENDED)$/)
    expect(ended.lingered).toBeLessThan(5_000)
  })
})
