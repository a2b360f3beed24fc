/** What the suite needs of an engine, and how it waits: for events, never for luck. */
import { afterEach, beforeEach } from 'vitest'
import type { DeferredQueue } from '../../../src/core/deferred-queue.ts'
import type { HoldfastEvent, JobChanged } from '../../../src/core/events.ts'
import type { QueueOptions } from '../../../src/resources/deferred-queue/options.ts'

/** A store of its own for one test, empty at first. */
export interface TestStore {
  /**
   * Opens a queue on it. Each call stands for another process: a handle or client of its own, same jobs.
   * The options are those that every engine has.
   */
  open(options?: QueueOptions): Promise<DeferredQueue>
  /** Removes it with everything in it, after its queues were closed. */
  remove(): Promise<void>
}

export type StartStore = () => Promise<TestStore>

/** The store of the running test; what it opens is closed behind it. */
export interface Subject {
  open(options?: QueueOptions): Promise<DeferredQueue>
}

export function subject(start: StartStore): Subject {
  let store: TestStore
  let opened: DeferredQueue[] = []
  beforeEach(async () => {
    store = await start()
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map((queue) => queue.close({ timeout: 0 })))
    await store.remove()
  })
  return {
    open: async (options) => {
      const queue = await store.open(options)
      opened.push(queue)
      return queue
    },
  }
}

/** Resolves with the next `count` changes of this kind, of the job `id` or of any. Ask before you cause them. */
export function next(
  queue: DeferredQueue,
  change: JobChanged['change'],
  { id, count = 1 }: { readonly id?: string; readonly count?: number } = {},
): Promise<JobChanged[]> {
  return new Promise((resolve) => {
    const seen: JobChanged[] = []
    const stop = queue.subscribe((event: HoldfastEvent) => {
      if (event.type !== 'job' || event.change !== change) return
      if (id !== undefined && event.id !== id) return
      seen.push(event)
      if (seen.length < count) return
      stop()
      resolve(seen)
    })
  })
}
