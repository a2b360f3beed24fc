/** How large a share of all requests was refused in the last ten seconds: ten buckets of a second. */

const BUCKETS = 10
const WIDTH = 1_000

export class RefusalShare {
  readonly #all = new Float64Array(BUCKETS)
  readonly #refused = new Float64Array(BUCKETS)
  readonly #most: number
  #second = Number.NEGATIVE_INFINITY

  constructor(most: number) {
    this.#most = most
  }

  /** Counts a request. Call it once for each, before `tryRefuse`. */
  count(now: number): void {
    const at = this.#advance(now)
    this.#all[at] = (this.#all[at] as number) + 1
  }

  /** Whether one more may be refused; counts it if so. */
  tryRefuse(now: number): boolean {
    const at = this.#advance(now)
    const all = this.#all.reduce((sum, one) => sum + one, 0)
    const refused = this.#refused.reduce((sum, one) => sum + one, 0)
    if (refused + 1 > this.#most * all) return false
    this.#refused[at] = (this.#refused[at] as number) + 1
    return true
  }

  #advance(now: number): number {
    const second = Math.floor(now / WIDTH)
    for (let next = Math.max(this.#second + 1, second - BUCKETS + 1); next <= second; next++) {
      this.#all[next % BUCKETS] = 0
      this.#refused[next % BUCKETS] = 0
    }
    this.#second = Math.max(this.#second, second)
    return this.#second % BUCKETS
  }
}
