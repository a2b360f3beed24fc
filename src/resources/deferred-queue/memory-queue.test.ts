import { deferredQueueContract } from '../../../test/contracts/deferred-queue.contract.ts'
import { MemoryJobs, MemoryStore } from './memory-queue.ts'
import { settleQueue } from './options.ts'
import { openQueue } from './queue.ts'

deferredQueueContract('a queue in memory', async () => {
  const stores = new Map<string, MemoryJobs>()
  return {
    open: async (options) => {
      const settings = settleQueue({ ...options })
      const jobs = stores.get(settings.name) ?? new MemoryJobs()
      stores.set(settings.name, jobs)
      return openQueue(new MemoryStore(settings, jobs), settings)
    },
    remove: async () => {},
  }
})
