/**
 * Keys whose last call failed, and until when they are not called again. Bounded, in two generations: the
 * elder is forgotten as a whole when the younger is full, and whoever is forgotten is called too early.
 */
const GENERATION = 5_000

export class Pauses {
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  readonly #duration: number

  constructor(duration: number) {
    this.#duration = duration
  }

  begin(key: string, now: number): void {
    if (this.#duration === 0) return
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, now + this.#duration)
  }

  end(key: string): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  has(key: string, now: number): boolean {
    const until = this.#young.get(key) ?? this.#old.get(key)
    return until !== undefined && now < until
  }
}
