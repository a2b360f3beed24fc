import { createRequire } from 'node:module'
import { type PiscinaClass, type TaskContext, taskModule, threadPools } from 'holdfast/threads'
import type { Piscina as TheirPiscina } from 'piscina'
import { describe, expectTypeOf, it } from 'vitest'

interface Invoices {
  default(order: { id: number }): Promise<string>
  render(order: { id: number }, context: TaskContext): Uint8Array
  count(): number
  readonly version: string
}
interface Named {
  only(task: string): number
}

const { Piscina } = createRequire(import.meta.url)('piscina') as { Piscina: typeof TheirPiscina }
const url = new URL('file:///tasks.js')
const pools = threadPools(
  {
    invoice: { module: taskModule<Invoices>(url), threads: 2 },
    named: { module: taskModule<Named>(url), threads: 1 },
    untyped: { module: url, threads: 1 },
  },
  { Piscina },
)

describe('thread pools', () => {
  it('take the piscina that is installed', () => {
    expectTypeOf(Piscina).toExtend<PiscinaClass>()
  })

  it('know the functions, their tasks and their results', () => {
    expectTypeOf(pools.run('invoice', { id: 1 })).resolves.toEqualTypeOf<string>()
    expectTypeOf(
      pools.run('invoice', { id: 1 }, { name: 'render' }),
    ).resolves.toEqualTypeOf<Uint8Array>()
    expectTypeOf(pools.run('named', 'a', { name: 'only' })).resolves.toEqualTypeOf<number>()
    expectTypeOf(
      pools.run('invoice', undefined, { name: 'count' }),
    ).resolves.toEqualTypeOf<number>()
    expectTypeOf(pools.run('untyped', 1, { name: 'any' })).resolves.toEqualTypeOf<unknown>()
    expectTypeOf(pools.stats().invoice.threads.idle).toEqualTypeOf<number>()
  })

  it('do not take what cannot run', () => {
    // @ts-expect-error a pool that does not exist
    pools.run('invoce', { id: 1 })
    // @ts-expect-error the wrong task
    pools.run('invoice', { id: '1' })
    // @ts-expect-error a function that does not exist
    pools.run('invoice', { id: 1 }, { name: 'rendr' })
    // @ts-expect-error what is exported, but is no function
    pools.run('invoice', { id: 1 }, { name: 'version' })
    // @ts-expect-error no default export
    pools.run('named', 'a')
    // @ts-expect-error an option that does not exist
    pools.run('untyped', 1, { timeot: 1 })
    // @ts-expect-error a pool option that does not exist
    threadPools({ a: { module: url, threads: 1, memory: 1 } }, { Piscina })
    // @ts-expect-error no piscina
    threadPools({ a: { module: url, threads: 1 } }, {})
  })

  it('take a context of a policy', () => {
    expectTypeOf(pools.run<'untyped'>)
      .parameter(2)
      .extract<object>()
      .toHaveProperty('signal')
  })
})
