/**
 * The gates that never refuse a call and have nothing to do with one that simply succeeds: most of a
 * pipeline. They are not visited one by one; the convoy counts for all of them, and they add its counts
 * to their own when somebody asks. A call to which anything else happens leaves the convoy first.
 */
import type { Gate, Tally } from './gate.ts'

export class Convoy implements Tally {
  running = 0
  succeeded = 0
  /** Somebody wants to see even the calls that simply succeed. */
  watched = false
  /** Which of its gates that are. */
  loud: readonly number[] = []
  readonly #gates: readonly Gate[]

  constructor(gates: readonly Gate[]) {
    this.#gates = gates
    for (const gate of gates) gate.convoys.push(this)
    this.review()
  }

  review(): void {
    this.loud = [...this.#gates.keys()].filter((at) => this.#gates[at]?.alert !== 0)
    this.watched = this.loud.length > 0
  }

  /** Nothing will ever travel in it again: its gates keep what it counted. */
  disband(): void {
    for (const gate of this.#gates) gate.absorb(this)
  }
}

/** A policy may outlive thousands of pipelines that it is a part of: it must not keep all their convoys. */
const abandoned = new FinalizationRegistry<Convoy>((convoy) => convoy.disband())

/** Makes the convoy of `engine`. One that adds to others lasts as long as its engine. */
export function convoyOf(engine: object, gates: readonly Gate[]): Convoy {
  const shared = gates.some((gate) => gate.convoys.length > 0)
  const convoy = new Convoy(gates)
  if (shared) abandoned.register(engine, convoy)
  return convoy
}
