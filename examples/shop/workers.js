/**
 * How many requests a front end works on at once; the others wait in line. Every server has such a
 * limit, set or not: threads, php-fpm children, sockets, memory. Here it is the same for both.
 */

/**
 * @param {number} limit
 */
export function createWorkers(limit) {
  /** @type {Array<() => void>} */
  const line = []
  let busy = 0

  return {
    /**
     * Does `work` when a worker is free.
     *
     * @param {() => Promise<void>} work
     */
    async run(work) {
      if (busy < limit) busy++
      else await new Promise((resolve) => line.push(() => resolve(undefined)))
      try {
        await work()
      } finally {
        const next = line.shift()
        // The worker is handed over, so nobody can slip in between.
        if (next) next()
        else busy--
      }
    },
    state: () => ({ busy, waiting: line.length, limit }),
  }
}
