/**
 * Tells that there may be something to take, also when another process has stored it: BullMQ's blocking
 * wait. One mark wakes one waiter, so nobody waits who has no hand free.
 */
import type { BullWorker } from './shapes.ts'

/** Longest wait in one go, in s. */
const LONGEST_WAIT = 10

export class Bell {
  readonly #wakes = new Set<() => void>()
  #isListening = false
  #isClosed = false

  watch(wake: () => void): () => void {
    this.#wakes.add(wake)
    return () => {
      this.#wakes.delete(wake)
    }
  }

  /** Waits until there may be a job, then wakes everybody once. */
  listen(worker: BullWorker): void {
    if (this.#isListening || this.#isClosed || this.#wakes.size === 0) return
    this.#isListening = true
    void this.#wait(worker)
  }

  close(): void {
    this.#isClosed = true
    this.#wakes.clear()
  }

  async #wait(worker: BullWorker): Promise<void> {
    try {
      const mark = await worker.getBackend().waitForJob(LONGEST_WAIT)
      this.#isListening = false
      // Whoever is woken looks, and listens again if there was too little. So does a look that was due anyway.
      if (mark !== null && !this.#isClosed) this.#ring()
    } catch {
      // Cut off: the next taking fails as well, is repeated, and listens again.
      this.#isListening = false
    }
  }

  #ring(): void {
    for (const wake of [...this.#wakes]) wake()
  }
}
