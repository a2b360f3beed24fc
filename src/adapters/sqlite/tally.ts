/**
 * How many places of a queue are taken, kept in the file: counting a long queue with every job would cost more
 * than storing it. Read once and written once in each transaction, so that all processes agree.
 */
import type { Participant } from './journal.ts'
import type { Statements } from './statements.ts'

export class Tally implements Participant {
  readonly #statements: Statements
  readonly #queue: number
  #known: number | undefined
  #isChanged = false

  constructor(statements: Statements, queue: number) {
    this.#statements = statements
    this.#queue = queue
  }

  begin(): void {
    this.#known = undefined
    this.#isChanged = false
  }

  get size(): number {
    if (this.#known === undefined) {
      const row = this.#statements.readSize.get(this.#queue) as { size: number | bigint }
      this.#known = Number(row.size)
    }
    return this.#known
  }

  add(places: number): void {
    this.#known = this.size + places
    this.#isChanged = true
  }

  /** Counts what is there: somebody may have changed rows by hand. */
  recount(): void {
    const row = this.#statements.countSize.get(this.#queue) as { n: number | bigint }
    this.#isChanged = Number(row.n) !== this.size
    this.#known = Number(row.n)
  }

  commit(): void {
    if (this.#isChanged) this.#statements.writeSize.run(this.#known ?? 0, this.#queue)
  }
}
