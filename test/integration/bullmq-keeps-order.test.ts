/** Order per key on BullMQ when two processes come to the log of one key in the same moment. */
import * as bullmq from 'bullmq'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BullBackend, BullMQ } from '../../src/adapters/bullmq/shapes.ts'
import type { BullStore } from '../../src/adapters/bullmq/store.ts'
import { bullStores } from '../support/bull-stores.ts'
import { gate } from '../support/calls.ts'
import { hasRedis } from '../support/redis-server.ts'

describe.skipIf(!hasRedis())('the last job of a key ends while the next one is accepted', () => {
  const openStore = bullStores()
  let name: string
  let names = 0
  beforeEach(() => {
    name = `order-${++names}`
  })

  const open = (
    through?: BullMQ,
  ): { readonly store: BullStore; readonly log: () => BullBackend } => {
    const { store, link } = openStore(name, through)
    return { store, log: () => link.backend.forQueue(`${name}.keys`) }
  }

  /** BullMQ of a process that stands still just before it removes what `holds` says. */
  const stopping = (until: Promise<void>): { readonly through: BullMQ; stopped: Promise<void> } => {
    const stopped = gate()
    class Queue extends bullmq.Queue {
      override getBackend(): never {
        const backend = super.getBackend() as unknown as BullBackend
        const slow = (side: BullBackend): BullBackend =>
          proxied(side, 'remove', async (id: string, removeChildren: boolean) => {
            stopped.open()
            await until
            return side.remove(id, removeChildren)
          })
        return proxied(backend, 'forQueue', (queue: string) =>
          slow(backend.forQueue(queue)),
        ) as never
      }
    }
    return { through: { Queue, Worker: bullmq.Worker } as never, stopped: stopped.promise }
  }

  const add = (store: BullStore, id: string): Promise<unknown> => {
    const at = Date.now()
    const job = { id, key: 'k', payload: '1', context: {}, enqueuedAt: at, dueAt: at }
    return store.add({ ...job, isDueAtFixed: false })
  }

  const workOff = async (store: BullStore): Promise<string[]> => {
    const ids: string[] = []
    for (;;) {
      const { jobs } = await store.take(5, 60_000)
      if (jobs.length === 0) return ids
      for (const job of jobs) {
        ids.push(job.id)
        await store.settle(job, { kind: 'completed', at: Date.now() })
      }
    }
  }

  it('does not lose the place of the one that was accepted', async () => {
    const going = gate()
    const { through, stopped } = stopping(going.promise)
    const [one, two] = [open(through), open()]
    await add(two.store, 'first')
    const { jobs } = await one.store.take(1, 60_000)
    const ended = one.store.settle(jobs[0] as never, { kind: 'completed', at: Date.now() })
    await stopped
    const accepted = add(two.store, 'second')
    // The log has the first job and the second.
    while ((await two.log().getJobLogs('j.k', 0, 9, true)).count < 2);
    going.open()
    await Promise.all([ended, accepted])
    await add(two.store, 'third')

    expect(await workOff(two.store)).toEqual(['second', 'third'])
    expect(await two.log().getJobLogs('j.k', 0, 9, true)).toMatchObject({ count: 0 })
    await Promise.all([one.store.close(), two.store.close()])
  }, 30_000)

  it('does not wait for ever for one who died over it', async () => {
    const { through, stopped } = stopping(new Promise(() => {}))
    const [one, two] = [open(through), open()]
    await add(two.store, 'first')
    const { jobs } = await one.store.take(1, 60_000)
    void one.store.settle(jobs[0] as never, { kind: 'completed', at: Date.now() }).catch(() => {})
    await stopped

    expect(await add(two.store, 'second')).toBe('added')
    await add(two.store, 'third')
    expect(await workOff(two.store)).toEqual(['second', 'third'])
    await Promise.all([one.store.close(), two.store.close()])
  }, 30_000)
})

function proxied(target: BullBackend, method: keyof BullBackend, by: unknown): BullBackend {
  return new Proxy(target, {
    get: (of, name) => {
      if (name === method) return by
      const value: unknown = Reflect.get(of, name)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
}
