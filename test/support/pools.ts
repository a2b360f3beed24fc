/** A pool of numbered things over a fake server that counts what it sees. */
import { createPool, type Pool, type PoolOptions } from 'holdfast'
import { seededRandom, type VirtualClock, virtualClock } from 'holdfast/testing'
import { type Gate, gate } from './calls.ts'

export interface Thing {
  readonly id: number
  readonly broken: (error?: unknown) => void
  /** What a borrower may leave behind. */
  mark?: string
}

export interface Rig {
  readonly pool: Pool<Thing>
  readonly clock: VirtualClock
  readonly server: Server
}

export class Server {
  /** What is open now, as the other side sees it. */
  readonly open: Set<number> = new Set()
  made = 0
  /** What it made last. */
  latest: Thing | undefined
  calls = 0
  peak = 0
  readonly destroyed: number[] = []
  /** What connecting waits for, when it has to. */
  readonly connecting: Gate[] = []
  slow = false
  down: Error | undefined

  async connect(broken: (error?: unknown) => void): Promise<Thing> {
    this.calls++
    if (this.slow) {
      const made = gate()
      this.connecting.push(made)
      await made.promise
    }
    if (this.down !== undefined) throw this.down
    const thing = { id: ++this.made, broken }
    this.latest = thing
    this.open.add(thing.id)
    this.peak = Math.max(this.peak, this.open.size)
    return thing
  }

  end(thing: Thing): void {
    this.open.delete(thing.id)
    this.destroyed.push(thing.id)
  }
}

export function rig(options: Partial<PoolOptions<Thing>> = {}): Rig {
  const clock = virtualClock()
  const server = new Server()
  const pool = createPool<Thing>({
    name: 'things',
    create: ({ broken }) => server.connect(broken),
    destroy: (thing) => server.end(thing),
    clock,
    random: seededRandom(1),
    ...options,
  })
  return { pool, clock, server }
}
