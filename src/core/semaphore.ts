/**
 * Permits, fair and abortable: at most `limit` at a time, everyone else in line.
 *
 * Its counters are a gate, so the engine admits a call with one comparison while there is room. A permit
 * that is given back goes straight to the first in line: it is never free while somebody waits, and a
 * newcomer never overtakes.
 */
import { Gate } from './gate.ts'
import { Place, WaitQueue } from './queue.ts'

/** One place in line: an object of whoever waits, so that waiting allocates nothing more. */
export abstract class Waiter extends Place<Waiter> {
  /** Kept by the semaphore. */
  state: 'new' | 'waiting' | 'granted' | 'gone' = 'new'

  /** @param priority - Larger is served first, a whole number from -10 to 10. */
  constructor(priority: number) {
    super(undefined, priority)
    this.value = this
  }

  /** Called once, synchronously, when the permit has passed to this waiter. Must not throw. */
  abstract onGrant(): void
}

export class Semaphore {
  readonly gate: Gate
  readonly #queue = new WaitQueue<Waiter>()
  /** Its owner wants to hear of every success, also while nobody waits. */
  readonly #watched: boolean

  constructor(limit: number, watched = false) {
    this.gate = new Gate(limit)
    this.#watched = watched
    this.gate.ask(watched)
  }

  /** Who stands in line. */
  get queued(): number {
    return this.#queue.size
  }

  /** Takes a permit if one is free. */
  tryAcquire(): boolean {
    const { gate } = this
    if (gate.running >= gate.limit) return false
    gate.running++
    return true
  }

  /** Stands in line. The caller bounds the line and the wait. */
  enqueue(waiter: Waiter): void {
    this.#queue.join(waiter)
    waiter.state = 'waiting'
    this.gate.ask(true)
  }

  /** Everyone in line, in the order in which they would be served. */
  get line(): Iterable<Waiter> {
    return this.#queue
  }

  /** Leaves the line, or gives the permit back if it has been granted meanwhile. Twice is harmless. */
  abandon(waiter: Waiter): void {
    const { state } = waiter
    waiter.state = 'gone'
    if (state === 'granted') this.release()
    else if (state === 'waiting') {
      this.#queue.remove(waiter)
      this.gate.ask(this.#watched || this.#queue.size > 0)
    }
  }

  /** Gives one permit back: to the first in line, if there is one. */
  release(): void {
    this.gate.running--
    this.#serve()
  }

  /** Raising starts waiters at once; lowering stops no one, only new grants. */
  resize(limit: number): void {
    this.gate.limit = limit
    this.#serve()
  }

  #serve(): void {
    const { gate } = this
    while (gate.running < gate.limit) {
      const waiter = this.#queue.shift()
      if (waiter === undefined) break
      gate.running++
      waiter.state = 'granted'
      waiter.onGrant()
    }
    gate.ask(this.#watched || this.#queue.size > 0)
  }
}
