/** One suite that every engine of a durable queue passes, whatever keeps its jobs. Real time, short times. */
import { describe } from 'vitest'
import { acceptsJobs } from './deferred-queue/accepts.contract.ts'
import { keepsLeases } from './deferred-queue/leases.contract.ts'
import { keepsOrder } from './deferred-queue/order.contract.ts'
import { retriesJobs } from './deferred-queue/retries.contract.ts'
import { showsJobs } from './deferred-queue/shows.contract.ts'
import { stopsGracefully } from './deferred-queue/stops.contract.ts'
import type { StartStore } from './deferred-queue/subject.ts'
import { worksJobsOff } from './deferred-queue/works.contract.ts'

export function deferredQueueContract(name: string, start: StartStore): void {
  describe(name, () => {
    acceptsJobs(start)
    worksJobsOff(start)
    retriesJobs(start)
    keepsLeases(start)
    keepsOrder(start)
    showsJobs(start)
    stopsGracefully(start)
  })
}
