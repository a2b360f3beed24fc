import { type ThreadPoolOptions, taskModule, threadPools } from 'holdfast/threads'
import { describe, expect, it } from 'vitest'
import type { PiscinaClass } from './piscina.ts'
import { jobOf, settle } from './settings.ts'

const Piscina = class {} as unknown as PiscinaClass
const module = 'file:///tasks.js'

function made(options: Partial<Record<keyof ThreadPoolOptions, unknown>>): unknown {
  return threadPools({ work: { module, threads: 1, ...options } as ThreadPoolOptions }, { Piscina })
}

describe('the options of thread pools', () => {
  it('have defaults', () => {
    const settings = settle({ work: { module, threads: 3 } }, { Piscina }).get('work')

    expect(settings).toMatchObject({
      name: 'work',
      module,
      threads: 3,
      minThreads: 0,
      maxQueue: 30,
      maxWait: 30_000,
      timeout: 30_000,
      abortGrace: 0,
      memoryLimitMb: undefined,
      startTimeout: 30_000,
      idleTimeout: 60_000,
      maxTasks: Number.POSITIVE_INFINITY,
    })
    expect(settings?.entry).toMatch(/^file:.*\/threads\/worker\.js$/)
  })

  it('take 0 for what it is', () => {
    const zeros = { maxQueue: 0, minThreads: 0, abortGrace: 0 }

    expect(
      settle({ work: { module, threads: 1, ...zeros } }, { Piscina }).get('work'),
    ).toMatchObject(zeros)
  })

  it.each([
    ['module', 'tasks.js', TypeError, 'module must be a URL, or the absolute path of a file'],
    ['module', './tasks.js', TypeError, 'module must be a URL'],
    ['module', new URL('https://example.org/tasks.js'), TypeError, 'module must be a URL'],
    ['module', undefined, TypeError, 'module is required'],
    ['threads', undefined, TypeError, 'threads is required'],
    ['threads', 0, RangeError, 'threads must be a whole number from 1'],
    ['threads', '5', TypeError, 'threads must be'],
    ['minThreads', 2, RangeError, 'minThreads must be at most threads (1), but was 2'],
    ['maxQueue', -1, RangeError, 'maxQueue must be'],
    ['maxWait', 0, RangeError, 'maxWait must be'],
    ['timeout', 0, RangeError, 'timeout must be'],
    ['timeout', Number.NaN, RangeError, 'timeout must be'],
    ['abortGrace', -1, RangeError, 'abortGrace must be'],
    ['memoryLimitMb', 0, RangeError, 'memoryLimitMb must be'],
    ['startTimeout', 0, RangeError, 'startTimeout must be'],
    ['idleTimeout', 0, RangeError, 'idleTimeout must be'],
    ['maxTasks', 0, RangeError, 'maxTasks must be'],
    ['restartBackoff', 100, TypeError, 'restartBackoff must be a function'],
    ['env', 'A=1', TypeError, 'env must be an object'],
    ['execArgv', '--flag', TypeError, 'execArgv must be a list'],
    ['thread', 1, TypeError, 'unknown option "thread" (did you mean "threads"?)'],
  ])('refuse %s: %s', (option, value, kind, message) => {
    const make = () => made({ [option]: value })

    expect(make).toThrow(kind)
    expect(make).toThrow(`threadPools: pool "work": ${message}`)
  })

  it.each([
    [{}, 'needs at least one pool'],
    [null, 'needs at least one pool'],
    [{ '': { module, threads: 1 } }, 'the name of a pool must not be empty'],
    [{ work: undefined }, 'pool "work": module is required'],
  ])('refuse pools that are none: %j', (pools, message) => {
    expect(() => threadPools(pools as never, { Piscina })).toThrow(message)
  })

  it('ask for piscina', () => {
    const make = (shared: unknown) => () =>
      threadPools({ work: { module, threads: 1 } }, shared as never)

    expect(make(undefined)).toThrow('import { Piscina } from "piscina"')
    expect(make({ Piscina, clok: 1 })).toThrow('did you mean "clock"')
    expect(make({ Piscina, entry: 'worker.js' })).toThrow('entry must be a URL')
  })

  it('do not look at prototypes', () => {
    const pools = settle(JSON.parse(`{"__proto__": {"module": "${module}", "threads": 1}}`), {
      Piscina,
    })

    expect([...pools.keys()]).toEqual(['__proto__'])
  })

  it('take paths, URLs and modules with a type', () => {
    const places = ['/srv/tasks.js', new URL(module), taskModule('/srv/tasks.js')]
    const modules = places.map(
      (place) => settle({ work: { module: place, threads: 1 } }, { Piscina }).get('work')?.module,
    )

    expect(modules).toEqual(['file:///srv/tasks.js', module, 'file:///srv/tasks.js'])
  })
})

describe('the options of one task', () => {
  const settings = settle({ work: { module, threads: 1, timeout: 7 } }, { Piscina }).get('work')
  if (settings === undefined) throw new Error('there is one')

  it('have the defaults of the pool', () => {
    expect(jobOf(settings, 'x', undefined)).toMatchObject({
      name: 'default',
      task: 'x',
      timeout: 7,
    })
    expect(jobOf(settings, 'x', { timeout: undefined })).toMatchObject({ timeout: 7 })
  })

  it('may come by getters, as those of a context do', () => {
    class Context {
      get name(): string {
        return 'render'
      }
    }

    expect(jobOf(settings, 1, new Context())).toMatchObject({ name: 'render' })
  })
})
